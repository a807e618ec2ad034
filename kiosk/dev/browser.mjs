// Headless Chromium over its DevTools protocol: just enough to open the page,
// touch it and take a picture. Debian: apt install chromium.
import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import WebSocket from "ws";

const flags = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
  "--disable-background-networking", "--disable-component-update", "--disable-sync", "--remote-debugging-port=0",
  "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
];

export async function openBrowser(more = []) {
  const profile = await mkdtemp(join(tmpdir(), "parley-chromium-"));
  const process = spawn("chromium", [...flags, ...more, `--user-data-dir=${profile}`, "about:blank"], { stdio: ["ignore", "ignore", "pipe"] });
  const endpoint = await new Promise((found, failed) => {
    let log = "";
    process.on("error", failed);
    process.on("exit", () => failed(new Error(`chromium ended: ${log}`)));
    process.stderr.on("data", (chunk) => {
      log += chunk;
      const address = log.match(/ws:\/\/\S+/);
      if (address) found(address[0]);
    });
  });
  const socket = new WebSocket(endpoint);
  await new Promise((open) => socket.on("open", open));
  const waiting = new Map();
  const logs = [];
  let last = 0;
  socket.on("message", (data) => {
    const m = JSON.parse(data);
    if (m.method === "Runtime.consoleAPICalled") logs.push(`${m.params.type}: ${m.params.args.map((a) => a.value ?? a.description).join(" ")}`);
    if (m.method === "Runtime.exceptionThrown") logs.push(`exception: ${m.params.exceptionDetails.exception?.description}`);
    if (m.method === "Log.entryAdded") logs.push(`${m.params.entry.level}: ${m.params.entry.text}`);
    waiting.get(m.id)?.(m);
    waiting.delete(m.id);
  });
  const call = (method, params = {}, sessionId) => new Promise((done, failed) => {
    const id = ++last;
    waiting.set(id, (m) => (m.error ? failed(new Error(`${method}: ${m.error.message}`)) : done(m.result)));
    socket.send(JSON.stringify({ id, method, params, sessionId }));
  });

  async function openPage(url, { width, height, scale = 1, media = [] }) {
    const { targetId } = await call("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await call("Target.attachToTarget", { targetId, flatten: true });
    const send = (method, params) => call(method, params, sessionId);
    await send("Runtime.enable");
    await send("Log.enable");
    await send("Page.enable");
    await send("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: scale, mobile: false });
    await send("Emulation.setEmulatedMedia", { features: media });
    await send("Page.navigate", { url });
    const evaluate = async (expression) => {
      const { result, exceptionDetails } = await send("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true, userGesture: true });
      if (exceptionDetails) throw new Error(`${expression}: ${exceptionDetails.exception?.description}`);
      return result.value;
    };
    const until = async (condition, timeout = 15_000) => {
      const end = Date.now() + timeout;
      while (!(await evaluate(condition))) {
        if (Date.now() > end) throw new Error(`not within ${timeout} ms: ${condition}; ${JSON.stringify(await evaluate("window.__parley"))}`);
        await new Promise((done) => setTimeout(done, 40));
      }
    };
    return {
      evaluate,
      until,
      size: (width, height) => send("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: false }),
      touch: (selector) => evaluate(`document.querySelector(${JSON.stringify(selector)}).click()`),
      type: (text) => send("Input.insertText", { text }),
      picture: async (file) => writeFile(file, Buffer.from((await send("Page.captureScreenshot", { format: "png" })).data, "base64")),
      close: () => call("Target.closeTarget", { targetId }),
    };
  }

  async function close() {
    await call("Browser.close").catch(() => {});
    await new Promise((done) => (process.exitCode === null ? process.on("exit", done) : done()));
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  }
  return { openPage, close, logs };
}
