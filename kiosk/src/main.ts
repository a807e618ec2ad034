import type { Position } from "./audio/playout.ts";
import type { NoMicrophone } from "./audio/microphone.ts";
import { openSound, type Sound } from "./audio/sound.ts";
import { Conversation } from "./conversation.ts";
import { openDoor } from "./door.ts";
import { Face } from "./face/face.ts";
import { mix, mouthAt, mouthFromLevel, type Mouth } from "./face/visemes.ts";
import { Page, type MicState, type Screen } from "./page.ts";
import type { AudioFrame } from "./protocol/frame.ts";
import { Link, type Status } from "./protocol/link.ts";
import { MAX_TEXT, RTVI_VERSION, type About, type Button, type Incoming } from "./protocol/messages.ts";
import { wordsFor, type Words } from "./words.ts";

const TOKEN = "parley.token";
/** An outage shorter than this, in ms, is not worth a word. */
const PATIENCE = 1_500;
/** Outcomes of a conversation that deserve an apology. */
const FAILURES = ["failed", "terminated", "timed_out", "cancelled"];
/** How long a goodbye stays on the screen, in ms. */
const FAREWELL = 5_000;
/** How long a conversation may take to find its way to another gateway, in ms. */
const REJOIN_TIMEOUT = 10_000;
/** How long a new customer waits for the end of the last conversation, in ms. */
const LEAVE_TIMEOUT = 3_000;

class Kiosk {
  private screen: Screen = "loading";
  private about: About | null = null;
  private link: Link | null = null;
  private sound: Sound | null = null;
  private readonly conversation = new Conversation();
  private readonly page = new Page(this);
  private readonly face: Face;
  private mouth: Mouth = mouthFromLevel(0);

  private chosenLanguage: string | null = null;
  private offlineSince: number | null = performance.now();
  private typing = false;
  private muted = false;
  private noMicrophone: NoMicrophone | null = null;
  private reason = "";
  private taken = false;
  private samplesIn = 0;
  private framesSent = 0;
  /** The gateway takes no more kiosks for now; of the last loss of the connection. */
  private busy = false;
  /** The conversation ended for a reason that is not the customer's. */
  private failed = false;
  /** The customer ended it, the gateway has not said so yet. */
  private leaving = false;
  private startNext: (() => void) | null = null;
  private farewell = 0;
  /** Connected again within a conversation, and nothing heard of it yet. */
  private rejoining = false;
  private quiet = 0;

  constructor() {
    const calm = matchMedia("(prefers-reduced-motion: reduce)");
    this.face = new Face(this.page.faceHost, () => calm.matches);
    openDoor(() => this.look());
  }

  async run(): Promise<void> {
    requestAnimationFrame(this.draw);
    const token = takeToken();
    if (token) this.connect(token);
    else this.screen = "pairing";
    this.sound = await openSound({
      onPlayed: (response, ms, done) => {
        this.link?.tell({ t: "played", d: { response, ms, ...(done ? { done: true } : {}) } });
        // A page that is covered draws nothing, but is still heard.
        this.conversation.hear(this.sound?.speaker.heard() ?? null);
      },
      onFrame: (pcm) => this.sendVoice(pcm),
      onMicrophoneLost: () => (this.noMicrophone = "missing"),
    });
    // A browser may stop a page's sound at any time; only a touch brings it back.
    addEventListener("pointerdown", () => void this.sound?.context.resume());
  }

  // What people do.

  start(language: string | null): void {
    if (this.screen !== "attract") return;
    const begin = (): void => {
      this.startNext = null;
      this.leaving = false;
      this.begin(language);
    };
    if (!this.leaving) return begin();
    this.startNext = begin;
    setTimeout(() => this.startNext?.(), LEAVE_TIMEOUT);
  }

  touchFace(): void {
    if (this.screen === "talk" && this.conversation.state === "speaking") this.hush();
  }

  orb(): void {
    if (this.farewell > 0) {
      const language = this.chosenLanguage;
      this.leave();
      this.start(language);
    } else if (this.conversation.state === "speaking") {
      this.hush();
    } else {
      this.muted = !this.muted;
    }
  }

  toggleTyping(): void {
    this.typing = !this.typing;
    if (!this.typing) return;
    requestAnimationFrame(() => this.page.focusText()); // once it is shown
  }

  say(text: string): void {
    const content = text.slice(0, MAX_TEXT);
    if (!this.link?.say({ type: "send-text", data: { content } })) return;
    this.conversation.customerSaid(content);
    this.conversation.state = "thinking";
    this.typing = false;
  }

  choose(button: Button): void {
    if (!this.link?.say({ type: "ui-event", data: { value: button.value } })) return;
    this.conversation.customerSaid(button.label);
    this.conversation.state = "thinking";
  }

