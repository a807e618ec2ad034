// Gestures as functions of time, to be added to whatever the face does besides.

import type { Gesture } from "../protocol/messages.ts";

/** What a body can do beyond speaking; 0 is rest. */
export interface Pose {
  /** Head: left −1 to right 1, up −1 to down 1, tilt in degrees. */
  yaw: number;
  pitch: number;
  roll: number;
  /** Brows: −1 drawn together to 1 raised. */
  brow: number;
  /** 0 to 1. */
  smile: number;
  /** Shoulders raised, 0 to 1. */
  shrug: number;
  /** Where the eyes go: −1 to 1. */
  gazeX: number;
  gazeY: number;
  /** Arm: 0 out of sight to 1 raised; the hand's angle in degrees; finger out or palm open. */
  arm: number;
  hand: number;
  pointing: boolean;
}

export const STILL: Pose = { yaw: 0, pitch: 0, roll: 0, brow: 0, smile: 0, shrug: 0, gazeX: 0, gazeY: 0, arm: 0, hand: 0, pointing: false };

/** Length of each gesture in ms. */
export const LENGTH: Record<Gesture, number> = { wave: 2200, nod: 900, shake: 1100, point: 2400, shrug: 1400, think: 2200, smile: 2600 };

/** The pose of a gesture t ms after it began; STILL outside of it. */
export function poseOf(gesture: Gesture, t: number): Pose {
  const length = LENGTH[gesture];
  if (t < 0 || t > length) return STILL;
  const on = envelope(t, length, 320);
  const swing = (hz: number): number => Math.sin((t / 1000) * hz * 2 * Math.PI);
  switch (gesture) {
    case "wave":
      return { ...STILL, arm: on, hand: 12 * swing(1.9) * on, smile: on, roll: -4 * on, brow: 0.5 * on };
    case "nod":
      return { ...STILL, pitch: 0.9 * Math.abs(swing(1.1)) * on, smile: 0.3 * on };
    case "shake":
      return { ...STILL, yaw: 0.9 * swing(1.8) * on, brow: -0.3 * on };
    case "point":
      return { ...STILL, arm: on, hand: 24 * on, pointing: true, gazeX: 0.8 * on, yaw: 0.5 * on, roll: 2 * on };
    case "shrug":
      return { ...STILL, shrug: on, brow: 0.9 * on, roll: 6 * on, pitch: -0.2 * on };
    case "think":
      return { ...STILL, gazeX: -0.7 * on, gazeY: -0.8 * on, roll: -5 * on, brow: 0.5 * on, yaw: -0.3 * on };
    case "smile":
      return { ...STILL, smile: on, brow: 0.3 * on };
  }
}

/** Adds b to a. */
export function add(a: Pose, b: Pose): Pose {
  return {
    yaw: a.yaw + b.yaw,
    pitch: a.pitch + b.pitch,
    roll: a.roll + b.roll,
    brow: a.brow + b.brow,
    smile: Math.min(1, a.smile + b.smile),
    shrug: a.shrug + b.shrug,
    gazeX: a.gazeX + b.gazeX,
    gazeY: a.gazeY + b.gazeY,
    arm: Math.max(a.arm, b.arm),
    hand: a.hand + b.hand,
    pointing: a.pointing || b.pointing,
  };
}

/** Rises over `ramp` ms, holds, and falls again at the end of `length`. */
function envelope(t: number, length: number, ramp: number): number {
  const x = Math.min(1, t / ramp, (length - t) / ramp);
  return x * x * (3 - 2 * x);
}
