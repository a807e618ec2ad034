import { Playout } from "../audio/playout.ts";
import type { FromPlayback, ToPlayback } from "./messages.ts";

/** Blocks of 128 samples between two reports: about 21 ms at 48 kHz, one per drawn frame. */
const REPORT_BLOCKS = 8;

class Playback extends AudioWorkletProcessor {
  private readonly playout = new Playout(sampleRate);
  private blocks = 0;
  private wasRunning = false;

  constructor() {
    super();
    this.port.onmessage = (event: MessageEvent<ToPlayback>) => this.take(event.data);
  }

  private take(m: ToPlayback): void {
    switch (m.t) {
      case "open":
        return this.playout.open(m.response, m.rate);
      case "push":
        return this.playout.push(m.response, m.offset, m.pcm, m.last);
      case "end":
        return this.playout.end(m.response, m.ms);
      case "clear":
        return this.playout.clear(m.response);
    }
  }

  process(_inputs: Float32Array[][], outputs: Float32Array[][]): boolean {
    const out = outputs[0]?.[0];
    if (!out) return true;
    this.playout.render(out);
    this.report();
    return true;
  }

  // A report goes out at once when something ended or began, else at its pace,
  // and not at all in silence.
  private report(): void {
    this.blocks++;
    const finished = this.playout.takeFinished();
    const position = this.playout.position();
    const running = position?.running ?? false;
    const changed = running !== this.wasRunning || finished.length > 0;
    if (!changed && !(running && this.blocks >= REPORT_BLOCKS)) return;
    this.blocks = 0;
    this.wasRunning = running;
    const report: FromPlayback = { position, time: currentTime, finished, overflow: this.playout.overflow };
    this.port.postMessage(report);
  }
}

registerProcessor("parley-playback", Playback);
