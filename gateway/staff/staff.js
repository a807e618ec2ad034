// The staff page: who calls for staff, and the answer. It reads the stream of
// /v1/staff/events with fetch, because EventSource cannot send a token. Whatever
// came from a conversation is only ever set as text.

const api = new URL("../v1/staff/", location.href);
const $ = (id) => document.getElementById(id);
const keep = sessionStorage;
const soon = 20; // seconds left when a call is marked
const longest = 10_000; // ms between attempts to connect

const calls = new Map(); // key → call
const cards = new Map(); // key → its element
const key = (call) => `${call.kiosk}/${call.id}`;
let stream = null; // an AbortController while signed in

const languages = new Intl.DisplayNames(undefined, { type: "language" });

function request(path, options = {}) {
  const headers = { Authorization: `Bearer ${keep.getItem("staff-token")}`, ...options.headers };
  return fetch(new URL(path, api), { ...options, headers });
}

// Signing in and out.

function signIn(event) {
  event.preventDefault();
  keep.setItem("staff-token", $("token").value.trim());
  keep.setItem("staff-by", $("by").value.trim());
  $("token").value = "";
  open();
}

function open() {
  $("door").hidden = true;
  $("desk").hidden = $("leave").hidden = $("sound-label").hidden = false;
  stream = new AbortController();
  follow(stream.signal);
}

function leave(why = "") {
  stream?.abort();
  keep.removeItem("staff-token");
  calls.clear();
  draw();
  link("");
  $("notice").textContent = "";
  $("desk").hidden = $("leave").hidden = $("sound-label").hidden = true;
  $("door").hidden = false;
  $("refused").textContent = why;
  $("refused").hidden = !why;
  $("by").value = keep.getItem("staff-by") ?? "";
  ($("by").value ? $("token") : $("by")).focus();
}

function link(text, away = false) {
  if ($("link").textContent !== text) $("link").textContent = text; // else it would be read out again
  $("link").classList.toggle("away", away);
}

// The stream.

async function follow(signal) {
  for (let wait = 1000; !signal.aborted; wait = Math.min(2 * wait, longest)) {
    try {
      const response = await request("events", { signal });
      if (response.status === 401) return leave("This token is not valid here.");
      if (!response.ok) throw new Error(response.statusText);
      for await (const [name, data] of events(response.body)) {
        wait = 1000;
        take(name, data);
      }
    } catch (error) {
      if (signal.aborted) return;
      console.warn("staff events:", error);
    }
    link("No connection; trying again …", true);
    await new Promise((done) => setTimeout(done, wait));
  }
}

// events reads Server-Sent Events: [name, data] of each.
async function* events(body) {
  let rest = "";
  for await (const part of read(body.pipeThrough(new TextDecoderStream()))) {
    const blocks = (rest + part).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      let name = "", data = "";
      for (const line of block.split("\n")) {
        if (line.startsWith("event:")) name = line.slice(6).trim();
        if (line.startsWith("data:")) data += line.slice(5);
      }
      if (name) yield [name, JSON.parse(data)];
    }
  }
}

// read is a stream's async iterator, which Safari lacks.
async function* read(stream) {
  const reader = stream.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}

function take(name, data) {
  switch (name) {
    case "list": {
      const before = new Set(calls.keys());
      calls.clear();
      for (const call of data.handoffs) calls.set(key(call), call);
      if (data.handoffs.some((call) => !before.has(key(call)))) chime();
      break;
    }
    case "handoff":
      if (!calls.has(key(data))) chime();
      calls.set(key(data), data);
      break;
    case "ended":
      calls.delete(key(data));
      break;
    case "away":
      link("The conversations cannot be reached; what is shown may be old", true);
      return;
  }
  link("Connected");
  draw();
}

// The cards.

