// The stock serializer's side of gateway/pipecat's golden files: `node frames.mjs
// DIR` writes what a client sends to DIR/*.bin, `node frames.mjs --read` prints
// what it reads in the frames that come as lines of base64.
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

globalThis.window ??= globalThis; // the package expects a browser, its serializer needs none
const require = createRequire(import.meta.url);
const { ProtobufFrameSerializer } = require("@pipecat-ai/websocket-transport");
const stock = new ProtobufFrameSerializer();

const message = (type, data) => stock.serializeMessage({ id: "1a2b3c4d", label: "rtvi-ai", type, data });
const tone = (samples) => Int16Array.from({ length: samples }, (_, i) => Math.round(8000 * Math.sin(i / 5))).buffer;
const frames = {
  "client-ready": message("client-ready", { version: "2.1.0", about: { library: "@pipecat-ai/client-js", library_version: "1.13.1" } }),
  "send-text": message("send-text", { content: "wo finde ich Hämmer?", options: {} }),
  "touch": message("ui-event", { event: "touch", payload: { value: "de" } }),
  "disconnect-bot": message("disconnect-bot", {}),
  "interrupt": message("client-message", { t: "interrupt" }),
  "audio": stock.serializeAudio(tone(320), 16000, 1),
  "audio-24k": stock.serializeAudio(tone(480), 24000, 1),
  "ui-snapshot": message("ui-snapshot", { tree: { role: "document" } }),
};

if (process.argv[2] === "--read") {
  for (const line of readFileSync(0, "utf8").trim().split("\n")) {
    const { type, audio, message } = await stock.deserialize(new Blob([Buffer.from(line, "base64")]));
    console.log(JSON.stringify(type === "audio" ? { samples: [...audio] } : message));
  }
} else {
  for (const [name, bytes] of Object.entries(frames)) writeFileSync(join(process.argv[2], `${name}.bin`), bytes);
}
