// A Link keeps a kiosk connected: it comes back after a loss, presents its
// resume token, and sends again, in order, whatever was not acknowledged.

import { decodeFrame, encodeFrame, type AudioFrame } from "./frame.ts";
import { parseMessage, type Incoming, type Outgoing, type Unnumbered } from "./messages.ts";

/** The part of a WebSocket that a Link needs; tests bring their own. */
export type Socket = Pick<WebSocket, "binaryType" | "readyState" | "bufferedAmount" | "onopen" | "onclose" | "onmessage" | "send" | "close">;

/** Time, injected so that tests need none. */
export interface Clock {
  now(): number; // ms
  after(ms: number, f: () => void): () => void; // returns what cancels it
}

/** Why a Link does not come back by itself. */
export type Refusal = "token" | "kiosk" | "malformed" | "taken";

export type Status = { kind: "connecting" } | { kind: "online" } | { kind: "offline"; busy: boolean } | { kind: "refused"; why: Refusal; reason: string };

export interface LinkOptions {
  url: string;
  token: string;
  open: (url: string, protocols: string[]) => Socket;
  clock: Clock;
  random: () => number; // [0, 1)
  /** Position of what is being played, told when resuming. */
  played: () => { response: number; ms: number } | null;
  onMessage: (message: Incoming) => void;
  onFrame: (frame: AudioFrame) => void;
  onStatus: (status: Status) => void;
  /** A frame or message that broke the protocol; it was ignored. */
  onFault: (error: Error) => void;
}

const OPEN = 1;
const CONNECT_TIMEOUT = 10_000;
/** A numbered message and then nothing at all from the gateway for this long: the connection is dead. */
const SILENCE_TIMEOUT = 10_000;
/** A resume is answered, or it was refused without a word. */
const RESUME_TIMEOUT = 3_000;
const BACKOFF_FIRST = 250;
/** Slow enough that a gateway which is back after some seconds is found within three more. */
const BACKOFF_GROWTH = 1.5;
const BACKOFF_MOST = 8_000;
/** A connection shorter than this, in ms, does not earn a reconnect without a pause. */
const MIN_STAY = 1_000;
/** The close code of a gateway that takes no more, and the pause that it wants. */
const TOO_MANY = 4429;
const TOO_MANY_PAUSE = 5_000;
/** Most numbered messages that wait for their acknowledgement; a customer cannot touch more in an outage. */
export const MAX_UNACKNOWLEDGED = 32;
/** A second of microphone, in bytes: what is more than this behind is not live any more. */
const MAX_BACKLOG = 32_000;

const REFUSALS: Record<number, Refusal> = { 4400: "malformed", 4401: "token", 4403: "kiosk", 4409: "taken" };

export class Link {
  /** Microphone frames dropped because the network could not keep up. */
  framesDropped = 0;

  private socket: Socket | null = null;
  private session = "";
  private resumeToken = "";
  /** What the gateway says of its new session until it has answered our resume; null when it has. */
  private held: Incoming[] | null = null;
  private lastSeq = 0;
  private unnumbered = 0;
  private unacknowledged: { seq: number; text: string }[] = [];
  private attempts = 0;
  private lastHeard = 0;
  private readyAt = Infinity; // when this connection's bot-ready came
  private cancelTimer = (): void => {};
  private cancelWatch = (): void => {};

  constructor(private readonly o: LinkOptions) {}

  /** Connects, or connects again after a refusal. */
  start(): void {
    this.stop();
    this.attempts = 0;
    this.connect();
  }

  /** Closes for good; nothing is called back after it. */
  stop(): void {
    this.cancelTimer();
    this.cancelWatch();
    const socket = this.socket;
    this.socket = null;
    if (socket) {
      forget(socket);
      socket.close(1000);
    }
  }

  /**
   * Sends a message that changes the conversation, now or once connected again.
   * Returns false when too many are waiting already.
   */
  say(message: Outgoing): boolean {
    if (this.unacknowledged.length >= MAX_UNACKNOWLEDGED) return false;
    const seq = ++this.lastSeq;
    const text = JSON.stringify({ label: "rtvi-ai", id: String(seq), ...message });
    this.unacknowledged.push({ seq, text });
    if (this.online()) {
      this.socket!.send(text);
      this.watch();
    }
    return true;
  }

  /** Whether something that changes the conversation is not known to be durable yet. */
  get waiting(): boolean {
    return this.unacknowledged.length > 0;
  }

  /** Sends what is only of use now; dropped while offline. */
  tell(message: Unnumbered): void {
    if (!this.online()) return;
    const id = `u${++this.unnumbered}`;
    this.socket!.send(JSON.stringify({ label: "rtvi-ai", id, type: "client-message", data: message }));
  }

  /** Sends a microphone frame; dropped while offline or far behind. */
  sendFrame(frame: AudioFrame): void {
    if (!this.online() || this.socket!.bufferedAmount > MAX_BACKLOG) {
      this.framesDropped++;
      return;
    }
    this.socket!.send(encodeFrame(frame));
  }

