// Gray, RGB or RGBA bytes to the RGBA words that a canvas takes.
// Must not know canvases; little-endian, as every browser is.

import type { PixelFormat } from "./wire";

const OPAQUE = 0xff000000;

/** Writes `pixels` into `out`, one word for each pixel. `out` has exactly the size of the frame. */
export function expand(format: PixelFormat, pixels: Uint8Array, out: Uint32Array): void {
  if (format === "gray") expandGray(pixels, out);
  else if (format === "rgb") expandRgb(pixels, out);
  else new Uint8Array(out.buffer, out.byteOffset, out.byteLength).set(pixels.subarray(0, out.byteLength));
}

function expandGray(pixels: Uint8Array, out: Uint32Array): void {
  for (let i = 0; i < out.length; i++) out[i] = OPAQUE | Math.imul(pixels[i] as number, 0x010101);
}

/** Four pixels are three words: words are four times as fast as bytes. */
function expandRgb(pixels: Uint8Array, out: Uint32Array): void {
  const aligned = (pixels.byteOffset & 3) === 0 ? pixels : pixels.slice();
  const quads = out.length >> 2;
  const words = new Uint32Array(aligned.buffer, aligned.byteOffset, quads * 3);
  for (let i = 0, from = 0, to = 0; i < quads; i++, from += 3, to += 4) {
    const a = words[from] as number;
    const b = words[from + 1] as number;
    const c = words[from + 2] as number;
    out[to] = OPAQUE | a;
    out[to + 1] = OPAQUE | (a >>> 24) | (b << 8);
    out[to + 2] = OPAQUE | (b >>> 16) | (c << 16);
    out[to + 3] = OPAQUE | (c >>> 8);
  }
  for (let i = quads << 2, at = i * 3; i < out.length; i++, at += 3) {
    out[i] = OPAQUE | (aligned[at] as number) | ((aligned[at + 1] as number) << 8) | ((aligned[at + 2] as number) << 16);
  }
}
