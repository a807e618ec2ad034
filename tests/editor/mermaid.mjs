// Reads Mermaid text on standard input and fails when Mermaid does not
// understand it. Mermaid cleans its labels in a browser's document, so it gets one.
import { readFileSync } from "node:fs";
import { JSDOM } from "jsdom";

const { window } = new JSDOM("");
globalThis.window = window;
globalThis.document = window.document;
const { default: mermaid } = await import("mermaid");

const answer = await mermaid.parse(readFileSync(0, "utf8"));
console.log(answer.diagramType);
