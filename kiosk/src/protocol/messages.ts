// The JSON messages of docs/kiosk-protocol.md. Incoming ones are checked here,
// once, so that the rest of the page can trust their types; `server-message` is
// flattened to its own `t`.

export const VISEMES = ["sil", "PP", "FF", "TH", "DD", "kk", "CH", "SS", "nn", "RR", "aa", "E", "I", "O", "U"] as const;
export type Viseme = (typeof VISEMES)[number];

export const GESTURES = ["wave", "nod", "shake", "point", "shrug", "think", "smile"] as const;
export type Gesture = (typeof GESTURES)[number];

export const STATES = ["idle", "listening", "thinking", "speaking"] as const;
export type State = (typeof STATES)[number];

/** At `at` ms from the response's first sample the mouth or the body does this. */
export type Cue = { at: number; viseme: Viseme; weight: number } | { at: number; gesture: Gesture };

export interface Button {
  value: string;
  label: string;
}

/** What is shown beside the avatar; a field that is absent is empty. */
export interface Card {
  title: string;
  text: string;
  /** Addresses, relative to the page. */
  picture: string;
  map: string;
  /** Id of the element of the map to light up. */
  mark: string;
  /** What picture or map shows. */
  alt: string;
}

/** The colours of a store, `#rrggbb`. */
export const COLOURS = ["background", "surface", "text", "accent", "on_accent"] as const;

/** How a store looks; the page's own colours are used where one is absent. */
export interface Brand {
  /** What the store calls itself; empty when it does not tell. */
  name: string;
  colours: Partial<Record<(typeof COLOURS)[number], string>>;
}

export interface About {
  store: string;
  kiosk: string;
  session: string;
  resumeToken: string;
  /** What this kiosk is called, to be shown. */
  name: string;
  /** BCP 47. */
  languages: string[];
  brand: Brand;
}

export type Incoming =
  | { type: "bot-ready"; about: About }
  | { type: "user-started-speaking" }
  | { type: "user-stopped-speaking" }
  | { type: "user-transcription"; text: string; final: boolean }
  | { type: "bot-started-speaking" }
  | { type: "bot-stopped-speaking" }
  | { type: "bot-output"; response: number; segment: number; text: string; atMs: number }
  | { type: "bot-tts-text"; response: number; segment: number; text: string }
  | { type: "bot-interrupted"; response: number; playedMs: number }
  | { type: "error"; message: string; field: string; fatal: boolean }
  | { type: "ack"; seq: number }
  | { type: "audio"; response: number; rate: number }
  | { type: "end"; response: number; ms: number }
  | { type: "clear"; response: number }
  | { type: "cues"; response: number; cues: Cue[] }
  | { type: "screen"; card: Card | null; buttons: Button[] }
  | { type: "state"; state: State; language: string }
  | { type: "ended"; outcome: string }
  | { type: "away"; message: string }
  | { type: "back" }
  | { type: "move" };

/** What a customer or the page does; numbered ones change the conversation. */
export type Outgoing =
  | { type: "client-ready"; data: { version: string; about: { library: string }; language?: string } }
  | { type: "send-text"; data: { content: string } }
  | { type: "ui-event"; data: { value: string } }
  | { type: "disconnect-bot" }
  | { type: "client-message"; data: { t: "interrupt" } };

export type Unnumbered =
  | { t: "played"; d: { response: number; ms: number; done?: true } }
  | { t: "resume"; d: { token: string; played?: { response: number; ms: number } } };

export const RTVI_VERSION = "1.0";
/** Longest text the gateway takes, in characters. */
export const MAX_TEXT = 2000;

type Fields = Record<string, unknown>;

/**
 * Reads one text frame. Returns null for a message this page has no use for, as
 * RTVI asks of clients; throws an Error that names the field for a broken one.
 */
export function parseMessage(text: string): Incoming | null {
  const envelope = fields(JSON.parse(text), "message");
  if (envelope["label"] !== "rtvi-ai") throw new Error('message: label is not "rtvi-ai"');
  const type = string(envelope, "type");
  const data = envelope["data"] === undefined || envelope["data"] === null ? {} : fields(envelope["data"], "data");
  if (type !== "server-message") return parseRTVI(type, data);
  return parseServer(string(data, "t"), data["d"] === undefined || data["d"] === null ? {} : fields(data["d"], "d"));
}

