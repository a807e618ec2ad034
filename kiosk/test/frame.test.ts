import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeFrame, encodeFrame } from "../src/protocol/frame.ts";

test("a frame comes back as it went", () => {
  const frame = { response: 513, offset: 0x01020304, last: true, pcm: Int16Array.of(0, 1, -1, 32767, -32768) };
  assert.deepEqual(decodeFrame(encodeFrame(frame)), frame);
});

test("the header is laid out as the protocol says", () => {
  const bytes = [...new Uint8Array(encodeFrame({ response: 0x0201, offset: 0x06050403, last: true, pcm: Int16Array.of(0x0807) }))];
  assert.deepEqual(bytes, [1, 1, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08]);
});

const broken: [string, number[] | Uint8Array, RegExp][] = [
  ["too short", [1, 0, 0], /3 bytes/],
  ["another kind", [2, 0, 0, 0, 0, 0, 0, 0], /kind is 2/],
  ["half a sample", [1, 0, 0, 0, 0, 0, 0, 0, 9], /must be even/],
  ["too long", Uint8Array.from({ length: 8 + 8194 }, (_, i) => (i === 0 ? 1 : 0)), /at most 8192/],
];
for (const [name, bytes, message] of broken) {
  test(`a broken frame is refused: ${name}`, () => {
    assert.throws(() => decodeFrame(Uint8Array.from(bytes).buffer), message);
  });
}
