// Band-limited conversion between sample rates: a windowed-sinc kernel read at
// any fractional position, so that every pair of rates works (48000 → 16000,
// 44100 → 16000, 22050 → 48000) without a fixed ratio.

/** Kernel positions tabulated between two samples; between those, linear. */
const PHASES = 128;
/** Zero crossings each side: stop band below −70 dB, passband to about 0.9 of the lower Nyquist rate. */
const CROSSINGS = 24;
/** Kaiser window shape: more attenuates more and widens the transition. */
const BETA = 8;

/** A low-pass for one pair of rates. */
export class Kernel {
  /** Samples each side of a position that its value depends on. */
  readonly reach: number;
  /** Input samples per output sample. */
  readonly step: number;
  private readonly table: Float32Array;
  private readonly width: number;

  constructor(inRate: number, outRate: number) {
    this.step = inRate / outRate;
    const cutoff = Math.min(1, outRate / inRate) * 0.93; // of the input's Nyquist rate
    this.reach = Math.ceil(CROSSINGS / cutoff);
    this.width = 2 * this.reach;
    this.table = new Float32Array((PHASES + 1) * this.width);
    for (let phase = 0; phase <= PHASES; phase++) {
      const row = phase * this.width;
      let sum = 0;
      for (let tap = 0; tap < this.width; tap++) {
        const x = tap - (this.reach - 1) - phase / PHASES; // distance from the position, in samples
        const value = sinc(x * cutoff) * kaiser(x / this.reach);
        this.table[row + tap] = value;
        sum += value;
      }
      // Every phase passes silence and a constant alike, or a steady tone would warble.
      for (let tap = 0; tap < this.width; tap++) this.table[row + tap]! /= sum;
    }
  }

  /** The signal's value at a fractional position of a ring whose length is a power of two. */
  at(ring: Float32Array, position: number): number {
    const mask = ring.length - 1;
    const whole = Math.floor(position);
    const phase = (position - whole) * PHASES;
    const row = Math.floor(phase);
    const mix = phase - row;
    const a = row * this.width;
    const b = a + this.width;
    const first = whole - this.reach + 1;
    let low = 0;
    let high = 0;
    for (let tap = 0; tap < this.width; tap++) {
      const sample = ring[(first + tap) & mask]!;
      low += sample * this.table[a + tap]!;
      high += sample * this.table[b + tap]!;
    }
    return low + (high - low) * mix;
  }
}

/** Converts a stream block by block. */
export class Resampler {
  private readonly kernel: Kernel;
  private readonly ring = new Float32Array(1024);
  private written = 0;
  private position = 0;

  constructor(inRate: number, outRate: number) {
    this.kernel = new Kernel(inRate, outRate);
  }

  /** Calls emit for each output sample that is complete after these input samples. */
  process(input: Float32Array, emit: (sample: number) => void): void {
    const mask = this.ring.length - 1;
    for (let i = 0; i < input.length; i++) {
      this.ring[this.written & mask] = input[i]!;
      this.written++;
      while (this.position + this.kernel.reach < this.written) {
        emit(this.kernel.at(this.ring, this.position));
        this.position += this.kernel.step;
      }
    }
  }
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

function kaiser(x: number): number {
  return Math.abs(x) >= 1 ? 0 : bessel(BETA * Math.sqrt(1 - x * x)) / bessel(BETA);
}

/** Modified Bessel function of the first kind, order 0, by its series. */
function bessel(x: number): number {
  let sum = 1;
  let term = 1;
  for (let k = 1; term > 1e-10 * sum; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}
