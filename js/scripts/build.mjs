// Bundles the client into src/framewire/static/: the widget, the stand-alone page, and their styles.
// Must not know what the code does.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { wasmModule } from "./wasm.mjs";

const at = (path) => fileURLToPath(new URL(path, import.meta.url));
const OUT = at("../../src/framewire/static/");
const SRC = at("../src/");

const common = { bundle: true, minify: true, target: "es2022", charset: "utf8", legalComments: "none", logLevel: "warning", write: false };

async function bundle(entry, options) {
  const built = await build({ ...common, entryPoints: [SRC + entry], ...options });
  return built.outputFiles[0].text;
}

/**
 * The worker is part of the main bundle, as a function that closes over nothing: its text starts the worker,
 * and a page that forbids workers calls it. One copy serves both.
 */
async function workerModule() {
  const plugins = [generated("wasm", await wasmModule())];
  const iife = await bundle("worker/worker.ts", { format: "iife", globalName: "framewire_worker", plugins });
  return `export function workerBody() {\n${iife}\nreturn framewire_worker;\n}\n`;
}

/** A module that is generated here and imported as `framewire:<name>`. */
function generated(name, contents) {
  return {
    name: `framewire-${name}`,
    setup(esbuild) {
      esbuild.onResolve({ filter: new RegExp(`^framewire:${name}$`) }, ({ path }) => ({ path, namespace: `framewire-${name}` }));
      esbuild.onLoad({ filter: /.*/, namespace: `framewire-${name}` }, () => ({ contents, loader: "js" }));
    },
  };
}

const plugins = [generated("worker", await workerModule())];
const style = async (text) => (await build({ ...common, stdin: { contents: text, loader: "css" } })).outputFiles[0].text;
const css = (name) => readFileSync(`${SRC}main/${name}`, "utf8");

/** The style is part of the page. As a file of its own it needs another connection, which costs a second now and then on a path with loss. */
function page(html, style) {
  const [before, after] = html.split('<link rel="stylesheet" href="page.css">');
  if (after === undefined) throw new Error("page.html asks for no page.css");
  return `${before}<style>${style.trim()}</style>${after}`;
}

const files = {
  "widget.js": await bundle("main/widget.ts", { format: "esm", plugins }),
  "page.js": await bundle("main/page.ts", { format: "esm", plugins }),
  "index.js": await bundle("main/index.ts", { format: "esm", plugins }),
  "widget.css": await style(css("view.css")),
  "page.html": page(readFileSync(`${SRC}main/page.html`, "utf8"), await style(css("view.css") + css("page.css"))),
};

mkdirSync(OUT, { recursive: true });
for (const [name, text] of Object.entries(files)) {
  writeFileSync(OUT + name, text);
  console.log(`${name.padEnd(12)} ${(text.length / 1024).toFixed(1).padStart(6)} KB`);
}
