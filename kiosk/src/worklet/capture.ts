import { Resampler } from "../audio/resample.ts";
import type { FromCapture } from "./messages.ts";

const RATE = 16_000;
const FRAME = 320; // 20 ms

class Capture extends AudioWorkletProcessor {
  private readonly resampler = new Resampler(sampleRate, RATE);
  private frame = new Int16Array(FRAME);
  private filled = 0;
  private energy = 0;

  process(inputs: Float32Array[][]): boolean {
    const input = inputs[0]?.[0];
    if (input) this.resampler.process(input, this.take);
    return true;
  }

  private readonly take = (sample: number): void => {
    const s = Math.max(-1, Math.min(1, sample));
    this.energy += s * s;
    this.frame[this.filled++] = Math.round(s * 32767);
    if (this.filled < FRAME) return;
    const message: FromCapture = { pcm: this.frame, level: Math.sqrt(this.energy / FRAME) };
    this.port.postMessage(message, [this.frame.buffer]);
    this.frame = new Int16Array(FRAME);
    this.filled = 0;
    this.energy = 0;
  };
}

registerProcessor("parley-capture", Capture);
