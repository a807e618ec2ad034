import type { FromCapture } from "../worklet/messages.ts";

/** Why there is no microphone. */
export type NoMicrophone = "denied" | "missing" | "insecure";

/**
 * The customer's voice as 16 kHz PCM16 frames of 20 ms, echo of the kiosk's own
 * voice removed by the browser. Open only during a conversation.
 */
export class Microphone {
  /** 0 to 1. */
  level = 0;
  private stream: MediaStream | null = null;
  private source: MediaStreamAudioSourceNode | null = null;
  private node: AudioWorkletNode | null = null;

  constructor(
    private readonly context: AudioContext,
    private readonly onFrame: (pcm: Int16Array<ArrayBuffer>) => void,
    private readonly onLost: () => void,
  ) {}

  get open(): boolean {
    return this.stream !== null;
  }

  /** Returns null once frames flow, or the reason why none will. */
  async start(): Promise<NoMicrophone | null> {
    if (this.stream) return null;
    // Browsers hide mediaDevices from pages that came over plain HTTP.
    if (!navigator.mediaDevices) return "insecure";
    let stream: MediaStream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({
        audio: { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true },
      });
    } catch (error) {
      return error instanceof DOMException && error.name === "NotAllowedError" ? "denied" : "missing";
    }
    this.stop();
    this.stream = stream;
    this.source = this.context.createMediaStreamSource(stream);
    this.node = new AudioWorkletNode(this.context, "parley-capture", { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" });
    this.node.port.onmessage = (event: MessageEvent<FromCapture>) => {
      this.level = event.data.level;
      this.onFrame(event.data.pcm);
    };
    this.source.connect(this.node);
    stream.getAudioTracks()[0]?.addEventListener("ended", () => {
      this.stop();
      this.onLost();
    });
    return null;
  }

  stop(): void {
    if (this.node) this.node.port.onmessage = null;
    this.node?.disconnect();
    this.source?.disconnect();
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.node = this.source = this.stream = null;
    this.level = 0;
  }
}
