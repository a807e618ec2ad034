import assert from "node:assert/strict";
import { test } from "node:test";
import { parseMessage } from "../src/protocol/messages.ts";

const message = (type: string, data?: unknown): string => JSON.stringify({ label: "rtvi-ai", id: "1", type, data });
const server = (t: string, d?: unknown): string => message("server-message", { t, d });

test("bot-ready tells who we are", () => {
  const m = parseMessage(message("bot-ready", {
    version: "1.0",
    about: { store: "s", kiosk: "k", session: "x", resume_token: "r", name: "Shop", languages: ["en", 7], brand: { name: "Miller", accent: "#123abc", surface: "url(x)", text: "#fff" } },
  }));
  assert.deepEqual(m, {
    type: "bot-ready",
    about: { store: "s", kiosk: "k", session: "x", resumeToken: "r", name: "Shop", languages: ["en"], brand: { name: "Miller", colours: { accent: "#123abc" } } },
  });
});

test("messages are flattened and checked", () => {
  assert.deepEqual(parseMessage(server("ack", { seq: 7 })), { type: "ack", seq: 7 });
  assert.deepEqual(parseMessage(server("move")), { type: "move" });
  assert.deepEqual(parseMessage(server("state", { state: "listening", language: "de" })), { type: "state", state: "listening", language: "de" });
  assert.deepEqual(parseMessage(message("bot-output", { text: "Hi.", response: 1, segment: 0, at_ms: 40 })), { type: "bot-output", text: "Hi.", response: 1, segment: 0, atMs: 40 });
  assert.deepEqual(parseMessage(message("user-stopped-speaking", null)), { type: "user-stopped-speaking" });
});

test("a cue that is new to this page does not spoil the others", () => {
  const cues = [{ at: 0, viseme: "aa", weight: 3 }, { at: 5, viseme: "zz" }, { at: 9, gesture: "bow" }, { at: 10, gesture: "nod" }];
  assert.deepEqual(parseMessage(server("cues", { response: 1, cues })), {
    type: "cues", response: 1, cues: [{ at: 0, viseme: "aa", weight: 1 }, { at: 10, gesture: "nod" }],
  });
});

test("a screen is a card and buttons, either may be missing", () => {
  const buttons = [{ value: "y", label: "Yes" }];
  assert.deepEqual(parseMessage(server("screen", { title: "Aisle 4", map: "store/media/map.svg", mark: "a4", buttons })), {
    type: "screen", card: { title: "Aisle 4", text: "", picture: "", map: "store/media/map.svg", mark: "a4", alt: "" }, buttons,
  });
  assert.deepEqual(parseMessage(server("screen", { buttons })), { type: "screen", card: null, buttons });
  assert.deepEqual(parseMessage(server("screen", { text: "Hi" })), { type: "screen", card: { title: "", text: "Hi", picture: "", map: "", mark: "", alt: "" }, buttons: [] });
});

test("a message of a newer gateway is passed over", () => {
  assert.equal(parseMessage(message("bot-blinked", {})), null);
  assert.equal(parseMessage(server("confetti")), null);
});

const broken: [string, RegExp][] = [
  ["{", /JSON/],
  ["[]", /message: must be an object/],
  [JSON.stringify({ label: "x", type: "bot-ready" }), /label/],
  [message("bot-output", { text: 1, response: 1, segment: 0, at_ms: 0 }), /text: must be a string/],
  [server("ack", { seq: "7" }), /seq: must be a number/],
  [server("audio", { response: 1, rate: 1 }), /rate is 1/],
  [server("state", { state: "asleep" }), /asleep/],
  [server("screen", { buttons: {} }), /buttons: must be a list/],
];
for (const [text, error] of broken) {
  test(`a broken message names its field: ${text.slice(0, 60)}`, () => assert.throws(() => parseMessage(text), error));
}
