import { Microphone } from "./microphone.ts";
import { Speaker } from "./speaker.ts";

/** The page's ears and voice, on one audio context. */
export interface Sound {
  context: AudioContext;
  speaker: Speaker;
  microphone: Microphone;
}

export interface SoundEvents {
  onPlayed: (response: number, ms: number, done: boolean) => void;
  onFrame: (pcm: Int16Array<ArrayBuffer>) => void;
  onMicrophoneLost: () => void;
}

/**
 * Loads both worklets ahead of the first touch; until then the browser keeps the
 * context suspended. Returns null where there can be no sound: a browser hides
 * AudioWorklet from a page that came over plain HTTP.
 */
export async function openSound(e: SoundEvents): Promise<Sound | null> {
  try {
    const context = new AudioContext({ latencyHint: "interactive" });
    await Promise.all(["playback-worklet.js", "capture-worklet.js"].map((file) => context.audioWorklet.addModule(file)));
    return {
      context,
      speaker: new Speaker(context, e.onPlayed),
      microphone: new Microphone(context, e.onFrame, e.onMicrophoneLost),
    };
  } catch (error) {
    console.warn("no sound on this page", error);
    return null;
  }
}
