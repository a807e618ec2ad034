// A stub of the gateway, to look at the page without the rest of Parley: it
// speaks docs/kiosk-protocol.md and answers with a few fixed sentences, spoken by
// flite (apt install flite). Nothing is understood and nothing is durable.
//
//   node dev/stub-gateway.mjs [port]      then open the address it prints
import { execFile } from "node:child_process";
import { createServer } from "node:http";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { WebSocketServer } from "ws";

const run = promisify(execFile);
const dist = fileURLToPath(new URL("../dist/", import.meta.url));
const media = fileURLToPath(new URL("media/", import.meta.url));
const types = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };
const csp = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const script = {
  greeting: {
    gesture: "wave",
    text: ["Hello, and welcome to Miller Hardware.", "What are you looking for today?"],
    screen: { title: "Today", text: "Ten per cent off all wall paints, and keys are cut while you wait." },
    buttons: ["Paint and brushes", "Tools", "Opening hours", "Talk to a person"],
  },
  answer: {
    gesture: "point",
    text: [
      "Wall paint is in aisle seven, on the left, next to the brushes and rollers.",
      "A ten litre bucket of matt white costs 34.90 and covers about sixty square metres.",
      "Shall I show you where the masking tape is?",
    ],
    screen: { title: "Wall paint · aisle 7", map: "store/media/map.svg", mark: "aisle-7", alt: "A map of the store: aisle 7 is on the left" },
    buttons: ["Yes, please", "No, thank you"],
  },
  picture: {
    gesture: "smile",
    text: ["This is the brush that I would take."],
    screen: { title: "Flat brush, 70 mm", text: "12.90 · in stock", picture: "store/media/brush.svg", alt: "A flat brush with a wooden handle" },
    buttons: ["Show me the aisle"],
  },
  goodbye: { gesture: "nod", text: ["Thank you for your visit.", "Have a good day!"], buttons: [] },
};

const visemes = {
  p: "PP", b: "PP", m: "PP", f: "FF", v: "FF", th: "TH", dh: "TH", t: "DD", d: "DD", k: "kk", g: "kk", ng: "kk", hh: "kk",
  ch: "CH", jh: "CH", sh: "CH", zh: "CH", s: "SS", z: "SS", n: "nn", l: "nn", r: "RR", er: "RR",
  aa: "aa", ah: "aa", ax: "aa", ae: "aa", ay: "aa", aw: "aa", eh: "E", ey: "E", ih: "I", iy: "I", y: "I",
  ao: "O", ow: "O", oy: "O", uh: "U", uw: "U", w: "U", pau: "sil",
};

// speak returns 16 kHz PCM16 and its cues.
async function speak(text) {
  const folder = await mkdtemp(join(tmpdir(), "parley-stub-"));
  try {
    const wav = join(folder, "a.wav");
    const { stdout } = await run("flite", ["-voice", "slt", "-psdur", "-t", text, "-o", wav]);
    const pcm = (await readFile(wav)).subarray(44);
    let at = 0;
    const cues = [];
    for (const [, phone, end] of stdout.matchAll(/([a-z]+)\d?:([\d.]+)/g)) {
      cues.push({ at, viseme: visemes[phone] ?? "sil", weight: 1 });
      at = Math.round(Number(end) * 1000);
    }
    cues.push({ at, viseme: "sil", weight: 1 });
    return { pcm, cues };
  } finally {
    await rm(folder, { recursive: true });
  }
}

