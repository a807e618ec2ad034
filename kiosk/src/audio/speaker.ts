import type { AudioFrame } from "../protocol/frame.ts";
import type { FromPlayback, ToPlayback } from "../worklet/messages.ts";
import type { Position } from "./playout.ts";

/** How often the played position is reported while sound comes out, in ms. */
const REPORT_EVERY = 100;

/**
 * The kiosk's voice. Its position is the page's only clock for captions and
 * face: the samples the device has played, not the time that has passed.
 */
export class Speaker {
  /** Samples dropped because they came too far ahead. */
  overflow = 0;
  private readonly node: AudioWorkletNode;
  private readonly analyser: AnalyserNode;
  private readonly wave: Float32Array<ArrayBuffer>;
  private position: Position | null = null;
  private positionTime = 0;
  private reported = 0;

  constructor(
    private readonly context: AudioContext,
    private readonly onPlayed: (response: number, ms: number, done: boolean) => void,
  ) {
    this.node = new AudioWorkletNode(context, "parley-playback", { numberOfInputs: 0, outputChannelCount: [1] });
    this.node.port.onmessage = (event: MessageEvent<FromPlayback>) => this.take(event.data);
    this.analyser = context.createAnalyser();
    this.analyser.fftSize = 1024;
    this.wave = new Float32Array(this.analyser.fftSize);
    this.node.connect(this.analyser).connect(context.destination);
  }

  open(response: number, rate: number): void {
    this.post({ t: "open", response, rate });
  }

  push(frame: AudioFrame): void {
    this.post({ t: "push", ...frame }, [frame.pcm.buffer]);
  }

  end(response: number, ms: number): void {
    this.post({ t: "end", response, ms });
  }

  /** Silence now; null clears everything, so that the next conversation counts its responses anew. */
  clear(response: number | null): void {
    if (response === null) this.position = null;
    this.post({ t: "clear", response });
  }

  /** What the customer hears at this moment; null before the first sound. */
  heard(): Position | null {
    if (!this.position?.running) return this.position;
    const since = this.context.currentTime - this.positionTime - (this.context.outputLatency || 0);
    return { ...this.position, ms: Math.max(0, this.position.ms + since * 1000) };
  }

  /** Loudness of what comes out, 0 to 1. */
  level(): number {
    this.analyser.getFloatTimeDomainData(this.wave);
    let energy = 0;
    for (const sample of this.wave) energy += sample * sample;
    return Math.sqrt(energy / this.wave.length);
  }

  private take(m: FromPlayback): void {
    this.position = m.position;
    this.positionTime = m.time;
    this.overflow = m.overflow;
    for (const p of m.finished) this.onPlayed(p.response, p.ms, true);
    const now = performance.now();
    if (m.position?.running && now - this.reported >= REPORT_EVERY) {
      this.reported = now;
      this.onPlayed(m.position.response, m.position.ms, false);
    }
  }

  private post(m: ToPlayback, transfer: Transferable[] = []): void {
    this.node.port.postMessage(m, transfer);
  }
}
