// The kiosk's face: an SVG moved by numbers. It knows nothing of messages; it is
// told the mouth, the state and the gestures, and draws.

import type { Gesture, State } from "../protocol/messages.ts";
import drawing from "./face.svg";
import { add, LENGTH, poseOf, STILL, type Pose } from "./gestures.ts";
import type { Mouth } from "./visemes.ts";

/** How the face holds itself in each state, besides what it says. */
const BEARING: Record<State, Partial<Pose>> = {
  idle: { smile: 0.75, brow: 0.1 },
  listening: { smile: 0.6, brow: 0.3, roll: -2.5, pitch: 0.1 },
  thinking: { gazeX: -0.55, gazeY: -0.6, brow: 0.25, roll: 2, smile: 0.3 },
  speaking: { smile: 0.45 },
};

/** Time in which the face takes on a new bearing, in ms. */
const EASE = 180;
const BLINK = 150;

export class Face {
  private readonly parts = new Map<string, SVGElement>();
  private bearing: Pose = STILL;
  private gesture: { name: Gesture; start: number } | null = null;
  private blinkAt = 0;
  private glance = { x: 0, y: 0, until: 0 };
  private last = 0;

  /** calm: no movement but speech and blinking, for people who ask for that. */
  constructor(host: Element, private readonly calm: () => boolean, private readonly random: () => number = Math.random) {
    const svg = document.importNode(new DOMParser().parseFromString(drawing, "image/svg+xml").documentElement, true);
    for (const part of svg.querySelectorAll<SVGElement>("[data-part]")) this.parts.set(part.dataset["part"]!, part);
    host.append(svg);
  }

  gesticulate(name: Gesture, now: number): void {
    this.gesture = { name, start: now };
  }

  /** Draws one moment; now in ms. */
  draw(now: number, state: State, mouth: Mouth): void {
    const pose = this.pose(now, state, mouth);
    const breath = this.calm() ? 0 : Math.sin(now / 1000 * 1.5);
    this.drawBody(pose, breath);
    this.drawHead(pose, breath, mouth);
    this.drawEyes(pose, 1 - this.blink(now));
    this.drawMouth(mouth, pose.smile);
    this.drawArm(pose);
  }

  private pose(now: number, state: State, mouth: Mouth): Pose {
    const step = Math.min(100, now - this.last);
    this.last = now;
    this.bearing = ease(this.bearing, { ...STILL, ...BEARING[state] }, 1 - Math.exp(-step / EASE));
    if (this.calm()) return { ...this.bearing, roll: 0 };
    let pose = this.bearing;
    // Nobody stands still: the head drifts, and moves a little with the voice.
    pose = add(pose, { ...STILL, yaw: 0.16 * Math.sin(now / 1900) + 0.06 * Math.sin(now / 730), roll: 1.1 * Math.sin(now / 2300), pitch: 0.08 * Math.sin(now / 1700) + mouth.open * 0.1 });
    const { x, y } = this.look(now, state);
    pose = add(pose, { ...STILL, gazeX: x, gazeY: y, yaw: x * 0.25 });
    if (this.gesture && now - this.gesture.start > LENGTH[this.gesture.name]) this.gesture = null;
    return this.gesture ? add(pose, poseOf(this.gesture.name, now - this.gesture.start)) : pose;
  }

  // look gives short glances aside; while listening the eyes stay with the customer.
  private look(now: number, state: State): { x: number; y: number } {
    if (now > this.glance.until) {
      const aside = state !== "listening" && this.random() < 0.35;
      this.glance = aside
        ? { x: (this.random() - 0.5) * 0.9, y: (this.random() - 0.6) * 0.4, until: now + 500 + this.random() * 700 }
        : { x: (this.random() - 0.5) * 0.12, y: (this.random() - 0.5) * 0.1, until: now + 900 + this.random() * 2200 };
    }
    return this.glance;
  }

  /** 0 open to 1 shut. */
  private blink(now: number): number {
    if (now > this.blinkAt + BLINK) this.blinkAt = now + 1800 + this.random() * 3600;
    return now < this.blinkAt ? 0 : Math.sin(((now - this.blinkAt) / BLINK) * Math.PI);
  }

  private drawBody(pose: Pose, breath: number): void {
    const lift = -26 * pose.shrug - 2.5 * breath;
    this.set("body", "transform", `translate(0 ${n(lift)}) scale(${n(1 + 0.004 * breath)} 1)`);
  }

  private drawHead(pose: Pose, breath: number, mouth: Mouth): void {
    const { yaw, pitch, roll } = pose;
    const shift = `translate(${n(yaw * 10)} ${n(pitch * 9 - 1.5 * breath)}) rotate(${n(roll)} 0 600)`;
    this.set("head", "transform", shift);
    // The nearer a part is to the viewer, the farther it moves as the head turns.
    this.set("hair-back", "transform", `${shift} translate(${n(-yaw * 7)} ${n(-pitch * 3)})`);
    this.set("ears", "transform", `translate(${n(-yaw * 7)} ${n(-pitch * 6)})`);
    this.set("features", "transform", `translate(${n(yaw * 18)} ${n(pitch * 15)})`);
    this.set("hair-front", "transform", `translate(${n(yaw * 5)} ${n(pitch * 5)})`);
    const chin = n(554 + 17 * mouth.open);
    const jaw = n(482 + 9 * mouth.open);
    const turn = n(526 + 14 * mouth.open);
    this.set("skull", "d",
      `M0 118 C104 118 158 196 158 306 C158 384 148 438 118 ${jaw} C90 ${turn} 50 ${chin} 0 ${chin} ` +
      `C-50 ${chin} -90 ${turn} -118 ${jaw} C-148 438 -158 384 -158 306 C-158 196 -104 118 0 118 Z`);
  }

