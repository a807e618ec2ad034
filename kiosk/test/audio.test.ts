import assert from "node:assert/strict";
import { test } from "node:test";
import { Playout } from "../src/audio/playout.ts";
import { Resampler } from "../src/audio/resample.ts";

function sine(hz: number, rate: number, seconds: number, level = 0.5): Float32Array {
  return Float32Array.from({ length: Math.round(rate * seconds) }, (_, i) => level * Math.sin((2 * Math.PI * hz * i) / rate));
}

function rms(samples: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < samples.length; i++) sum += samples[i]! ** 2;
  return Math.sqrt(sum / samples.length);
}

/** The part of the signal at one frequency, as the RMS of that sine. */
function rmsAt(hz: number, rate: number, samples: ArrayLike<number>): number {
  let re = 0;
  let im = 0;
  for (let i = 0; i < samples.length; i++) {
    re += samples[i]! * Math.cos((2 * Math.PI * hz * i) / rate);
    im += samples[i]! * Math.sin((2 * Math.PI * hz * i) / rate);
  }
  return (Math.hypot(re, im) * Math.SQRT2) / samples.length;
}

function resample(input: Float32Array, from: number, to: number): number[] {
  const out: number[] = [];
  const r = new Resampler(from, to);
  for (let i = 0; i < input.length; i += 128) r.process(input.subarray(i, i + 128), (s) => out.push(s));
  return out;
}

const decibels = (ratio: number): number => 20 * Math.log10(ratio);

for (const [from, to] of [[48000, 16000], [44100, 16000], [96000, 16000], [22050, 48000], [24000, 44100], [16000, 16000]] as const) {
  test(`${from} → ${to} Hz: a sine stays that sine`, () => {
    const input = sine(1000, from, 1);
    const out = resample(input, from, to).slice(to / 10, to / 10 + to / 2); // whole periods, past the start
    const level = rms(input);
    assert.ok(Math.abs(decibels(rmsAt(1000, to, out) / level)) < 0.1, "level within 0.1 dB");
    const rest = Math.sqrt(Math.max(0, rms(out) ** 2 - rmsAt(1000, to, out) ** 2));
    assert.ok(decibels(rest / level) < -60, `distortion ${decibels(rest / level).toFixed(1)} dB`);
  });
}

test("what 16 kHz cannot carry does not come back as another tone", () => {
  const out = resample(sine(10_000, 48000, 1), 48000, 16000).slice(1600);
  assert.ok(decibels(rms(out) / rms(sine(10_000, 48000, 1))) < -60);
});

test("speech up to 7 kHz passes", () => {
  const out = resample(sine(7000, 48000, 1), 48000, 16000).slice(1600, 9600);
  assert.ok(Math.abs(decibels(rms(out) / rms(sine(7000, 48000, 1)))) < 1);
});

test("a second in is a second out", () => {
  const out = resample(new Float32Array(44100), 44100, 16000);
  assert.ok(Math.abs(out.length - 16000) < 40, String(out.length));
});

// Playout

function pcm(samples: Float32Array): Int16Array {
  return Int16Array.from(samples, (s) => Math.round(s * 32767));
}

function render(p: Playout, blocks: number): Float32Array {
  const out = new Float32Array(blocks * 128);
  for (let i = 0; i < blocks; i++) p.render(out.subarray(i * 128, (i + 1) * 128));
  return out;
}

function push(p: Playout, response: number, audio: Int16Array, last: boolean, from = 0): void {
  for (let i = 0; i < audio.length; i += 320) {
    p.push(response, from + i, audio.subarray(i, i + 320), last && i + 320 >= audio.length);
  }
}

test("a response is heard whole and counted in its own samples", () => {
  const p = new Playout(48000);
  p.open(1, 16000);
  push(p, 1, pcm(sine(500, 16000, 0.5)), true);
  const out = render(p, 48000 / 128); // a second
  assert.ok(Math.abs(rms(out.subarray(2400, 21600)) - 0.5 / Math.SQRT2) < 0.01);
  assert.ok(rms(out.subarray(24_200)) < 1e-6, "silence after it");
  assert.deepEqual(p.takeFinished(), [{ response: 1, ms: 500, running: false }]);
  assert.deepEqual(p.takeFinished(), []);
});

test("the position follows what the device has played", () => {
  const p = new Playout(48000);
  assert.equal(p.position(), null);
  p.open(1, 22050);
  push(p, 1, pcm(sine(300, 22050, 1)), false);
  render(p, 75); // 200 ms
  assert.deepEqual(p.position(), { response: 1, ms: 200, running: true });
});

