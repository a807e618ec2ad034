import assert from "node:assert/strict";
import { test } from "node:test";
import { contrast, paletteOf } from "../src/colours.ts";

test("contrast is WCAG's", () => {
  assert.equal(contrast("#000000", "#ffffff"), 21);
  assert.equal(contrast("#777777", "#777777"), 1);
});

for (const [name, colours] of Object.entries({
  "the page's own": {},
  "yellow on light": { accent: "#f2b33d" },
  "yellow on dark": { background: "#10261f", surface: "#1a3a30", text: "#f4f1e8", accent: "#f2b33d", on_accent: "#10261f" },
  "dark without a text colour": { background: "#101820" },
  "white accent": { accent: "#ffffff" },
  "grey text on light": { text: "#999999" },
  "black accent on black": { background: "#000000", accent: "#000000" },
})) {
  test(`text is readable: ${name}`, () => {
    const p = paletteOf(colours);
    assert.ok(contrast(p["--ink"], p["--background"]) >= 7, "ink on background");
    assert.ok(contrast(p["--ink"], p["--surface"]) >= 7, "ink on surface");
    assert.ok(contrast(p["--accent-ink"], p["--background"]) >= 7, "accent as text");
    assert.ok(contrast(p["--on-accent"], p["--accent"]) >= 4.5, "text on accent, which is large");
  });
}

test("what a store chose is used", () => {
  const p = paletteOf({ background: "#10261f", surface: "#1a3a30", text: "#f4f1e8", accent: "#f2b33d", on_accent: "#10261f" });
  assert.deepEqual(p, { "--background": "#10261f", "--surface": "#1a3a30", "--ink": "#f4f1e8", "--accent": "#f2b33d", "--on-accent": "#10261f", "--accent-ink": "#f2b33d" });
});
