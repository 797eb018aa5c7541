// The WebAssembly that makes lossless pixels fast, loaded once. A page's policy may forbid it: then everything works without it, slower.
// Must not know what is decoded, nor why.

import { kernels, zstd } from "framewire:wasm";

/** The exports of the zstd decoder that are used. It grows its memory itself. */
export interface ZstdExports {
  readonly memory: WebAssembly.Memory;
  malloc(bytes: number): number;
  free(at: number): void;
  ZSTD_decompress(to: number, room: number, from: number, bytes: number): number;
}

/** The exports of kernels.wat. Addresses are those of the memory that it was instantiated with. */
export interface Kernels {
  stripes(at: number, end: number): number;
  expand(from: number, to: number, count: number): void;
  write(from: number, pixels: number, rgba: number, count: number): void;
}

export interface Native {
  readonly zstd: ZstdExports;
  /** Compiled; each picture has an instance over memory of its own, which never grows. */
  readonly kernels: WebAssembly.Module;
}

/** Undefined where WebAssembly is forbidden or has no SIMD. */
export async function startNative(): Promise<Native | undefined> {
  try {
    const env = { emscripten_notify_memory_growth: () => undefined };
    const decoder = await WebAssembly.instantiate(await inflated(zstd), { env });
    return { zstd: decoder.instance.exports as unknown as ZstdExports, kernels: await WebAssembly.compile(await inflated(kernels)) };
  } catch {
    return undefined;
  }
}

export function kernelsOver(native: Native, memory: WebAssembly.Memory): Kernels {
  return new WebAssembly.Instance(native.kernels, { env: { memory } }).exports as unknown as Kernels;
}

function inflated(base64: string): Promise<ArrayBuffer> {
  const packed = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
  return new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate-raw"))).arrayBuffer();
}
