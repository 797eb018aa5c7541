// The WebAssembly of the worker, as a module that the build and the tests import as `framewire:wasm`: the zstd decoder
// from its package, and our own loops, assembled. Must not know what calls them.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { deflateRawSync } from "node:zlib";
import wabt from "wabt";

const NAME = "framewire:wasm";
/** The first bytes of every WebAssembly module, in base64: "\0asm", version 1. */
const QUOTED = /["'`](AGFzbQEAAA[A-Za-z0-9+/=]+)["'`]/;

/** The package's own loader fetches a data: address, which a page's policy may refuse. */
function zstd() {
  const source = readFileSync(createRequire(import.meta.url).resolve("zstddec"), "utf8");
  const found = QUOTED.exec(source)?.[1];
  if (found === undefined) throw new Error("zstddec holds no WebAssembly any more");
  return Buffer.from(found, "base64");
}

async function kernels() {
  const name = "kernels.wat";
  const text = readFileSync(new URL(`../src/worker/${name}`, import.meta.url), "utf8");
  const { parseWat } = await wabt();
  return Buffer.from(parseWat(name, text, { simd: true }).toBinary({}).buffer);
}

export async function wasmModule() {
  const packed = (bytes) => JSON.stringify(deflateRawSync(bytes, { level: 9 }).toString("base64"));
  return `export const zstd = ${packed(zstd())};\nexport const kernels = ${packed(await kernels())};\n`;
}

/** For vitest. */
export function wasmPlugin() {
  return {
    name: "framewire-wasm",
    resolveId: (id) => (id === NAME ? `\0${NAME}` : undefined),
    load: (id) => (id === `\0${NAME}` ? wasmModule() : undefined),
  };
}
