import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeFrame } from "../src/protocol/frame.ts";
import { Link, MAX_UNACKNOWLEDGED, type Socket, type Status } from "../src/protocol/link.ts";
import type { Incoming } from "../src/protocol/messages.ts";

// A clock that moves only when a test moves it.
class StubClock {
  time = 0;
  private timers: { at: number; f: () => void }[] = [];
  now = (): number => this.time;
  after = (ms: number, f: () => void): (() => void) => {
    const timer = { at: this.time + ms, f };
    this.timers.push(timer);
    return () => void (this.timers = this.timers.filter((t) => t !== timer));
  };
  pass(ms: number): void {
    const end = this.time + ms;
    for (;;) {
      const next = this.timers.filter((t) => t.at <= end).sort((a, b) => a.at - b.at)[0];
      if (!next) break;
      this.timers = this.timers.filter((t) => t !== next);
      this.time = next.at;
      next.f();
    }
    this.time = end;
  }
}

// The gateway's end of a socket, in a test's hand.
class StubSocket {
  readyState = 0;
  bufferedAmount = 0;
  binaryType = "";
  sent: (string | ArrayBuffer)[] = [];
  closed = false;
  onopen: (() => void) | null = null;
  onclose: ((e: { code: number; reason: string }) => void) | null = null;
  onmessage: ((e: { data: unknown }) => void) | null = null;
  constructor(readonly url: string, readonly protocols: string[]) {}
  send(data: string | ArrayBuffer): void { this.sent.push(data); }
  close(): void { this.closed = true; this.readyState = 3; }

  accept(): void { this.readyState = 1; this.onopen?.(); }
  message(type: string, data?: unknown): void { this.onmessage?.({ data: JSON.stringify({ label: "rtvi-ai", id: "g", type, data }) }); }
  server(t: string, d?: unknown): void { this.message("server-message", { t, d }); }
  ready(token: string, session = "s1"): void { this.message("bot-ready", { about: { session, resume_token: token } }); }
  hangUp(code: number, reason = ""): void { this.readyState = 3; this.onclose?.({ code, reason }); }
  texts(): { id: string; type: string; data?: { t?: string; d?: unknown; content?: string } }[] {
    return this.sent.filter((s) => typeof s === "string").map((s) => JSON.parse(s));
  }
  ids(): string[] { return this.texts().map((m) => m.id); }
}

function setUp() {
  const clock = new StubClock();
  const sockets: StubSocket[] = [];
  const statuses: Status[] = [];
  const messages: Incoming[] = [];
  const faults: string[] = [];
  let frames = 0;
  const link = new Link({
    url: "ws://gateway/v1/kiosk",
    token: "t0ken",
    open: (url, protocols) => {
      const socket = new StubSocket(url, protocols);
      sockets.push(socket);
      return socket as unknown as Socket;
    },
    clock,
    random: () => 0.5,
    played: () => ({ response: 3, ms: 1234 }),
    onMessage: (m) => messages.push(m),
    onFrame: () => frames++,
    onStatus: (s) => statuses.push(s),
    onFault: (e) => faults.push(e.message),
  });
  link.start();
  return { link, clock, sockets, statuses, messages, faults, frames: () => frames, socket: () => sockets.at(-1)! };
}

const text = (content: string) => ({ type: "send-text", data: { content } }) as const;

test("the token travels as a subprotocol", () => {
  const { socket } = setUp();
  assert.deepEqual(socket().protocols, ["parley.v1", "bearer.t0ken"]);
});

test("what was not acknowledged is sent again, in order, after the resume", () => {
  const { link, clock, sockets, socket } = setUp();
  socket().accept();
  socket().ready("r1");
  for (const content of ["a", "b", "c"]) link.say(text(content));
  assert.deepEqual(socket().ids(), ["1", "2", "3"]);
  socket().server("ack", { seq: 1 });
  socket().hangUp(1006);
  link.say(text("d"));
  clock.pass(1000);
  assert.equal(sockets.length, 2);
  socket().accept();
  const [resume, ...rest] = socket().texts();
  assert.deepEqual(resume!.data, { t: "resume", d: { token: "r1", played: { response: 3, ms: 1234 } } });
  assert.ok(!/^\d+$/.test(resume!.id), "resume is not numbered");
  assert.deepEqual(rest.map((m) => [m.id, m.data!.content]), [["2", "b"], ["3", "c"], ["4", "d"]]);
  socket().server("ack", { seq: 4 });
  assert.equal(link.waiting, false);
});

test("a resumed session is gone on with: what the gateway says of the new one is not heard", () => {
  const { clock, messages, statuses, socket } = setUp();
  socket().accept();
  socket().ready("r1");
  socket().hangUp(1006);
  clock.pass(300);
  messages.length = 0;
  socket().accept();
  socket().ready("r2", "s2");
  socket().server("state", { state: "idle" });
  assert.equal(messages.length, 0);
  assert.equal(statuses.at(-1)!.kind, "connecting");
  socket().ready("r3", "s1");
  socket().server("state", { state: "speaking" });
  assert.deepEqual(messages.map((m) => m.type === "bot-ready" ? m.about.session : m.type === "state" && m.state), ["s1", "speaking"]);
  assert.equal(statuses.at(-1)!.kind, "online");
});

