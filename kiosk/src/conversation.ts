// What the page knows of the conversation under way. Messages and the played
// position go in, what to show comes out; no DOM, no audio.

import type { Position } from "./audio/playout.ts";
import type { VisemeCue } from "./face/visemes.ts";
import type { Button, Card, Cue, Gesture, Incoming, State } from "./protocol/messages.ts";

/** A line of the transcript; a kiosk's holds the sentences that began to be heard. */
export interface Line {
  by: "customer" | "kiosk";
  text: string;
  /** Number of the kiosk's response; 0 for the customer's. */
  response: number;
}

/** A sentence on the screen. */
export interface Caption {
  key: string;
  text: string;
  /** Characters of the text that have been heard. */
  heard: number;
  /** It is being heard right now. */
  now: boolean;
  /** The response was cut within it; the rest will not be heard. */
  cut: boolean;
}

interface Segment {
  segment: number;
  text: string;
  atMs: number;
  begun: boolean;
}

interface Response {
  number: number;
  segments: Segment[];
  /** Length, once known; 0 before. */
  ms: number;
  heardMs: number;
  cut: boolean;
  cues: Set<string>;
  visemes: VisemeCue[];
  gestures: { at: number; gesture: Gesture }[];
  /** False for a voice whose sound does not come to this page. */
  hasAudio: boolean;
}

/** Speaking pace used until a sentence's end is known, in ms a character. */
const PACE = 62;
/** Responses, cues of one, and transcript lines kept; older ones go. */
const MAX_RESPONSES = 4;
const MAX_CUES = 8_000;
const MAX_LINES = 200;

export class Conversation {
  state: State = "idle";
  /** BCP 47; empty until the gateway tells. */
  language = "";
  buttons: Button[] = [];
  /** What is shown beside the avatar. */
  card: Card | null = null;
  /** What the customer said last, as far as it is understood; empty when nothing yet. */
  said = "";
  /** The customer is speaking at this moment. */
  hearing = false;
  /** The service cannot be reached; its own words, or empty. null when it can. */
  away: string | null = null;

  /** Everything said so far. */
  readonly lines: Line[] = [];
  private responses: Response[] = [];
  private shown: Response | null = null;

  /** Forgets everything; a customer's words do not wait for the next one. */
  reset(): void {
    this.state = "idle";
    this.language = "";
    this.buttons = [];
    this.card = null;
    this.said = "";
    this.hearing = false;
    this.away = null;
    this.lines.length = 0;
    this.responses = [];
    this.shown = null;
  }

  /** Shows what the customer typed or touched. */
  customerSaid(text: string): void {
    this.understood(text, true);
    this.buttons = [];
  }

  take(m: Incoming): void {
    switch (m.type) {
      case "user-started-speaking":
        this.hearing = true;
        return;
      case "user-stopped-speaking":
        this.hearing = false;
        return;
      case "user-transcription":
        this.understood(m.text, m.final);
        return;
      case "audio": {
        const r = this.response(m.response);
        r.hasAudio = true;
        if (r.segments.some((s) => s.begun)) this.shown = r; // it goes on, after a noise or a reconnect
        return;
      }
      case "bot-output":
        this.segment(m.response, m.segment, m.text, m.atMs);
        return;
      case "bot-tts-text":
        this.spoken(m.response, m.segment, m.text);
        return;
      case "end":
        this.response(m.response).ms = m.ms;
        return;
      case "bot-interrupted":
        this.response(m.response).heardMs = m.playedMs;
        this.response(m.response).cut = true;
        return;
      case "cues":
        this.cue(m.response, m.cues);
        return;
      case "screen":
        this.buttons = m.buttons;
        this.card = m.card;
        return;
      case "state":
        this.state = m.state;
        if (m.language) this.language = m.language;
        return;
      case "away":
        this.away = m.message;
        return;
      case "back":
        this.away = null;
    }
  }

