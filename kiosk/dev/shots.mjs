// Takes pictures of the page in all its states against the stub gateway, into
// build/shots/, for a person to look at.
import { mkdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { openBrowser } from "./browser.mjs";
import { startStub } from "./stub-gateway.mjs";

const folder = fileURLToPath(new URL("../build/shots/", import.meta.url));
const sizes = { portrait: [1080, 1920], landscape: [1920, 1080], phone: [390, 844] };
// The page's own colours, and a store's dark ones.
const brands = { landscape: { background: "#10261f", surface: "#1a3a30", text: "#f4f1e8", accent: "#f2b33d", on_accent: "#10261f" } };
const wanted = process.argv.slice(2);

await mkdir(folder, { recursive: true });
const stub = await startStub();
const browser = await openBrowser();
try {
  for (const [name, [width, height]] of Object.entries(sizes)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    stub.brand = brands[name];
    const page = await browser.openPage(`${stub.address}#token=stub`, { width, height });
    const shot = (what) => page.picture(`${folder}${name}-${what}.png`);
    await page.until(`window.__parley?.screen === "attract"`);
    await page.evaluate("new Promise((done) => setTimeout(done, 400))");
    await shot("1-attract");
    await page.touch("#start");
    await page.until(`__parley.state === "speaking" && __parley.playedMs > 1500`);
    await shot("2-speaking");
    await page.until(`__parley.state === "listening" && __parley.buttons.length > 0`);
    await page.evaluate("new Promise((done) => setTimeout(done, 500))");
    await shot("3-listening");
    await page.touch("#keyboard");
    await page.evaluate("new Promise((done) => setTimeout(done, 100))");
    await page.type("Where do I find white wall paint");
    await shot("4-typing");
    await page.evaluate(`document.querySelector("#typing").requestSubmit()`);
    await page.until(`__parley.state === "thinking"`);
    await page.evaluate("new Promise((done) => setTimeout(done, 300))");
    await shot("5-thinking");
    await page.until(`__parley.response === 2 && __parley.playedMs > 6500`);
    await shot("6-speaking");
    console.log(name, JSON.stringify(await page.evaluate("__parley")));
    await page.touch("#face");
    await page.until(`__parley.state === "listening" && __parley.buttons.length > 0`);
    await shot("6b-map");
    await page.touch("#choices button");
    await page.until(`__parley.response === 3 && __parley.state === "listening" && __parley.buttons.length > 0`);
    await shot("6c-picture");
    for (const client of stub.sockets) client.server("away", { message: "" });
    await page.until(`!document.querySelector("#away").hidden`);
    await shot("7-away");
    await page.touch("#end");
    await page.until(`__parley.screen === "attract"`);
    for (const client of stub.sockets) client.close(4409, "");
    await page.until(`__parley.screen === "closed"`);
    await shot("8-taken");
    await page.close();
  }
  console.log(browser.logs.join("\n"));
} finally {
  await browser.close();
  stub.close();
}
process.exit(0);
