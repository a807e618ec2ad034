// The page's elements: takes a View and makes the document show it. No decision
// is taken here.

import { CardView } from "./card.ts";
import { paletteOf } from "./colours.ts";
import type { Caption } from "./conversation.ts";
import type { Brand, Button, Card, State } from "./protocol/messages.ts";
import { layoutFor, nameOf, wordsFor, type Words } from "./words.ts";

export type Screen = "loading" | "pairing" | "attract" | "talk" | "closed";
export type MicState = "off" | "on" | "muted" | "none";

export interface View {
  screen: Screen;
  state: State;
  language: string;
  store: string;
  languages: readonly string[];
  online: boolean;
  mic: MicState;
  /** Microphone level, 0 to 1. */
  level: number;
  hearing: boolean;
  said: string;
  captions: readonly Caption[];
  buttons: readonly Button[];
  card: Card | null;
  /** Why the service does not answer; empty when it does. */
  /** While not online: the gateway has too much to do. */
  busy: boolean;
  away: string;
  /** What the customer should know besides, such as a missing microphone. */
  notice: string;
  typing: boolean;
  /** On the pairing and closed screens. */
  reason: string;
  /** Another screen took over. */
  taken: boolean;
}

/** What people do to the page. */
export interface Deeds {
  start(language: string | null): void;
  touchFace(): void;
  orb(): void;
  toggleTyping(): void;
  say(text: string): void;
  choose(button: Button): void;
  end(): void;
  pair(token: string): void;
  take(): void;
}

/** Screens narrower than this have a keyboard of their own. */
const OWN_KEYBOARD = matchMedia("(min-width: 700px) and (min-height: 600px)");

export class Page {
  private language = "";
  private words: Words = wordsFor("en");
  private shift = true;
  private layoutOf = "";
  private choicesOf: readonly Button[] = [];
  private languagesOf = "";
  readonly card = new CardView(byId("card"));
  private readonly sentences = new Map<string, { element: HTMLElement; words: { element: HTMLElement; end: number }[] }>();

  constructor(private readonly deeds: Deeds) {
    on("start", "click", () => deeds.start(null));
    on("face", "click", () => deeds.touchFace());
    on("orb", "click", () => deeds.orb());
    on("keyboard", "click", () => deeds.toggleTyping());
    on("end", "click", () => deeds.end());
    on("take", "click", () => deeds.take());
    on("typing", "submit", (event) => {
      event.preventDefault();
      const text = input("text").value.trim();
      input("text").value = "";
      this.setShift(true);
      if (text) deeds.say(text);
    });
    on("pairing", "submit", (event) => {
      event.preventDefault();
      const token = input("token").value.trim();
      input("token").value = "";
      if (token) deeds.pair(token);
    });
    on("text", "input", () => this.setShift(input("text").value === ""));
    // Buttons and keys take room from the captions.
    new ResizeObserver(() => this.showLatest()).observe(byId("captions"));
    // A key must not take the focus from the text it writes into.
    on("keys", "pointerdown", (event) => event.preventDefault());
    on("keys", "click", (event) => this.press((event.target as Element).closest("button")));
  }

  get faceHost(): HTMLElement {
    return byId("face");
  }

  brand(b: Brand): void {
    for (const [name, colour] of Object.entries(paletteOf(b.colours))) document.documentElement.style.setProperty(name, colour);
  }

  render(v: View): void {
    if (v.language !== this.language) this.translate(v.language);
    const w = this.words;
    attribute(document.body, "data-screen", v.screen);
    attribute(document.body, "data-state", v.screen === "talk" ? v.state : "idle");
    attribute(document.body, "data-mic", v.mic);
    attribute(document.body, "data-hearing", String(v.hearing));
    attribute(document.body, "data-online", String(v.online && v.away === ""));
    attribute(document.body, "data-typing", String(v.typing && v.screen === "talk"));
    text("store", v.store);
    text("status", this.status(v));
    this.renderLanguages(v.languages);
    this.renderTalk(v);

    attribute(byId("panel"), "data-taken", String(v.taken));
    text("panel-title", v.taken ? w.takenTitle : w.pairTitle);
    text("panel-hint", v.taken ? w.takenHint : w.pairHint);
    text("panel-reason", v.reason);
    show("panel-reason", v.reason !== "");
    show("pairing", v.screen === "pairing");
    show("take", v.taken);
    document.documentElement.style.setProperty("--level", Math.min(1, v.level * 5).toFixed(3));
  }

