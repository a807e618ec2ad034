// A page as an author would write it, with the stock client and nothing of ours.
// Its address's fragment says where to connect (url) and as whom (token); what
// happens is seen through window.__pipecat.
import { PipecatClient } from "@pipecat-ai/client-js";
import { WavMediaManager, WebSocketTransport } from "@pipecat-ai/websocket-transport";

const asked = new URLSearchParams(location.hash.slice(1));
const door = {
  state: "", session: "", version: "", language: "", outcome: "", greetings: 0,
  speaking: false, understood: [], captions: [], buttons: [], errors: [], interrupted: 0,
};
const events = {
  onTransportStateChanged: (state) => { door.state = state; },
  onBotReady: ({ version, about }) => { door.version = version; door.session = about.session; door.greetings++; },
  onBotStartedSpeaking: () => { door.speaking = true; },
  onBotStoppedSpeaking: () => { door.speaking = false; },
  onUserTranscript: ({ text }) => { door.understood.push(text); },
  onBotOutput: ({ segment_id, text, spoken_status }) => {
    const known = door.captions.find((c) => c.id === segment_id);
    if (known) known.status = spoken_status;
    else door.captions.push({ id: segment_id, text, status: spoken_status });
  },
  onServerMessage: ({ t, d }) => {
    if (t === "screen") door.buttons = d.buttons.map((b) => b.value);
    if (t === "state") door.language = d.language ?? "";
    if (t === "ended") door.outcome = d.outcome;
    if (t === "clear") door.interrupted++;
  },
  onError: ({ data }) => { door.errors.push(data.error); },
};

let media;
let client;

// connect makes a client for every connection: the stock player is deaf for ever
// once it was disconnected while it played.
async function connect() {
  // The transport's own choice of media manager loads a program from its maker's
  // servers; this one is in the package. 20 ms of PCM16 at the rate that the
  // transport says it sends.
  media = new WavMediaManager(640, 16000);
  client = new PipecatClient({
    transport: new WebSocketTransport({ mediaManager: media, wsUrl: asked.get("url") }),
    callbacks: events,
  });
  await client.connect({ token: asked.get("token") });
  return true;
}

// loudness is that of what goes to the speaker at this moment.
function loudness() {
  const analyser = media?._wavStreamPlayer.analyser;
  if (!analyser) return 0;
  const samples = new Float32Array(1024); // 43 ms
  analyser.getFloatTimeDomainData(samples);
  return Math.sqrt(samples.reduce((sum, s) => sum + s * s, 0) / samples.length);
}

window.__pipecat = {
  connect,
  look: () => ({ ...door, loudness: loudness() }),
  disconnect: async () => { await client.disconnect(); return true; },
  type: async (text) => { await client.sendText(text); return true; },
  touch: (value) => { client.sendUIEvent("touch", { value }); return true; },
  leave: () => { client.disconnectBot(); return true; },
};