function parseRTVI(type: string, d: Fields): Incoming | null {
  switch (type) {
    case "bot-ready":
      return { type, about: about(fields(d["about"], "about")) };
    case "user-started-speaking":
    case "user-stopped-speaking":
    case "bot-started-speaking":
    case "bot-stopped-speaking":
      return { type };
    case "user-transcription":
      return { type, text: string(d, "text"), final: d["final"] === true };
    case "bot-output":
      return { type, response: count(d, "response"), segment: count(d, "segment"), text: string(d, "text"), atMs: count(d, "at_ms") };
    case "bot-tts-text":
      return { type, response: count(d, "response"), segment: count(d, "segment"), text: string(d, "text") };
    case "bot-interrupted":
      return { type, response: count(d, "response"), playedMs: count(d, "played_ms") };
    case "error":
      return { type, message: string(d, "message"), field: optional(d, "field"), fatal: d["fatal"] === true };
    default:
      return null;
  }
}

function parseServer(t: string, d: Fields): Incoming | null {
  switch (t) {
    case "ack":
      return { type: t, seq: count(d, "seq") };
    case "audio": {
      const rate = count(d, "rate");
      if (rate < 8000 || rate > 48000) throw new Error(`audio: rate is ${rate}, must be 8000 to 48000`);
      return { type: t, response: count(d, "response"), rate };
    }
    case "end":
      return { type: t, response: count(d, "response"), ms: count(d, "ms") };
    case "clear":
      return { type: t, response: count(d, "response") };
    case "cues":
      return { type: t, response: count(d, "response"), cues: list(d, "cues").flatMap(cue) };
    case "screen":
      return { type: t, card: card(d), buttons: list(d, "buttons").map(button) };
    case "state": {
      const state = STATES.find((s) => s === d["state"]);
      if (state === undefined) throw new Error(`state: unknown state ${JSON.stringify(d["state"])}`);
      return { type: t, state, language: optional(d, "language") };
    }
    case "ended":
      return { type: t, outcome: optional(d, "outcome") };
    case "away":
      return { type: t, message: optional(d, "message") };
    case "back":
    case "move":
      return { type: t };
    default:
      return null;
  }
}

function about(a: Fields): About {
  const languages = Array.isArray(a["languages"]) ? a["languages"].filter((l): l is string => typeof l === "string") : [];
  const store = optional(a, "store");
  return {
    store,
    kiosk: optional(a, "kiosk"),
    session: optional(a, "session"),
    resumeToken: optional(a, "resume_token"),
    name: optional(a, "name") || store,
    languages,
    brand: brand(a["brand"]),
  };
}

function brand(value: unknown): Brand {
  const b: Brand = { name: "", colours: {} };
  if (typeof value !== "object" || value === null) return b;
  const given = value as Fields;
  b.name = optional(given, "name");
  for (const name of COLOURS) {
    const colour = given[name];
    if (isColour(colour)) b.colours[name] = colour;
  }
  return b;
}

function isColour(value: unknown): value is string {
  return typeof value === "string" && /^#[0-9a-f]{6}$/i.test(value);
}

// A cue this page does not know is left out: a newer server may know more
// gestures, and the rest of the timeline is still good.
function cue(value: unknown): Cue[] {
  const c = fields(value, "cues");
  const at = count(c, "at");
  const gesture = GESTURES.find((g) => g === c["gesture"]);
  if (gesture !== undefined) return [{ at, gesture }];
  const viseme = VISEMES.find((v) => v === c["viseme"]);
  if (viseme === undefined) return [];
  const weight = typeof c["weight"] === "number" ? Math.min(1, Math.max(0, c["weight"])) : 1;
  return [{ at, viseme, weight }];
}

function card(d: Fields): Card | null {
  const c: Card = { title: "", text: "", picture: "", map: "", mark: "", alt: "" };
  for (const name of Object.keys(c) as (keyof Card)[]) c[name] = optional(d, name);
  return c.title || c.text || c.picture || c.map ? c : null;
}

function button(value: unknown): Button {
  const b = fields(value, "buttons");
  return { value: string(b, "value"), label: string(b, "label") };
}

function fields(value: unknown, name: string): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Error(`${name}: must be an object`);
  return value as Fields;
}

function list(d: Fields, name: string): unknown[] {
  const value = d[name];
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw new Error(`${name}: must be a list`);
  return value;
}

function string(d: Fields, name: string): string {
  const value = d[name];
  if (typeof value !== "string") throw new Error(`${name}: must be a string`);
  return value;
}

function optional(d: Fields, name: string): string {
  const value = d[name];
  return typeof value === "string" ? value : "";
}

function count(d: Fields, name: string): number {
  const value = d[name];
  if (typeof value !== "number" || !Number.isFinite(value) || value < 0) throw new Error(`${name}: must be a number of at least 0`);
  return value;
}
