// From a timeline of visemes to the shape of a mouth at one moment.

import type { Viseme } from "../protocol/messages.ts";

/** A mouth, each value 0 to 1 except width. */
export interface Mouth {
  /** How far the jaw is down. */
  open: number;
  /** Of the mouth at rest. */
  width: number;
  /** Lips rounded forward. */
  round: number;
  /** Lips pressed on each other. */
  press: number;
  /** Upper teeth to be seen. */
  teeth: number;
  /** Tongue raised. */
  tongue: number;
  /** Lower lip under the upper teeth. */
  tuck: number;
}

const REST: Mouth = { open: 0, width: 1, round: 0, press: 0, teeth: 0, tongue: 0, tuck: 0 };

const mouth = (m: Partial<Mouth>): Mouth => ({ ...REST, ...m });

/** The fifteen visemes of the OVR set, as this face makes them. */
export const MOUTHS: Record<Viseme, Mouth> = {
  sil: REST,
  PP: mouth({ width: 0.94, press: 1 }),
  FF: mouth({ open: 0.14, width: 0.98, teeth: 1, tuck: 1 }),
  TH: mouth({ open: 0.3, teeth: 0.35, tongue: 1 }),
  DD: mouth({ open: 0.26, width: 1.02, teeth: 0.8, tongue: 0.7 }),
  kk: mouth({ open: 0.34, teeth: 0.6, tongue: 0.2 }),
  CH: mouth({ open: 0.26, width: 0.74, round: 0.6, teeth: 1 }),
  SS: mouth({ open: 0.16, width: 1.1, teeth: 1 }),
  nn: mouth({ open: 0.22, teeth: 0.6, tongue: 0.8 }),
  RR: mouth({ open: 0.26, width: 0.8, round: 0.5, teeth: 0.3 }),
  aa: mouth({ open: 0.9, width: 1.02, teeth: 0.7 }),
  E: mouth({ open: 0.56, width: 1.12, teeth: 0.8 }),
  I: mouth({ open: 0.34, width: 1.2, teeth: 0.9 }),
  O: mouth({ open: 0.66, width: 0.68, round: 1 }),
  U: mouth({ open: 0.32, width: 0.52, round: 1 }),
};

/** A viseme that begins at `at` ms and holds until the next. */
export interface VisemeCue {
  at: number;
  viseme: Viseme;
  weight: number;
}

/** Half of the time in which one shape becomes the next, in ms: lips move ahead of the sound and trail it. */
const BLEND = 45;
/** A shape with nothing after it relaxes after this long, in ms. */
const LONGEST = 400;

/** The mouth at `ms` of a timeline in order of time. */
export function mouthAt(cues: readonly VisemeCue[], ms: number): Mouth {
  const i = lastBefore(cues, ms);
  const here = shape(cues[i]);
  if (i >= 0 && ms - cues[i]!.at < halfBlend(cues, i)) {
    return mix(shape(cues[i - 1]), here, smooth(0.5 + (ms - cues[i]!.at) / (2 * halfBlend(cues, i))));
  }
  const next = cues[i + 1];
  if (next && next.at - ms < halfBlend(cues, i + 1)) {
    return mix(here, shape(next), smooth(0.5 - (next.at - ms) / (2 * halfBlend(cues, i + 1))));
  }
  if (!next && i >= 0 && ms - cues[i]!.at > LONGEST) {
    return mix(here, REST, smooth(Math.min(1, (ms - cues[i]!.at - LONGEST) / (2 * BLEND))));
  }
  return here;
}

/** A mouth for a voice that comes without visemes: only the jaw follows its loudness (0 to 1). */
export function mouthFromLevel(level: number): Mouth {
  return mouth({ open: Math.min(1, level * 4.5), teeth: 0.6 });
}

/** From a to b; t from 0 to 1. */
export function mix(a: Mouth, b: Mouth, t: number): Mouth {
  const at = (x: number, y: number): number => x + (y - x) * t;
  return {
    open: at(a.open, b.open),
    width: at(a.width, b.width),
    round: at(a.round, b.round),
    press: at(a.press, b.press),
    teeth: at(a.teeth, b.teeth),
    tongue: at(a.tongue, b.tongue),
    tuck: at(a.tuck, b.tuck),
  };
}

function shape(cue: VisemeCue | undefined): Mouth {
  return cue ? mix(REST, MOUTHS[cue.viseme], cue.weight) : REST;
}

// A blend never reaches past the middle between two cues, so a short viseme
// still shows its own shape.
function halfBlend(cues: readonly VisemeCue[], i: number): number {
  const at = cues[i]!.at;
  const before = i > 0 ? (at - cues[i - 1]!.at) / 2 : BLEND;
  const after = i + 1 < cues.length ? (cues[i + 1]!.at - at) / 2 : BLEND;
  return Math.min(BLEND, before, after);
}

/** Index of the last cue at or before ms; -1 when there is none. */
function lastBefore(cues: readonly VisemeCue[], ms: number): number {
  let low = 0;
  let high = cues.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (cues[middle]!.at <= ms) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

function smooth(t: number): number {
  const x = Math.min(1, Math.max(0, t));
  return x * x * (3 - 2 * x);
}