  private online(): boolean {
    return this.socket?.readyState === OPEN;
  }

  private connect(): void {
    this.o.onStatus({ kind: "connecting" });
    this.readyAt = Infinity;
    const socket = this.o.open(this.o.url, ["parley.v1", `bearer.${this.o.token}`]);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    socket.onopen = () => this.opened();
    socket.onmessage = (event) => this.received(event.data);
    socket.onclose = (event) => this.closed(event.code, event.reason);
    this.cancelTimer = this.o.clock.after(CONNECT_TIMEOUT, () => this.lost());
  }

  private opened(): void {
    this.cancelTimer();
    this.lastHeard = this.o.clock.now();
    this.held = null;
    if (this.resumeToken) {
      this.held = [];
      this.cancelTimer = this.o.clock.after(RESUME_TIMEOUT, () => this.goOnAnew());
      const played = this.o.played();
      this.tell({ t: "resume", d: { token: this.resumeToken, ...(played ? { played } : {}) } });
    }
    for (const { text } of this.unacknowledged) this.socket!.send(text);
    if (this.unacknowledged.length > 0) this.watch();
  }

  private received(data: unknown): void {
    this.lastHeard = this.o.clock.now();
    try {
      if (typeof data === "string") this.take(parseMessage(data));
      else if (data instanceof ArrayBuffer) this.o.onFrame(decodeFrame(data));
    } catch (error) {
      this.o.onFault(error instanceof Error ? error : new Error(String(error)));
    }
  }

  // A gateway greets every connection as a new session; after our resume it
  // greets again, as the session that we had. What it says of the new one in
  // between (idle, no buttons) is not meant for a conversation under way.
  private take(message: Incoming | null): void {
    if (message === null) return;
    if (this.held) {
      if (message.type === "bot-ready" && message.about.session === this.session) this.held = null;
      else if (message.type === "error" && message.field === "data.d.token") return this.goOnAnew();
      else if (message.type === "bot-ready" || message.type === "state" || message.type === "screen") {
        this.held.push(message);
        return;
      }
    }
    this.pass(message);
  }

  /** The session that we had is gone. */
  private goOnAnew(): void {
    const held = this.held ?? [];
    this.held = null;
    for (const message of held) this.pass(message);
  }

  private pass(message: Incoming): void {
    switch (message.type) {
      case "ack":
        this.unacknowledged = this.unacknowledged.filter((m) => m.seq > message.seq);
        return;
      case "move":
        this.drop();
        this.reconnect(this.atOnce());
        return;
      case "bot-ready":
        this.cancelTimer(); // of the resume
        this.session = message.about.session;
        this.resumeToken = message.about.resumeToken;
        this.attempts = 0;
        this.readyAt = this.o.clock.now();
        this.o.onStatus({ kind: "online" });
    }
    this.o.onMessage(message);
  }

  private closed(code: number, reason: string): void {
    this.drop();
    const why = REFUSALS[code];
    if (why !== undefined) {
      // Presented again, a token for a session that is gone would be refused again.
      this.resumeToken = "";
      this.o.onStatus({ kind: "refused", why, reason });
      return;
    }
    this.o.onStatus({ kind: "offline", busy: code === TOO_MANY });
    if (code === 1012) this.reconnect(this.atOnce());
    else if (code === TOO_MANY) this.reconnect(TOO_MANY_PAUSE + this.backoff());
    else this.reconnect(this.backoff());
  }

  /** The connection gives no sign of life: do not wait for its close. */
  private lost(): void {
    this.drop();
    this.o.onStatus({ kind: "offline", busy: false });
    this.reconnect(this.backoff());
  }

  private drop(): void {
    this.cancelTimer();
    this.cancelWatch();
    if (!this.socket) return;
    forget(this.socket);
    this.socket.close();
    this.socket = null;
  }

  private reconnect(delay: number): void {
    this.attempts++;
    if (delay === 0) this.connect();
    else this.cancelTimer = this.o.clock.after(delay, () => this.connect());
  }

  /**
   * No delay, for a gateway that asks for it; but a door that opens and shuts
   * again at once is not knocked at without a pause.
   */
  private atOnce(): number {
    return this.o.clock.now() - this.readyAt >= MIN_STAY ? 0 : this.backoff();
  }

  /** Grows with each attempt; half of it is chance, so that a store's kiosks do not come back as one. */
  private backoff(): number {
    const most = Math.min(BACKOFF_MOST, BACKOFF_FIRST * BACKOFF_GROWTH ** Math.min(this.attempts, 16));
    return most / 2 + (this.o.random() * most) / 2;
  }

  private watch(): void {
    this.cancelWatch();
    const sent = this.o.clock.now();
    this.cancelWatch = this.o.clock.after(SILENCE_TIMEOUT, () => {
      if (this.lastHeard < sent) this.lost();
    });
  }
}

function forget(socket: Socket): void {
  socket.onopen = null;
  socket.onmessage = null;
  socket.onclose = null;
}