  private drawEyes(pose: Pose, open: number): void {
    // A smile lifts the lower lid.
    const top = n(-33 * open + 8 * (1 - open));
    const low = n(24 - 9 * pose.smile - 8 * (1 - open));
    const hole = `M-37 4 C-26 ${top} 26 ${top} 37 4 C22 ${low} -22 ${low} -37 4 Z`;
    const lash = `M-39 6 C-26 ${top} 26 ${top} 39 6`;
    const crease = `M-32 ${n(-26 * open - 2)} C-18 ${n(-38 * open - 4)} 18 ${n(-38 * open - 4)} 32 ${n(-26 * open - 2)}`;
    const gaze = `translate(${n(pose.gazeX * 12)} ${n(pose.gazeY * 9 - 1)})`;
    const lift = pose.brow * 13;
    const frown = pose.brow < 0 ? -pose.brow * 10 : 0;
    for (const [side, s] of [["left", -1], ["right", 1]] as const) {
      this.set(`eye-${side}-hole`, "d", hole);
      this.set(`lash-${side}`, "d", lash);
      this.set(`crease-${side}`, "d", crease);
      this.set(`iris-${side}`, "transform", gaze);
      this.set(`brow-${side}`, "d", `M${n(s * (26 - frown))} ${n(272 - lift + frown)} C${s * 48} ${n(256 - lift)} ${s * 84} ${n(254 - lift)} ${s * 108} ${n(274 - lift * 0.7)}`);
    }
  }

  private drawMouth(m: Mouth, smile: number): void {
    const wide = 52 * m.width * (1 + 0.14 * smile * (1 - m.round));
    const corner = -15 * smile * (1 - 0.6 * m.round) * (1 - 0.45 * m.open);
    const gap = 60 * m.open * (1 - m.press);
    const up = 5 * smile - gap * 0.36;
    const low = 5 * smile + gap * 0.64 - 5 * m.tuck;
    const k = wide * (0.5 + 0.42 * Math.max(m.round, 0.75 * m.open)); // almond to ellipse
    // A cubic passes its middle at three quarters of its handles' height.
    const handle = (middle: number): string => n((middle - 0.25 * corner) / 0.75);
    const w = n(wide), c = n(corner);
    const hole = `M${n(-wide)} ${c} C${n(-k)} ${handle(up)} ${n(k)} ${handle(up)} ${w} ${c} C${n(k)} ${handle(low)} ${n(-k)} ${handle(low)} ${n(-wide)} ${c} Z`;
    this.set("mouth-hole", "d", hole);

    const thin = 1 - 0.45 * m.press;
    const upper = up - 10 * thin;
    const lower = low + 14 * thin * (1 - 0.65 * m.tuck);
    const out = wide + 5;
    this.set("lips", "d",
      `M${n(-out)} ${c} C${n(-out * 0.55)} ${n(upper + corner * 0.3)} ${n(-wide * 0.26)} ${n(upper - 5)} 0 ${n(upper + 1)} ` +
      `C${n(wide * 0.26)} ${n(upper - 5)} ${n(out * 0.55)} ${n(upper + corner * 0.3)} ${n(out)} ${c} ` +
      `C${n(Math.max(k, out * 0.55))} ${handle(lower)} ${n(-Math.max(k, out * 0.55))} ${handle(lower)} ${n(-out)} ${c} Z`);
    this.set("lip-line", "d", m.open < 0.06 ? `M${n(-wide)} ${c} C${n(-k)} ${handle(up)} ${n(k)} ${handle(up)} ${w} ${c}` : "");
    this.set("teeth", "transform", `translate(0 ${n(up - 10 + 3 * m.tuck - 14 * (1 - m.teeth))}) scale(${n(m.width)} 1)`);
    this.set("tongue", "transform", `translate(0 ${n(low + 6 - 16 * m.tongue * (0.4 + m.open))}) scale(${n(m.width)} 1)`);
  }

  private drawArm(pose: Pose): void {
    const hidden = pose.arm < 0.01;
    this.set("arm", "display", hidden ? "none" : "inline");
    if (hidden) return;
    this.set("arm", "transform", `translate(292 ${n(960 + (1 - pose.arm) * 520)}) rotate(${n(1 + pose.hand)}) scale(1.1)`);
    this.set("hand-open", "display", pose.pointing ? "none" : "inline");
    this.set("hand-point", "display", pose.pointing ? "inline" : "none");
  }

  private set(part: string, attribute: string, value: string): void {
    const element = this.parts.get(part);
    if (!element) throw new Error(`face.svg has no part ${part}`);
    if (element.getAttribute(attribute) !== value) element.setAttribute(attribute, value);
  }
}

/** A coordinate with one decimal's worth of pixels, or the strings grow. */
function n(value: number): string {
  return String(Math.round(value * 100) / 100);
}

function ease(from: Pose, to: Pose, t: number): Pose {
  const at = (a: number, b: number): number => a + (b - a) * t;
  return {
    ...to,
    yaw: at(from.yaw, to.yaw),
    pitch: at(from.pitch, to.pitch),
    roll: at(from.roll, to.roll),
    brow: at(from.brow, to.brow),
    smile: at(from.smile, to.smile),
    gazeX: at(from.gazeX, to.gazeX),
    gazeY: at(from.gazeY, to.gazeY),
  };
}
