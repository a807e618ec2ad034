import type { Line } from "./conversation.ts";
import type { MicState, Screen } from "./page.ts";
import type { Card, State } from "./protocol/messages.ts";

/**
 * The page's test door: `window.__parley`, a read-only snapshot taken when it is
 * read. Tests look through it; nothing can be done through it.
 */
export interface Door {
  screen: Screen;
  state: State;
  language: string;
  online: boolean;
  mic: MicState;
  /** The sentences on the screen, and how many of their characters were heard. */
  captions: { text: string; heard: number; now: boolean }[];
  /** Everything said in this conversation so far. */
  transcript: Line[];
  buttons: string[];
  /** What is beside the avatar, whether its picture or map is drawn, and the place on the map lit up. */
  card: (Card & { loaded: boolean; marked: boolean }) | null;
  /** Response being heard and its played position, in ms; 0 before the first. */
  response: number;
  playedMs: number;
  /** How far the face's mouth is open, 0 to 1. */
  mouth: number;
  /** Root mean square, 0 to 1: the microphone, and what leaves for the speakers. */
  levelIn: number;
  levelOut: number;
  /** Microphone frames sent, and frames and samples that had to be dropped. */
  framesSent: number;
  framesDropped: number;
  samplesDropped: number;
}

declare global {
  interface Window {
    readonly __parley: Door;
  }
}

export function openDoor(look: () => Door): void {
  Object.defineProperty(window, "__parley", { get: () => Object.freeze(look()) });
}
