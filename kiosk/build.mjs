// Builds the page into dist/, which is committed so that `go build` needs no
// npm. `--check` builds into memory and fails if dist/ differs; `--test` bundles
// the unit tests for node.
import { readFile, readdir, rm, mkdir, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL(".", import.meta.url));
const mode = process.argv[2] ?? "";

if (mode === "--test") {
  const tests = (await readdir(join(root, "test"))).filter((f) => f.endsWith(".test.ts"));
  await rm(join(root, "build/test"), { recursive: true, force: true });
  await build({
    absWorkingDir: root,
    entryPoints: tests.map((f) => join("test", f)),
    outdir: "build/test",
    outExtension: { ".js": ".mjs" },
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    sourcemap: "inline",
    logLevel: "warning",
  });
} else if (mode === "" || mode === "--check") {
  const files = await bundle();
  if (mode === "--check") await check(files);
  else await write(files);
} else {
  fail(`unknown option ${mode}: use --check, --test or none`);
}

// bundle returns the files of dist/ by name.
async function bundle() {
  const result = await build({
    absWorkingDir: root,
    entryPoints: {
      app: "src/main.ts",
      style: "src/style.css",
      // An AudioWorklet is loaded by address, so each is a file of its own.
      "capture-worklet": "src/worklet/capture.ts",
      "playback-worklet": "src/worklet/playback.ts",
    },
    outdir: "dist",
    bundle: true,
    minify: true,
    format: "esm",
    target: ["chrome110", "firefox115", "safari16.4"],
    loader: { ".svg": "text" },
    legalComments: "none",
    write: false,
    logLevel: "warning",
  });
  const files = new Map(result.outputFiles.map((f) => [basename(f.path), Buffer.from(f.contents)]));
  for (const name of ["index.html", "icon.svg"]) files.set(name, await readFile(join(root, "src", name)));
  return files;
}

async function write(files) {
  const dist = join(root, "dist");
  await rm(dist, { recursive: true, force: true });
  await mkdir(dist);
  for (const [name, content] of files) await writeFile(join(dist, name), content);
}

async function check(files) {
  const dist = join(root, "dist");
  const there = await readdir(dist).catch(() => []);
  const stale = there.filter((name) => !files.has(name));
  for (const [name, content] of files) {
    const old = await readFile(join(dist, name)).catch(() => null);
    if (!old?.equals(content)) stale.push(name);
  }
  if (stale.length > 0) fail(`kiosk/dist is not what the sources build (${stale.join(", ")}): run "npm run build" and commit dist`);
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