  end(): void {
    this.link?.say({ type: "disconnect-bot" });
    this.leaving = true;
    this.leave();
  }

  pair(token: string): void {
    localStorage.setItem(TOKEN, token);
    this.connect(token);
  }

  take(): void {
    this.taken = false;
    this.link?.start();
  }

  // What the gateway says.

  private receive(m: Incoming): void {
    switch (m.type) {
      case "bot-ready":
        this.about = m.about;
        this.page.brand(m.about.brand);
        if (this.screen === "talk") this.rejoining = true;
        else this.screen = "attract";
        return;
      case "audio":
        this.sound?.speaker.open(m.response, m.rate);
        break;
      case "end":
        this.sound?.speaker.end(m.response, m.ms);
        break;
      case "clear":
        this.clear(m.response);
        return;
      case "error":
        console.warn(`gateway: ${m.message}`, m.field);
        return;
      case "ended":
        this.failed = FAILURES.includes(m.outcome);
        return this.over();
      case "state":
        if (m.state === "idle") return this.idle();
        this.rejoining = false;
        clearTimeout(this.quiet);
        break;
    }
    if (this.screen === "talk") this.conversation.take(m);
  }

  private takeFrame(frame: AudioFrame): void {
    if (this.screen === "talk") this.sound?.speaker.push(frame);
  }

  private takeStatus(s: Status): void {
    if (s.kind === "online") this.offlineSince = null;
    else this.offlineSince ??= performance.now();
    if (s.kind === "offline") this.busy = s.busy;
    if (s.kind !== "refused") return;
    this.leave();
    this.taken = s.why === "taken";
    this.screen = this.taken ? "closed" : "pairing";
    if (s.why === "taken") {
      this.reason = "";
      return;
    }
    this.reason = this.words().refused[s.why] + (s.reason ? ` (${s.reason})` : "");
    if (s.why !== "malformed") localStorage.removeItem(TOKEN);
  }

  // What follows.

  private connect(token: string): void {
    this.link?.stop();
    this.reason = "";
    this.screen = "loading";
    this.link = new Link({
      url: new URL("v1/kiosk", location.href.replace(/^http/, "ws")).href,
      token,
      open: (url, protocols) => new WebSocket(url, protocols),
      clock: {
        now: () => performance.now(),
        after: (ms, f) => {
          const timer = setTimeout(f, ms);
          return () => clearTimeout(timer);
        },
      },
      random: Math.random,
      played: () => {
        const p = this.sound?.speaker.heard();
        return p ? { response: p.response, ms: Math.round(p.ms) } : null;
      },
      onMessage: (m) => this.receive(m),
      onFrame: (frame) => this.takeFrame(frame),
      onStatus: (s) => this.takeStatus(s),
      onFault: (error) => console.warn("gateway sent what this page cannot read:", error.message),
    });
    this.link.start();
  }

  private begin(language: string | null): void {
    this.conversation.reset();
    this.conversation.state = "thinking";
    this.chosenLanguage = language;
    this.farewell = 0;
    this.muted = false;
    this.typing = false;
    this.screen = "talk";
    this.link?.say({
      type: "client-ready",
      data: { version: RTVI_VERSION, about: { library: "parley-kiosk" }, ...(language ? { language } : {}) },
    });
    void this.sound?.context.resume();
    void this.listen();
  }

  private async listen(): Promise<void> {
    this.noMicrophone = null;
    if (!this.sound) {
      this.noMicrophone = isSecureContext ? "missing" : "insecure";
      return;
    }
    this.noMicrophone = await this.sound.microphone.start();
    // The customer may have left while the browser asked for the microphone.
    if (this.screen !== "talk") this.sound.microphone.stop();
  }

  private sendVoice(pcm: Int16Array<ArrayBuffer>): void {
    const offset = this.samplesIn;
    this.samplesIn = (this.samplesIn + pcm.length) >>> 0; // the field has 32 bits
    if (this.muted || this.screen !== "talk") return;
    this.framesSent++;
    this.link?.sendFrame({ response: 0, offset, last: false, pcm });
  }

  private hush(): void {
    this.link?.say({ type: "client-message", data: { t: "interrupt" } });
  }

  private clear(response: number): void {
    if (this.sound) this.sound.speaker.clear(response);
    else this.link?.tell({ t: "played", d: { response, ms: 0, done: true } });
  }

  /** The gateway knows of no conversation. */
  private idle(): void {
    // An old "idle" may cross a new customer's first message.
    if (!this.leaving && this.link?.waiting) return;
    // Another gateway than before learns of the conversation only now.
    clearTimeout(this.quiet);
    if (this.rejoining) this.quiet = setTimeout(() => this.over(), REJOIN_TIMEOUT);
    else this.over();
  }

