import assert from "node:assert/strict";
import { test } from "node:test";
import { MOUTHS, mouthAt, mouthFromLevel, type Mouth, type VisemeCue } from "../src/face/visemes.ts";
import { VISEMES } from "../src/protocol/messages.ts";

const cue = (at: number, viseme: VisemeCue["viseme"], weight = 1): VisemeCue => ({ at, viseme, weight });
const hello = [cue(0, "kk"), cue(120, "E"), cue(260, "nn"), cue(330, "O"), cue(560, "sil")];

test("between blends the mouth has the viseme's own shape", () => {
  assert.deepEqual(mouthAt(hello, 190), MOUTHS.E);
  assert.deepEqual(mouthAt(hello, 450), MOUTHS.O);
  assert.deepEqual(mouthAt(hello, 900), MOUTHS.sil);
});

test("before, without and long after cues the mouth rests", () => {
  assert.deepEqual(mouthAt([], 100), MOUTHS.sil);
  assert.deepEqual(mouthAt([cue(500, "aa")], 100), MOUTHS.sil);
  assert.deepEqual(mouthAt([cue(0, "aa")], 5000), MOUTHS.sil);
});

test("halfway through a blend the mouth is halfway", () => {
  const at = mouthAt(hello, 120);
  assert.ok(Math.abs(at.open - (MOUTHS.kk.open + MOUTHS.E.open) / 2) < 1e-9);
});

test("a lighter weight is a smaller movement", () => {
  assert.equal(mouthAt([cue(0, "aa", 0.5), cue(300, "sil")], 150).open, MOUTHS.aa.open / 2);
});

test("lips meet for p, b, m however short they are", () => {
  const cues = [cue(0, "aa"), cue(200, "PP"), cue(230, "aa"), cue(500, "sil")];
  assert.ok(mouthAt(cues, 215).press > 0.99);
});

test("no viseme and no blend makes the mouth jump", () => {
  const cues = VISEMES.flatMap((v, i) => [cue(i * 90, v), cue(i * 90 + 35, "aa", 0.7)]);
  let last: Mouth = mouthAt(cues, -100);
  for (let ms = -99; ms < 2500; ms++) {
    const now = mouthAt(cues, ms);
    for (const key of Object.keys(now) as (keyof Mouth)[]) {
      assert.ok(Math.abs(now[key] - last[key]) < 0.12, `${key} at ${ms} ms: ${last[key]} → ${now[key]}`);
    }
    last = now;
  }
});

test("without cues the jaw follows the loudness", () => {
  assert.equal(mouthFromLevel(0).open, 0);
  assert.ok(mouthFromLevel(0.2).open > mouthFromLevel(0.05).open);
  assert.equal(mouthFromLevel(1).open, 1);
});
