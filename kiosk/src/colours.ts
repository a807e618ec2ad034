// The page's colours from a store's: whatever a store chooses, text stays readable.

import type { Brand } from "./protocol/messages.ts";

const DARK = "#17211e";
const LIGHT = "#fbfaf6";
const ACCENT = "#0c5d50";
/** Contrast of coloured text on its background: WCAG AAA asks for 7, and some of it stands on a tint. */
const READABLE = 8;

/** The CSS variables of src/style.css, all of them. */
export interface Palette {
  "--background": string;
  "--surface": string;
  "--ink": string;
  "--accent": string;
  "--on-accent": string;
  /** The accent as text on the background. */
  "--accent-ink": string;
}

export function paletteOf(colours: Brand["colours"]): Palette {
  const background = colours.background ?? LIGHT;
  const ink = colours.text && contrast(colours.text, background) >= 7 ? colours.text : textOn(background);
  const accent = colours.accent ?? ACCENT;
  return {
    "--background": background,
    "--surface": colours.surface ?? mix(background, accent, 0.12),
    "--ink": ink,
    "--accent": accent,
    "--on-accent": colours.on_accent ?? textOn(accent),
    "--accent-ink": readable(accent, background, ink),
  };
}

/** WCAG 2 contrast of two `#rrggbb` colours, 1 to 21. */
export function contrast(a: string, b: string): number {
  const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (high! + 0.05) / (low! + 0.05);
}

function textOn(background: string): string {
  return contrast(DARK, background) > contrast(LIGHT, background) ? DARK : LIGHT;
}

/** The colour, moved towards the ink as little as makes it readable. */
function readable(colour: string, background: string, ink: string): string {
  for (let t = 0; t < 1; t += 0.05) {
    const c = mix(colour, ink, t);
    if (contrast(c, background) >= READABLE) return c;
  }
  return ink;
}

function mix(a: string, b: string, t: number): string {
  return `#${channels(a).map((x, i) => Math.round(x + (channels(b)[i]! - x) * t).toString(16).padStart(2, "0")).join("")}`;
}

function luminance(colour: string): number {
  const [r, g, b] = channels(colour).map((v) => {
    const c = v / 255;
    return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
}

function channels(colour: string): number[] {
  return [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
}
