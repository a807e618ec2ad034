// What the speaker plays next. Runs inside the playback worklet; a plain class,
// so that it is tested without one.

import { Kernel } from "./resample.ts";

/** Where a response stands: ms of its audio that have been played. */
export interface Position {
  response: number;
  ms: number;
  /** Sound is coming out now; false while waiting for audio. */
  running: boolean;
}

/** Samples a response may be ahead of what is played: 2.7 s at 48 kHz, and the gateway keeps to one second. */
const RING = 131_072;
/** Audio gathered before a response starts or goes on after running dry, in ms. */
const PREBUFFER = 80;
/** Responses that wait behind the one being played. */
const MAX_WAITING = 4;
/** Length of the fade that keeps a cut from clicking, in ms. */
const FADE = 6;

interface Track {
  response: number;
  rate: number;
  kernel: Kernel;
  ring: Float32Array;
  // First sample that this page was given: more than 0 when a connection was lost
  // in the middle of a response. null until its first frame.
  start: number | null;
  cursor: number; // source samples, fractional
  written: number; // source samples
  length: number; // source samples; Infinity until known
  complete: boolean;
  running: boolean;
}

export class Playout {
  /** Source samples thrown away because the gateway sent too far ahead. */
  overflow = 0;
  private readonly tracks: Track[] = [];
  private readonly rings: Float32Array[] = [];
  private readonly kernels = new Map<number, Kernel>();
  private fading: Track | null = null;
  private fadeLeft = 0;
  private readonly finished: Position[] = [];
  private last: Position | null = null;

  /** outRate is the rate of the audio device. */
  constructor(private readonly outRate: number) {}

  /**
   * Announces a response and its rate; once more after a reconnect changes nothing.
   * A gateway begins a response only when those before it are over: what has come of
   * one whose gateway has died is all that will.
   */
  open(response: number, rate: number): void {
    if (this.find(response)) return;
    for (const track of this.tracks) track.complete = true;
    if (this.tracks.length > MAX_WAITING) this.retire(this.tracks.pop()!);
    this.tracks.push({
      response, rate, kernel: this.kernelFor(rate), ring: this.rings.pop() ?? new Float32Array(RING),
      start: null, cursor: 0, written: 0, length: Infinity, complete: false, running: false,
    });
  }

  /** Takes a frame of a response that was opened; audio it has already is skipped. */
  push(response: number, offset: number, pcm: Int16Array, last: boolean): void {
    const track = this.find(response);
    if (!track) return;
    if (track.start === null) track.start = track.cursor = track.written = offset;
    // What was lost on the way is silence, or the face would run ahead of the voice.
    const gap = Math.min(offset, this.limit(track));
    while (track.written < gap) this.write(track, 0);
    for (let i = Math.max(0, track.written - offset); i < pcm.length; i++) {
      if (track.written >= this.limit(track)) {
        this.overflow += pcm.length - i;
        break;
      }
      this.write(track, pcm[i]! / 32768);
    }
    track.complete ||= last || track.written >= track.length;
  }

  /**
   * Tells how long a response is, in ms. That is known before its last frames are
   * here, so it only completes a response which has that much.
   */
  end(response: number, ms: number): void {
    const track = this.find(response);
    if (!track) return;
    track.length = ((ms - 1) * track.rate) / 1000; // ms is rounded
    track.complete ||= track.written >= track.length;
  }

  /** Throws away a response and counts it as finished; all of them, and the position, when it is null. */
  clear(response: number | null): void {
    for (const track of this.tracks.filter((t) => response === null || t.response === response)) {
      this.tracks.splice(this.tracks.indexOf(track), 1);
      const sounding = track.running;
      this.finish(track);
      if (sounding && !this.fading) {
        this.fading = track;
        this.fadeLeft = Math.round((FADE / 1000) * this.outRate);
      } else {
        this.retire(track);
      }
    }
    if (response === null) this.last = null;
    // One that was never announced is answered too: its sender waits for that.
    if (response !== null && !this.finished.some((p) => p.response === response)) {
      const ms = this.last?.response === response ? this.last.ms : 0;
      this.finished.push({ response, ms, running: false });
    }
  }

  /** Fills one block for the device. */
  render(out: Float32Array): void {
    out.fill(0);
    this.fade(out);
    let at = 0;
    while (at < out.length) {
      const track = this.tracks[0];
      if (!track) return;
      if (!track.running) {
        const buffered = ((track.written - track.cursor) / track.rate) * 1000;
        if (!track.complete && buffered < PREBUFFER) return;
        track.running = true;
      }
      at = this.play(track, out, at);
      if (track.running) return;
      if (!track.complete) return; // ran dry
      this.tracks.shift();
      this.finish(track);
      this.retire(track);
    }
  }

  /** Where the response being played stands, or the last one that was; null before the first. */
  position(): Position | null {
    const track = this.tracks[0];
    if (track && (track.running || track.cursor > (track.start ?? 0))) this.last = position(track);
    else if (this.last) this.last = { ...this.last, running: false };
    return this.last;
  }

  /** Responses that ended since the last call, with how far they were heard. */
  takeFinished(): Position[] {
    return this.finished.splice(0);
  }

  // play renders until the block is full or the track has no more to give, and
  // returns how far it came.
  private play(track: Track, out: Float32Array, at: number): number {
    // The kernel looks ahead: near the end of an unfinished response that is
    // audio which has not come yet.
    const until = track.complete ? track.written : track.written - track.kernel.reach;
    for (; at < out.length; at++) {
      if (track.cursor >= until) {
        track.running = false;
        if (track.complete) track.cursor = track.written;
        return at;
      }
      out[at]! += track.kernel.at(track.ring, track.cursor);
      track.cursor += track.kernel.step;
    }
    return at;
  }

  private finish(track: Track): void {
    track.running = false;
    const p = position(track);
    this.finished.push(p);
    if (p.ms > 0) this.last = p;
  }

  private fade(out: Float32Array): void {
    const track = this.fading;
    if (!track) return;
    const length = (FADE / 1000) * this.outRate;
    for (let i = 0; i < out.length && this.fadeLeft > 0; i++, this.fadeLeft--) {
      if (track.cursor >= track.written) this.fadeLeft = 1;
      else out[i]! += track.kernel.at(track.ring, track.cursor) * (this.fadeLeft / length);
      track.cursor += track.kernel.step;
    }
    if (this.fadeLeft > 0) return;
    this.fading = null;
    this.retire(track);
  }

  private write(track: Track, sample: number): void {
    track.ring[track.written & (RING - 1)] = sample;
    track.written++;
  }

  /** First sample that does not fit: the kernel still needs some that were played. */
  private limit(track: Track): number {
    return Math.floor(track.cursor) + RING - 2 * track.kernel.reach;
  }

  private find(response: number): Track | undefined {
    return this.tracks.find((t) => t.response === response);
  }

  // A ring is cleared before it is used again: the kernel reads a little before
  // a response's first sample and after its last.
  private retire(track: Track): void {
    if (this.rings.length > MAX_WAITING) return;
    track.ring.fill(0);
    this.rings.push(track.ring);
  }

  private kernelFor(rate: number): Kernel {
    let kernel = this.kernels.get(rate);
    if (!kernel) this.kernels.set(rate, (kernel = new Kernel(rate, this.outRate)));
    return kernel;
  }
}

function position(track: Track): Position {
  return { response: track.response, ms: Math.round((Math.min(track.cursor, track.written) / track.rate) * 1000), running: track.running };
}