test("it waits for a little audio before it starts, and again after running dry", () => {
  const p = new Playout(48000);
  p.open(1, 16000);
  p.push(1, 0, pcm(sine(500, 16000, 0.04)), false);
  assert.equal(rms(render(p, 10)), 0);
  p.push(1, 640, pcm(sine(500, 16000, 0.1)), false);
  assert.ok(rms(render(p, 40)) > 0);
  render(p, 40);
  const dry = p.position()!;
  assert.equal(dry.running, false);
  assert.ok(dry.ms > 130 && dry.ms <= 140, String(dry.ms));
  p.push(1, 2240, pcm(sine(500, 16000, 0.02)), false);
  assert.equal(rms(render(p, 10)), 0);
  p.push(1, 2560, pcm(sine(500, 16000, 0.02)), true);
  render(p, 40);
  assert.deepEqual(p.takeFinished(), [{ response: 1, ms: 180, running: false }]);
});

test("a length told ahead of the last frames does not cut them off", () => {
  const p = new Playout(48000);
  p.open(1, 16000);
  p.end(1, 500);
  push(p, 1, pcm(sine(500, 16000, 0.25)), false);
  render(p, 120);
  assert.deepEqual(p.takeFinished(), []);
  push(p, 1, pcm(sine(500, 16000, 0.25)), false, 4000);
  render(p, 120);
  assert.deepEqual(p.takeFinished(), [{ response: 1, ms: 500, running: false }]);
});

test("an empty response is over at once", () => {
  const p = new Playout(48000);
  p.open(1, 16000);
  p.end(1, 0);
  render(p, 1);
  assert.deepEqual(p.takeFinished(), [{ response: 1, ms: 0, running: false }]);
});

test("clear is silence within 6 ms, without a click, and says how far it was heard", () => {
  const p = new Playout(48000);
  p.open(1, 16000);
  push(p, 1, pcm(sine(200, 16000, 1)), false);
  render(p, 75);
  p.clear(1);
  const out = render(p, 20);
  assert.ok(rms(out.subarray(0, 128)) > 0.01, "fades");
  assert.equal(rms(out.subarray(320)), 0, "then silence");
  for (let i = 1; i < out.length; i++) assert.ok(Math.abs(out[i]! - out[i - 1]!) < 0.05, `jump at ${i}`);
  assert.deepEqual(p.takeFinished(), [{ response: 1, ms: 200, running: false }]);
  p.push(1, 16000, pcm(sine(200, 16000, 0.2)), true); // what was still on its way
  assert.equal(rms(render(p, 20)), 0);
});

test("clear of a response that never came is answered too", () => {
  const p = new Playout(48000);
  p.clear(9);
  assert.deepEqual(p.takeFinished(), [{ response: 9, ms: 0, running: false }]);
});

test("responses play one after the other", () => {
  const p = new Playout(48000);
  for (const [response, seconds] of [[1, 0.2], [2, 0.3]] as const) {
    p.open(response, 16000);
    push(p, response, pcm(sine(500, 16000, seconds)), true);
  }
  render(p, 95); // 253 ms
  assert.equal(p.position()!.response, 2);
  render(p, 120);
  assert.deepEqual(p.takeFinished().map((f) => [f.response, f.ms]), [[1, 200], [2, 300]]);
});

test("a response whose gateway has died does not hold up the next one", () => {
  const p = new Playout(48000);
  p.open(1, 16000);
  push(p, 1, pcm(sine(500, 16000, 0.2)), false);
  render(p, 95); // it runs dry
  p.open(2, 16000);
  push(p, 2, pcm(sine(500, 16000, 0.3)), true);
  render(p, 200);
  assert.deepEqual(p.takeFinished().map((f) => [f.response, f.ms]), [[1, 200], [2, 300]]);
});

test("audio that is sent again after a reconnect is not heard twice", () => {
  const p = new Playout(48000);
  const audio = pcm(sine(500, 16000, 0.5));
  p.open(1, 16000);
  push(p, 1, audio.subarray(0, 4800), false);
  render(p, 38); // 101 ms
  p.open(1, 16000);
  push(p, 1, audio.subarray(1600), true, 1600);
  render(p, 200);
  assert.deepEqual(p.takeFinished(), [{ response: 1, ms: 500, running: false }]);
});

test("a response that was held goes on where it was", () => {
  const p = new Playout(48000);
  const audio = pcm(sine(500, 16000, 0.5));
  p.open(1, 16000);
  push(p, 1, audio, false);
  render(p, 75);
  p.clear(1);
  render(p, 20);
  p.open(1, 16000);
  push(p, 1, audio.subarray(3200), true, 3200);
  render(p, 75);
  assert.deepEqual(p.position(), { response: 1, ms: 400, running: true });
  render(p, 100);
  assert.deepEqual(p.takeFinished().map((f) => f.ms), [200, 500]);
});

test("a response that this page joins in the middle keeps its own count", () => {
  const p = new Playout(48000);
  p.open(1, 16000);
  push(p, 1, pcm(sine(500, 16000, 0.5)), true, 16000);
  render(p, 75);
  assert.equal(p.position()!.ms, 1200);
});

test("too far ahead is dropped and counted", () => {
  const p = new Playout(48000);
  p.open(1, 16000);
  push(p, 1, new Int16Array(16000 * 10), false);
  assert.ok(p.overflow > 0);
});