for (const [how, refuse] of [
  ["with an error", (s: StubSocket) => s.message("error", { message: "out of date", field: "data.d.token", fatal: false })],
  ["without a word", (_: StubSocket, clock: StubClock) => clock.pass(3000)],
] as const) {
  test(`a resume that is refused ${how} goes on as the new session`, () => {
    const { clock, messages, sockets, socket } = setUp();
    socket().accept();
    socket().ready("r1");
    socket().hangUp(1006);
    clock.pass(300);
    messages.length = 0;
    socket().accept();
    socket().ready("r2", "s2");
    socket().server("state", { state: "idle" });
    refuse(socket(), clock);
    assert.deepEqual(messages.map((m) => m.type === "bot-ready" ? m.about.session : m.type === "state" && m.state), ["s2", "idle"]);
    clock.pass(60_000);
    assert.equal(sockets.length, 2);
  });
}

test("what is said before the first connection is sent once there is one", () => {
  const { link, socket } = setUp();
  link.say(text("early"));
  socket().accept();
  assert.deepEqual(socket().ids(), ["1"]);
});

test("too many unacknowledged messages are refused, not kept", () => {
  const { link } = setUp();
  for (let i = 0; i < MAX_UNACKNOWLEDGED; i++) assert.equal(link.say(text("x")), true);
  assert.equal(link.say(text("x")), false);
});

test("reconnecting backs off with chance in it and starts over after a success", () => {
  const { clock, sockets, socket } = setUp();
  const waits: number[] = [];
  for (let i = 0; i < 10; i++) {
    const before = clock.time;
    const count = sockets.length;
    socket().hangUp(1006);
    while (sockets.length === count) clock.pass(1);
    waits.push(clock.time - before);
  }
  // Three quarters of 250, 375, … 8000: half fixed, half of the other half by a random of 0.5.
  assert.deepEqual(waits, [188, 282, 422, 633, 950, 1424, 2136, 3204, 4806, 6000]);
  socket().accept();
  socket().ready("r");
  socket().hangUp(1006);
  const count = sockets.length;
  clock.pass(200);
  assert.equal(sockets.length, count + 1);
});

test("a restart (1012) and a move reconnect at once", () => {
  for (const leave of [(s: StubSocket) => s.hangUp(1012), (s: StubSocket) => s.server("move")]) {
    const { clock, sockets, socket } = setUp();
    socket().accept();
    socket().ready("r1");
    clock.pass(5000);
    const old = socket();
    leave(old);
    assert.equal(sockets.length, 2);
    assert.equal(old.onmessage, null, "the old connection is not heard any more");
  }
});

test("a gateway that restarts again and again is not hammered", () => {
  const { sockets, socket } = setUp();
  socket().accept();
  socket().ready("r1");
  socket().hangUp(1012);
  assert.equal(sockets.length, 1);
});

test("4429 waits longer, and says why", () => {
  const { clock, sockets, statuses, socket } = setUp();
  socket().hangUp(4429);
  assert.deepEqual(statuses.at(-1), { kind: "offline", busy: true });
  clock.pass(5000);
  assert.equal(sockets.length, 1);
  clock.pass(5000);
  assert.equal(sockets.length, 2);
  socket().hangUp(1006);
  assert.deepEqual(statuses.at(-1), { kind: "offline", busy: false });
});

for (const [code, why] of [[4400, "malformed"], [4401, "token"], [4403, "kiosk"], [4409, "taken"]] as const) {
  test(`${code} is final until somebody acts`, () => {
    const { link, clock, sockets, statuses, socket } = setUp();
    socket().accept();
    socket().hangUp(code, "because");
    clock.pass(60_000);
    assert.equal(sockets.length, 1);
    assert.deepEqual(statuses.at(-1), { kind: "refused", why, reason: "because" });
    link.start();
    assert.equal(sockets.length, 2);
  });
}

test("a connection that does not open is given up and tried again", () => {
  const { clock, sockets } = setUp();
  clock.pass(10_500);
  assert.equal(sockets.length, 2);
  assert.equal(sockets[0]!.closed, true);
});

test("a gateway that falls silent after a message is left, and the message sent again", () => {
  const { link, clock, sockets, socket } = setUp();
  socket().accept();
  socket().ready("r1");
  clock.pass(1);
  link.say(text("hello?"));
  clock.pass(10_500);
  assert.equal(sockets.length, 2);
  socket().accept();
  assert.equal(socket().texts().at(-1)!.data!.content, "hello?");
});

test("microphone frames are dropped while offline or far behind, and counted", () => {
  const { link, socket } = setUp();
  const frame = { response: 0, offset: 0, last: false, pcm: new Int16Array(320) };
  link.sendFrame(frame);
  socket().accept();
  link.sendFrame(frame);
  socket().bufferedAmount = 1_000_000;
  link.sendFrame(frame);
  assert.equal(link.framesDropped, 2);
  assert.equal(socket().sent.length, 1);
});

test("what breaks the protocol is told and ignored", () => {
  const { socket, faults, messages, frames } = setUp();
  socket().accept();
  socket().onmessage?.({ data: "{" });
  socket().onmessage?.({ data: new ArrayBuffer(3) });
  socket().onmessage?.({ data: encodeFrame({ response: 1, offset: 0, last: false, pcm: new Int16Array(2) }) });
  socket().server("back");
  assert.equal(faults.length, 2);
  assert.equal(frames(), 1);
  assert.deepEqual(messages, [{ type: "back" }]);
});

test("after stop nothing is called back", () => {
  const { link, clock, sockets, socket } = setUp();
  socket().accept();
  link.stop();
  clock.pass(60_000);
  assert.equal(sockets.length, 1);
  assert.equal(socket().closed, true);
});