export async function startStub(port = 0) {
  const voices = {};
  for (const { text } of Object.values(script)) for (const s of text) voices[s] = await speak(s);

  const server = createServer(async (request, response) => {
    const path = request.url.split("?")[0];
    const shown = path.startsWith("/store/media/");
    const file = path === "/" ? "index.html" : path.slice(shown ? 13 : 1);
    if (!/^[\w-]+\.\w+$/.test(file)) return response.writeHead(404).end();
    try {
      const body = await readFile(join(shown ? media : dist, file));
      response.writeHead(200, { "content-type": types[extname(file)] ?? "application/octet-stream", "content-security-policy": csp, "cache-control": "no-store" }).end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  const sockets = new WebSocketServer({ server, path: "/v1/kiosk", handleProtocols: () => "parley.v1" });
  const stub = { address: "", sockets: new Set(), heard: [], voiceSamples: 0, close: () => server.close() };
  sockets.on("connection", (socket, request) => serve(stub, socket, request, voices));
  await new Promise((done) => server.listen(port, "127.0.0.1", done));
  stub.address = `http://localhost:${server.address().port}/`;
  return stub;
}

function serve(stub, socket, request, voices) {
  if (!request.headers["sec-websocket-protocol"]?.includes("bearer.stub")) return socket.close(4401, "token: wrong");
  const session = { response: 0, played: 0, playing: null };
  const send = (type, data) => socket.send(JSON.stringify({ label: "rtvi-ai", type, id: "s", data }));
  const server = (t, d) => send("server-message", { t, d });
  const client = { send, server, close: (code, reason) => socket.close(code, reason), state: (state) => server("state", { state, language: "en" }) };
  stub.sockets.add(client);
  socket.on("close", () => stub.sockets.delete(client));
  send("bot-ready", {
    version: "1.0",
    about: { store: "miller", kiosk: "k1", session: "s1", resume_token: "r1", name: "Miller Hardware", languages: ["en", "de", "fr", "tr"], audio_in: { rate: 16000 }, brand: stub.brand },
  });
  server("state", { state: "idle" });

  async function say({ gesture, text, screen, buttons }) {
    const response = ++session.response;
    session.played = 0;
    session.playing = response;
    client.state("thinking");
    await new Promise((done) => setTimeout(done, stub.thinkMs ?? 700));
    server("audio", { response, rate: 16000 });
    let samples = 0;
    server("cues", { response, cues: [{ at: 150, gesture }] });
    const parts = text.map((sentence, segment) => {
      const { pcm, cues } = voices[sentence];
      const at_ms = samples / 16;
      samples += pcm.length / 2;
      send("bot-output", { text: sentence, response, segment, at_ms, spoken: false, aggregated_by: "sentence" });
      server("cues", { response, cues: cues.map((c) => ({ ...c, at: c.at + at_ms })) });
      return pcm;
    });
    server("end", { response, ms: samples / 16 });
    client.state("speaking");
    server("screen", { ...screen, buttons: [] });
    const pcm = Buffer.concat(parts);
    for (let offset = 0; offset < samples && session.playing === response; offset += 320) {
      while (offset / 16 > session.played + 1000 && session.playing === response) await new Promise((done) => setTimeout(done, 20));
      const header = Buffer.alloc(8);
      header.writeUInt8(1, 0);
      header.writeUInt8(offset + 320 >= samples ? 1 : 0, 1);
      header.writeUInt16LE(response, 2);
      header.writeUInt32LE(offset, 4);
      socket.send(Buffer.concat([header, pcm.subarray(offset * 2, offset * 2 + 640)]));
    }
    while (session.playing === response) await new Promise((done) => setTimeout(done, 20));
    server("screen", { ...screen, buttons: buttons.map((label) => ({ value: label, label })) });
    client.state("listening");
  }

  socket.on("message", async (data, binary) => {
    if (binary) {
      stub.voiceSamples += (data.length - 8) / 2;
      return;
    }
    const { id, type, data: d } = JSON.parse(data);
    if (/^\d+$/.test(id)) server("ack", { seq: Number(id) });
    stub.heard.push({ id, type, data: d });
    switch (type) {
      case "client-ready":
        return say(script.greeting);
      case "send-text":
      case "ui-event":
        return say(d.value === "Yes, please" ? script.picture : script.answer);
      case "disconnect-bot":
        session.playing = null;
        server("ended", { outcome: "left" });
        return server("state", { state: "idle" });
      case "client-message":
        if (d.t === "interrupt" && session.playing) {
          server("clear", { response: session.playing });
          send("bot-interrupted", { response: session.playing, played_ms: session.played });
        }
        if (d.t === "played" && d.d.response === session.response) {
          session.played = d.d.ms;
          if (d.d.done) session.playing = null;
        }
    }
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const stub = await startStub(Number(process.argv[2] ?? 8090));
  console.log(`${stub.address}#token=stub`);
}