  focusText(): void {
    input("text").focus();
  }

  private renderTalk(v: View): void {
    const w = this.words;
    text("said-text", v.said);
    show("said", v.said !== "");
    this.renderCaptions(v.captions);
    text("prompt", w.prompt);
    show("prompt", v.state === "listening" && v.said === "" && v.captions.length === 0);
    this.renderChoices(v.buttons);
    attribute(document.body, "data-card", String(v.card !== null && v.screen === "talk"));
    this.card.show(v.card);
    text("away", v.away);
    show("away", v.away !== "");
    text("notice", v.notice);
    show("notice", v.notice !== "");
    show("typing", v.typing);
    attribute(byId("keyboard"), "aria-expanded", String(v.typing));
    text("keyboard-label", v.typing ? w.close : w.type);
    text("orb-label", v.state === "idle" ? w.touch : v.state === "speaking" ? w.hush : v.mic === "on" ? w.mute : w.unmute);
    (byId("orb") as HTMLButtonElement).disabled = v.mic === "none" && (v.state === "listening" || v.state === "thinking");
    text("mic-text", v.mic === "on" ? w.micOn : w.micOff);
    attribute(byId("face"), "aria-label", v.state === "speaking" ? w.hush : w.greeting);
  }

  private status(v: View): string {
    const w = this.words;
    if (!v.online) return v.busy ? w.busy : w.connecting;
    if (v.screen !== "talk") return "";
    if (v.state === "listening") return v.hearing ? w.hearing : v.mic === "muted" ? w.paused : v.mic === "none" ? w.micOff : w.listening;
    return { idle: "", thinking: w.thinking, speaking: w.speaking }[v.state];
  }

  // Sentences are kept by key and only their words' classes change, so that a
  // screen reader hears each of them once.
  private renderCaptions(captions: readonly Caption[]): void {
    const keep = new Set(captions.map((c) => c.key));
    for (const [key, s] of this.sentences) {
      if (keep.has(key)) continue;
      s.element.remove();
      this.sentences.delete(key);
    }
    for (const c of captions) {
      let s = this.sentences.get(c.key);
      if (!s) {
        s = sentence(c.text);
        this.sentences.set(c.key, s);
        byId("captions").append(s.element);
        this.showLatest();
      }
      toggle(s.element, "now", c.now);
      toggle(s.element, "cut", c.cut);
      for (const word of s.words) toggle(word.element, "heard", word.end <= c.heard + 1);
    }
  }

  private showLatest(): void {
    const box = byId("captions");
    box.scrollTo({ top: box.scrollHeight, behavior: "smooth" });
  }

  private renderChoices(buttons: readonly Button[]): void {
    show("choices", buttons.length > 0);
    if (buttons === this.choicesOf) return;
    this.choicesOf = buttons;
    byId("choices").replaceChildren(...buttons.map((b) => button(b.label, () => this.deeds.choose(b))));
    attribute(byId("choices"), "data-many", String(buttons.length > 4));
  }

  private renderLanguages(languages: readonly string[]): void {
    const key = languages.join();
    if (key === this.languagesOf) return;
    this.languagesOf = key;
    const buttons = languages.length > 1 ? languages.map((l) => {
      const b = button(nameOf(l), () => this.deeds.start(l));
      b.lang = l;
      return b;
    }) : [];
    byId("languages").replaceChildren(...buttons);
  }

