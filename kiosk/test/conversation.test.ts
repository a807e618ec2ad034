import assert from "node:assert/strict";
import { test } from "node:test";
import { Conversation } from "../src/conversation.ts";

function answering(): Conversation {
  const c = new Conversation();
  c.take({ type: "user-transcription", text: "Where is paint?", final: true });
  c.take({ type: "audio", response: 1, rate: 16000 });
  c.take({ type: "bot-output", response: 1, segment: 0, text: "Paint is in aisle seven.", atMs: 0 });
  c.take({ type: "bot-output", response: 1, segment: 1, text: "Anything else?", atMs: 2000 });
  c.take({ type: "end", response: 1, ms: 3000 });
  return c;
}

const at = (ms: number, running = true, response = 1) => ({ response, ms, running });

test("a sentence is shown when it is heard, not when it is known", () => {
  const c = answering();
  c.hear(null);
  assert.deepEqual(c.captions(), []);
  c.hear(at(1000));
  assert.deepEqual(c.captions().map(({ text, heard, now }) => ({ text, heard, now })), [{ text: "Paint is in aisle seven.", heard: 12, now: true }]);
  c.hear(at(2500));
  assert.deepEqual(c.captions().map((s) => [s.heard, s.now]), [[24, false], [7, true]]);
  c.hear(at(3000, false));
  assert.deepEqual(c.captions().map((s) => [s.heard, s.now]), [[24, false], [14, false]]);
});

test("the transcript holds what was heard, in its order", () => {
  const c = answering();
  c.hear(at(2500));
  c.customerSaid("No, thank you");
  c.take({ type: "audio", response: 2, rate: 16000 });
  c.take({ type: "bot-output", response: 2, segment: 0, text: "Goodbye.", atMs: 0 });
  c.hear(at(10, true, 2));
  assert.deepEqual(c.lines.map((l) => [l.by, l.text]), [
    ["customer", "Where is paint?"],
    ["kiosk", "Paint is in aisle seven. Anything else?"],
    ["customer", "No, thank you"],
    ["kiosk", "Goodbye."],
  ]);
});

test("a cut sentence stays as far as it was heard", () => {
  const c = answering();
  c.hear(at(1000));
  c.take({ type: "bot-interrupted", response: 1, playedMs: 1000 });
  c.hear(at(1040, false));
  assert.deepEqual(c.captions().map((s) => [s.heard, s.now, s.cut]), [[12, false, true]]);
  assert.equal(c.lines.at(-1)!.text, "Paint is in aisle seven.");
});

test("an unfinished utterance is shown but not noted", () => {
  const c = new Conversation();
  c.take({ type: "user-transcription", text: "Where is", final: false });
  assert.equal(c.said, "Where is");
  assert.equal(c.lines.length, 0);
});

test("a response whose sound goes elsewhere is shown at the gateway's word", () => {
  const c = new Conversation();
  c.take({ type: "bot-output", response: 1, segment: 0, text: "Hello.", atMs: 0 });
  c.hear(null);
  assert.deepEqual(c.captions(), []);
  c.take({ type: "bot-tts-text", response: 1, segment: 0, text: "Hello." });
  assert.deepEqual(c.captions().map((s) => [s.text, s.heard]), [["Hello.", 6]]);
});

test("the same sentence told again after a reconnect is shown once", () => {
  const c = answering();
  c.take({ type: "bot-output", response: 1, segment: 0, text: "Paint is in aisle seven.", atMs: 0 });
  c.hear(at(100));
  assert.equal(c.captions().length, 1);
});

test("a response that goes on after a noise is shown again", () => {
  const c = answering();
  c.hear(at(1000));
  c.take({ type: "user-transcription", text: "mhm", final: false });
  assert.deepEqual(c.captions(), []);
  c.take({ type: "audio", response: 1, rate: 16000 });
  c.take({ type: "bot-output", response: 1, segment: 1, text: "Anything else?", atMs: 2000 });
  c.hear(at(2500));
  assert.deepEqual(c.captions().map((s) => s.text), ["Paint is in aisle seven.", "Anything else?"]);
  assert.deepEqual(c.lines.map((l) => l.text), ["Where is paint?", "Paint is in aisle seven. Anything else?"]);
});

test("a gesture is due once, on the audio's clock", () => {
  const c = answering();
  c.take({ type: "cues", response: 1, cues: [{ at: 500, gesture: "nod" }, { at: 0, viseme: "aa", weight: 1 }] });
  assert.equal(c.takeGesture(at(499)), null);
  assert.equal(c.takeGesture(at(510)), "nod");
  assert.equal(c.takeGesture(at(520)), null);
  assert.deepEqual(c.visemes(at(0)), [{ at: 0, viseme: "aa", weight: 1 }]);
});

test("touching a button takes the buttons away; the next customer sees nothing of this one", () => {
  const c = answering();
  c.take({ type: "screen", card: null, buttons: [{ value: "y", label: "Yes" }] });
  c.take({ type: "state", state: "listening", language: "de" });
  assert.equal(c.language, "de");
  c.customerSaid("Yes");
  assert.deepEqual(c.buttons, []);
  c.reset();
  assert.deepEqual([c.state, c.said, c.lines.length, c.captions().length, c.language], ["idle", "", 0, 0, ""]);
});