function draw() {
  for (const [k, card] of cards) {
    if (!calls.has(k)) {
      card.remove();
      cards.delete(k);
    }
  }
  for (const call of [...calls.values()].sort((a, b) => a.since.localeCompare(b.since))) {
    let card = cards.get(key(call));
    if (!card) {
      card = make(call);
      cards.set(key(call), card);
      $("calls").append(card);
    }
    card.querySelector(".summary").textContent = call.summary ?? "";
    if (!card.dataset.whole) lines(card, call.transcript);
  }
  const n = calls.size;
  const text = n === 0 ? "Nobody is calling." : n === 1 ? "One customer is waiting." : `${n} customers are waiting.`;
  if ($("waiting").textContent !== text) $("waiting").textContent = text;
  document.title = n ? `(${n}) Parley · staff` : "Parley · staff";
  tick();
}

function make(call) {
  const card = $("call").content.firstElementChild.cloneNode(true);
  card.querySelector(".where").textContent = call.name;
  card.querySelector(".team").textContent = call.team;
  card.querySelector(".language").textContent = languages.of(call.language);
  card.querySelector(".whole").addEventListener("click", () => showAll(card, call));
  for (const answer of ["accept", "decline"]) {
    const button = card.querySelector(`footer .${answer}`);
    button.setAttribute("aria-label", `${button.textContent}: ${call.name}`);
    button.addEventListener("click", () => reply(card, call, answer));
  }
  return card;
}

function lines(card, transcript) {
  card.querySelector(".lines").replaceChildren(...transcript.filter((line) => line.text).map((line) => {
    const item = document.createElement("li");
    const who = document.createElement("b");
    item.className = line.by;
    who.textContent = line.by === "customer" ? "Customer" : "Kiosk";
    item.append(who, line.text);
    return item;
  }));
}

async function showAll(card, call) {
  const response = await request(`handoffs/${encodeURIComponent(call.kiosk)}/${encodeURIComponent(call.id)}`).catch(() => null);
  if (!response?.ok) return; // the stream will say what has become of it
  lines(card, (await response.json()).transcript);
  card.dataset.whole = "yes";
  card.querySelector(".whole").hidden = true;
}

async function reply(card, call, answer) {
  const buttons = card.querySelectorAll("footer button");
  for (const b of buttons) b.disabled = true;
  try {
    const response = await request(`handoffs/${encodeURIComponent(call.kiosk)}/${encodeURIComponent(call.id)}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ answer, by: keep.getItem("staff-by") }),
    });
    if (response.ok) {
      $("notice").textContent = answer === "accept" ? `The customer at ${call.name} knows that you are coming.` : `You have declined the call at ${call.name}.`;
    } else {
      $("notice").textContent = `${call.name}: ${(await response.json()).error}`;
    }
    if (response.ok || response.status === 409 || response.status === 410) {
      calls.delete(key(call));
      draw();
      return;
    }
  } catch {
    $("notice").textContent = `${call.name}: the answer did not get through; try again.`;
  }
  for (const b of buttons) b.disabled = false;
}

// Time.

const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

function tick() {
  for (const [k, call] of calls) {
    const now = Date.now(), since = Date.parse(call.since), until = Date.parse(call.until);
    const left = Math.max(0, (until - now) / 1000);
    const card = cards.get(k);
    card.querySelector(".waited").textContent = `waiting for ${clock(Math.max(0, (now - since) / 1000))}`;
    card.querySelector(".left").textContent = `${clock(left)} left`;
    card.querySelector("progress").value = left / ((until - since) / 1000);
    card.classList.toggle("soon", left < soon);
  }
}

// A short tone for a new call, where somebody has asked for it: a page may sound
// only after it has been touched.
let audio = null;

function chime() {
  if (!$("sound").checked || !audio) return;
  const tone = audio.createOscillator(), volume = audio.createGain();
  tone.frequency.setValueAtTime(660, audio.currentTime);
  tone.frequency.setValueAtTime(880, audio.currentTime + 0.15);
  volume.gain.setValueAtTime(0.2, audio.currentTime);
  volume.gain.exponentialRampToValueAtTime(0.001, audio.currentTime + 0.5);
  tone.connect(volume).connect(audio.destination);
  tone.start();
  tone.stop(audio.currentTime + 0.5);
}

$("door").addEventListener("submit", signIn);
$("leave").addEventListener("click", () => leave());
$("sound").addEventListener("change", () => {
  audio ??= new AudioContext();
  chime();
});
setInterval(tick, 1000);

if (keep.getItem("staff-token") && keep.getItem("staff-by")) open();
else leave();