  /** The gateway says that the conversation is over. */
  private over(): void {
    this.leaving = false;
    if (this.startNext) return this.startNext();
    if (this.screen !== "talk" || this.farewell > 0) return;
    this.sound?.microphone.stop();
    this.conversation.state = "idle";
    this.conversation.buttons = [];
    this.conversation.card = null;
    const toRead = this.failed || this.conversation.captions().length > 0;
    this.farewell = setTimeout(() => this.leave(), toRead ? FAREWELL : 0);
  }

  /** Nothing of this customer stays on the screen, and nobody listens. */
  private leave(): void {
    clearTimeout(this.farewell);
    clearTimeout(this.quiet);
    this.farewell = 0;
    this.failed = false;
    this.rejoining = false;
    this.sound?.microphone.stop();
    this.sound?.speaker.clear(null);
    this.conversation.reset();
    this.chosenLanguage = null;
    this.typing = false;
    if (this.screen === "talk") this.screen = "attract";
  }

  // What is seen.

  private readonly draw = (now: number): void => {
    requestAnimationFrame(this.draw);
    const heard = this.sound?.speaker.heard() ?? null;
    this.conversation.hear(heard);
    this.mouth = this.shapeMouth(heard);
    const gesture = this.conversation.takeGesture(heard);
    if (gesture) this.face.gesticulate(gesture, now);
    this.face.draw(now, this.screen === "talk" ? this.conversation.state : "idle", this.mouth);
    this.page.render({
      screen: this.screen,
      state: this.conversation.state,
      language: this.language(),
      store: this.name(),
      languages: this.about?.languages ?? [],
      online: this.offlineSince === null || now - this.offlineSince < PATIENCE,
      mic: this.mic(),
      level: this.muted ? 0 : (this.sound?.microphone.level ?? 0),
      hearing: this.conversation.hearing,
      said: this.conversation.said,
      captions: this.conversation.captions(),
      buttons: this.conversation.buttons,
      card: this.conversation.card,
      busy: this.busy,
      away: this.away(now),
      notice: this.notice(),
      typing: this.typing,
      reason: this.reason,
      taken: this.taken,
    });
  };

  private shapeMouth(heard: Position | null): Mouth {
    if (!heard?.running) return mix(this.mouth, mouthFromLevel(0), 0.35);
    const visemes = this.conversation.visemes(heard);
    if (visemes) return mouthAt(visemes, heard.ms);
    return mix(this.mouth, mouthFromLevel(this.sound!.speaker.level()), 0.5);
  }

  private away(now: number): string {
    if (this.offlineSince !== null && now - this.offlineSince >= PATIENCE) return this.busy ? this.words().busy : this.words().reconnecting;
    if (this.conversation.away === null) return "";
    return this.conversation.away || this.words().away;
  }

  private notice(): string {
    if (this.failed) return this.words().failed;
    if (!this.sound && isSecureContext) return this.words().noSound;
    return this.noMicrophone ? this.words().noMicrophone[this.noMicrophone] : "";
  }

  private mic(): MicState {
    if (this.noMicrophone) return "none";
    if (!this.sound?.microphone.open) return "off";
    return this.muted ? "muted" : "on";
  }

  private language(): string {
    return this.conversation.language || this.chosenLanguage || this.about?.languages[0] || navigator.language || "en";
  }

  private name(): string {
    if (!this.about) return "";
    const { name, brand } = this.about;
    return brand.name && brand.name !== name ? `${brand.name} · ${name}` : name;
  }

  private words(): Words {
    return wordsFor(this.language());
  }

  private look() {
    const heard = this.sound?.speaker.heard() ?? null;
    return {
      screen: this.screen,
      state: this.conversation.state,
      language: this.language(),
      online: this.offlineSince === null,
      mic: this.mic(),
      captions: this.conversation.captions().map(({ text, heard, now }) => ({ text, heard, now })),
      transcript: this.conversation.lines.map((line) => ({ ...line })),
      buttons: this.conversation.buttons.map((b) => b.label),
      card: this.conversation.card && { ...this.conversation.card, loaded: this.page.card.loaded, marked: this.page.card.marked },
      response: heard?.response ?? 0,
      playedMs: heard?.ms ?? 0,
      mouth: this.mouth.open,
      levelIn: this.sound?.microphone.level ?? 0,
      levelOut: this.sound?.speaker.level() ?? 0,
      framesSent: this.framesSent,
      framesDropped: this.link?.framesDropped ?? 0,
      samplesDropped: this.sound?.speaker.overflow ?? 0,
    };
  }
}

/** Takes the token out of the address, where people could read it, and keeps it. */
function takeToken(): string | null {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (token) {
    localStorage.setItem(TOKEN, token);
    history.replaceState(null, "", location.pathname + location.search);
  }
  return localStorage.getItem(TOKEN);
}

void new Kiosk().run();
