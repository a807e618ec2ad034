// What the page and its worklets say to each other.

import type { Position } from "../audio/playout.ts";

export type ToPlayback =
  | { t: "open"; response: number; rate: number }
  | { t: "push"; response: number; offset: number; pcm: Int16Array; last: boolean }
  | { t: "end"; response: number; ms: number }
  | { t: "clear"; response: number | null };

export interface FromPlayback {
  /** null before the first response. */
  position: Position | null;
  /** The context's time when the position was taken, in seconds. */
  time: number;
  finished: Position[];
  overflow: number;
}

export interface FromCapture {
  /** 20 ms at 16 kHz. */
  pcm: Int16Array<ArrayBuffer>;
  /** Root mean square, 0 to 1. */
  level: number;
}