  private translate(language: string): void {
    this.language = language;
    const w = (this.words = wordsFor(language));
    document.documentElement.lang = language;
    text("greeting", w.greeting);
    text("touch", w.touch);
    text("privacy", w.privacy);
    text("said-by", w.youSaid);
    text("send", w.send);
    text("end-label", w.end);
    text("token-label", w.pairLabel);
    text("pair", w.pairButton);
    text("take", w.takenButton);
    input("text").placeholder = w.typeHere;
    attribute(input("text"), "aria-label", w.typeHere);
    this.layKeys();
  }

  // A kiosk's screen has no keyboard, and its browser opens none.
  private layKeys(): void {
    input("text").inputMode = OWN_KEYBOARD.matches ? "none" : "text";
    if (this.layoutOf === this.language) return;
    this.layoutOf = this.language;
    const rows = layoutFor(this.language).map((row) => [...row].map((k) => key(k, k)));
    rows[rows.length - 1]!.unshift(key("shift", "⇧"));
    rows[rows.length - 1]!.push(key("erase", "⌫"));
    rows.push([key("space", this.words.space)]);
    byId("keys").replaceChildren(...rows.map((keys) => {
      const row = document.createElement("div");
      row.append(...keys);
      return row;
    }));
    this.setShift(this.shift);
  }

  private press(k: HTMLButtonElement | null): void {
    const name = k?.dataset["key"];
    if (!name) return;
    const field = input("text");
    field.focus();
    const from = field.selectionStart ?? field.value.length;
    const to = field.selectionEnd ?? from;
    if (name === "shift") return this.setShift(!this.shift);
    if (name === "erase") field.setRangeText("", from === to ? Math.max(0, from - 1) : from, to, "end");
    else if (field.value.length < field.maxLength) field.setRangeText(name === "space" ? " " : this.cased(name), from, to, "end");
    this.setShift(field.value === "");
  }

  private setShift(shift: boolean): void {
    this.shift = shift;
    attribute(byId("keys"), "data-shift", String(shift));
    for (const k of byId("keys").querySelectorAll<HTMLElement>("[data-key]")) {
      const name = k.dataset["key"]!;
      if ([...name].length === 1) k.textContent = this.cased(name);
    }
  }

  private cased(k: string): string {
    return this.shift && k !== "ß" ? k.toLocaleUpperCase(this.language) : k;
  }
}

function sentence(content: string): { element: HTMLElement; words: { element: HTMLElement; end: number }[] } {
  const element = document.createElement("p");
  const words: { element: HTMLElement; end: number }[] = [];
  for (const match of content.matchAll(/\S+/g)) {
    const word = document.createElement("span");
    word.textContent = match[0];
    element.append(word, " ");
    words.push({ element: word, end: match.index + match[0].length });
  }
  return { element, words };
}

function button(label: string, act: () => void): HTMLButtonElement {
  const b = document.createElement("button");
  b.type = "button";
  b.textContent = label;
  b.addEventListener("click", act);
  return b;
}

function key(name: string, label: string): HTMLButtonElement {
  const k = document.createElement("button");
  k.type = "button";
  k.tabIndex = -1;
  k.dataset["key"] = name;
  k.textContent = label;
  return k;
}

function byId(id: string): HTMLElement {
  const element = document.getElementById(id);
  if (!element) throw new Error(`index.html has no element ${id}`);
  return element;
}

function input(id: string): HTMLInputElement {
  return byId(id) as HTMLInputElement;
}

function on(id: string, event: string, act: (event: Event) => void): void {
  byId(id).addEventListener(event, act);
}

function text(id: string, content: string): void {
  const element = byId(id);
  if (element.textContent !== content) element.textContent = content;
}

function show(id: string, visible: boolean): void {
  const element = byId(id);
  if (element.hidden === visible) element.hidden = !visible;
}

function attribute(element: Element, name: string, value: string): void {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

function toggle(element: Element, name: string, is: boolean): void {
  if (element.classList.contains(name) !== is) element.classList.toggle(name, is);
}
