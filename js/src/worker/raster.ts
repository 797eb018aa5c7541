// One picture in memory: its raw pixels, to be checked and patched, and the image that a canvas takes.
// Must not know units, or how the body of a delta was made.

import { expand } from "../core/pixels";
import { type Box, maxBodyBytes, type Picture, patch, type Write } from "../core/tiles";
import { CHANNELS, type PixelFormat } from "../core/wire";
import { xxh32 } from "../core/xxh32";
import { type Kernels, kernelsOver, type Native } from "./native";

/** WebAssembly memory comes in pages of this size. */
const PAGE_BYTES = 65536;
/** The kernels read a few bytes beyond the end of what they are asked for. */
const PADDING_BYTES = 16;

export interface Raster extends Picture {
  readonly image: ImageData;
  readonly native: boolean;
  /** Makes the whole image from the pixels. */
  show(): void;
  /** The checksum of all pixels. */
  checksum(): number;
  /** Puts a delta's body over pixels and image. Throws a `RangeError`, as `patch` in core/tiles.ts does. */
  patch(body: Uint8Array): Box | undefined;
}

export function makeRaster(format: PixelFormat, width: number, height: number, native: Native | undefined): Raster {
  if (native !== undefined) return new FastRaster(format, width, height, native);
  return new PlainRaster(format, width, height);
}

class PlainRaster implements Raster {
  readonly native = false;
  readonly pixels: Uint8Array;
  readonly image: ImageData;
  readonly rgba: Uint32Array;

  constructor(
    readonly format: PixelFormat,
    readonly width: number,
    readonly height: number,
  ) {
    this.pixels = new Uint8Array(width * height * CHANNELS[format]);
    this.image = new ImageData(width, height);
    this.rgba = new Uint32Array(this.image.data.buffer);
  }

  show(): void {
    expand(this.format, this.pixels, this.rgba);
  }

  checksum(): number {
    return xxh32(this.pixels);
  }

  patch(body: Uint8Array): Box | undefined {
    return patch(this, body);
  }
}

/** Pixels, image and the place for a body lie in one WebAssembly memory, which belongs to this picture alone. */
class FastRaster implements Raster {
  readonly native = true;
  readonly pixels: Uint8Array;
  readonly image: ImageData;
  readonly rgba: Uint32Array;
  private readonly kernels: Kernels;
  private readonly body: Uint8Array;

  constructor(
    readonly format: PixelFormat,
    readonly width: number,
    readonly height: number,
    native: Native,
  ) {
    const count = width * height;
    const rgba_at = aligned(count * CHANNELS[format] + PADDING_BYTES);
    const body_at = rgba_at + 4 * count;
    const body_bytes = maxBodyBytes({ format, width, height });
    const memory = new WebAssembly.Memory({ initial: Math.ceil((body_at + body_bytes + PADDING_BYTES) / PAGE_BYTES) });
    this.kernels = kernelsOver(native, memory);
    this.pixels = new Uint8Array(memory.buffer, 0, count * CHANNELS[format]);
    this.rgba = new Uint32Array(memory.buffer, rgba_at, count);
    this.image = new ImageData(new Uint8ClampedArray(memory.buffer, rgba_at, 4 * count), width, height);
    this.body = new Uint8Array(memory.buffer, body_at, body_bytes);
  }

  show(): void {
    if (this.format === "rgb") this.kernels.expand(0, this.rgba.byteOffset, this.rgba.length);
    else expand(this.format, this.pixels, this.rgba);
  }

  checksum(): number {
    return xxh32(this.pixels, (_, end) => this.kernels.stripes(0, 4 * end));
  }

  patch(body: Uint8Array): Box | undefined {
    if (this.format !== "rgb" || body.byteLength > this.body.byteLength) return patch(this, body);
    const { kernels, rgba } = this;
    this.body.set(body);
    const body_at = this.body.byteOffset;
    const write: Write = (from, at, count) => kernels.write(body_at + from, 3 * at, rgba.byteOffset + 4 * at, count);
    return patch(this, body, write);
  }
}

function aligned(at: number): number {
  return Math.ceil(at / PADDING_BYTES) * PADDING_BYTES;
}