  /** Notes which sentences the customer hears by now. To be called for every drawn frame. */
  hear(position: Position | null): void {
    const r = position && this.responses.find((r) => r.number === position.response);
    if (!r) return;
    if (!r.cut) r.heardMs = position.ms;
    for (const s of r.segments) if (s.atMs <= position.ms) this.begin(r, s);
  }

  /** The sentences on the screen: those of the latest response that began to be heard. */
  captions(): Caption[] {
    const r = this.shown;
    if (!r) return [];
    return r.segments.flatMap((s, i) => {
      if (!s.begun) return [];
      const part = r.hasAudio ? Math.min(1, Math.max(0, (r.heardMs - s.atMs) / Math.max(1, this.endOf(r, i) - s.atMs))) : 1;
      const heard = Math.round(part * s.text.length);
      const whole = heard === s.text.length;
      return [{ key: `${r.number}.${s.segment}`, text: s.text, heard, now: !whole && !r.cut, cut: !whole && r.cut }];
    });
  }

  /** Visemes of the response being heard; null when it has none. */
  visemes(position: Position | null): readonly VisemeCue[] | null {
    const r = position && this.responses.find((r) => r.number === position.response);
    return r && r.visemes.length > 0 ? r.visemes : null;
  }

  /** The latest gesture whose time has come since the last call; null when none has. */
  takeGesture(position: Position | null): Gesture | null {
    const r = position && this.responses.find((r) => r.number === position.response);
    let due: Gesture | null = null;
    while (r && r.gestures[0] && r.gestures[0].at <= position!.ms) due = r.gestures.shift()!.gesture;
    return due;
  }

  private understood(text: string, final: boolean): void {
    this.said = text;
    this.shown = null;
    if (final && text) this.note("customer", text);
  }

  private begin(r: Response, s: Segment): void {
    if (s.begun) return;
    s.begun = true;
    this.shown = r;
    const last = this.lines.at(-1);
    if (last?.by === "kiosk" && last.response === r.number) last.text += ` ${s.text}`;
    else this.note("kiosk", s.text, r.number);
  }

  private note(by: Line["by"], text: string, response = 0): void {
    this.lines.push({ by, text, response });
    if (this.lines.length > MAX_LINES) this.lines.shift();
  }

  private endOf(r: Response, i: number): number {
    const s = r.segments[i]!;
    return r.segments[i + 1]?.atMs ?? (r.ms || s.atMs + s.text.length * PACE);
  }

  private segment(response: number, segment: number, text: string, atMs: number): void {
    const r = this.response(response);
    if (r.segments.some((s) => s.segment === segment)) return; // told again after a reconnect
    r.segments.push({ segment, text, atMs, begun: false });
    r.segments.sort((a, b) => a.segment - b.segment);
  }

  // The gateway's word that a sentence begins counts only where no sound comes
  // to this page; else the sound itself tells, and better.
  private spoken(response: number, segment: number, text: string): void {
    this.segment(response, segment, text, 0);
    const r = this.response(response);
    if (!r.hasAudio) this.begin(r, r.segments.find((s) => s.segment === segment)!);
  }

  private cue(response: number, cues: Cue[]): void {
    const r = this.response(response);
    for (const c of cues) {
      const key = `${c.at} ${"gesture" in c ? c.gesture : c.viseme}`;
      if (r.cues.has(key) || r.cues.size >= MAX_CUES) continue; // told again after a reconnect
      r.cues.add(key);
      if ("gesture" in c) r.gestures.push(c);
      else r.visemes.push(c);
    }
    r.visemes.sort((a, b) => a.at - b.at);
    r.gestures.sort((a, b) => a.at - b.at);
  }

  private response(number: number): Response {
    let r = this.responses.find((r) => r.number === number);
    if (!r) {
      r = { number, segments: [], ms: 0, heardMs: 0, cut: false, cues: new Set(), visemes: [], gestures: [], hasAudio: false };
      this.responses.push(r);
      this.responses.sort((a, b) => a.number - b.number);
      if (this.responses.length > MAX_RESPONSES) this.responses.shift();
    }
    return r;
  }
}
