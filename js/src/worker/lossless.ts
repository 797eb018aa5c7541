// Raw or zstd units, whole or deltas, to a checked picture, as an image that a canvas takes.
// Must not know sockets, views or canvases.

import type { Box } from "../core/tiles";
import { maxBodyBytes } from "../core/tiles";
import type { Unit } from "../core/units";
import { BASE_BYTES, type ChunkHeader, isDelta, pixelBytes } from "../core/wire";
import type { Native } from "./native";
import { makeRaster, type Raster } from "./raster";
import { Zstd } from "./zstd";

/** An image, and where it differs from the one before. */
export interface Shown {
  readonly image: ImageData;
  readonly header: ChunkHeader;
  /** Counts the images of this unpacker. */
  readonly turn: number;
  /** The box around what changed; undefined where nothing did. */
  readonly changed: Box | undefined;
}

export type Unpacked = ({ readonly ok: true } & Shown) | { readonly ok: false; readonly why: string };

/** One stream's picture. Memory is kept from frame to frame: a 1080p frame is 6 MB of pixels and 8 MB of image. */
export class Unpacker {
  private raster: Raster | undefined;
  /** The header of the unit that made the picture; undefined where no delta can build on the picture. */
  private header: ChunkHeader | undefined;
  private changed: Box | undefined;
  private turn = 0;
  private readonly zstd = new Zstd();

  /** Whether there is a picture that a delta can build on. */
  get hasBase(): boolean {
    return this.header !== undefined;
  }

  /**
   * Takes units in order and returns the image of the last one; the next call overwrites it. All of its pixels are checked against
   * the checksum of that unit. A picture that differs from what was published is not returned, and then only a whole picture
   * helps. The units are released.
   */
  unpack(units: readonly Unit[], native: Native | undefined): Unpacked {
    this.changed = undefined;
    let wrong: string | undefined;
    for (const unit of units) {
      wrong ??= this.take(unit, native);
      unit.release();
    }
    const { raster, header, changed } = this;
    if (wrong === undefined && raster?.checksum() !== header?.checksum) wrong = `frame ${header?.frame}: checksum does not match`;
    if (wrong !== undefined || raster === undefined || header === undefined) {
      this.dropBase();
      return { ok: false, why: wrong ?? "no picture" };
    }
    this.turn += 1;
    return { ok: true, image: raster.image, header, turn: this.turn, changed };
  }

  /** No delta can build on the picture any more. */
  dropBase(): void {
    this.header = undefined;
  }

  close(): void {
    this.dropBase();
    this.zstd.close();
  }

  /** Puts one unit into the picture; returns what is wrong with it. */
  private take(unit: Unit, native: Native | undefined): string | undefined {
    const { header } = unit;
    try {
      if (isDelta(header)) this.patch(unit, native);
      else this.replace(unit, native);
      this.header = header;
      return undefined;
    } catch (error) {
      return `frame ${header.frame}: ${String(error)}`;
    }
  }

  private replace({ header, data }: Unit, native: Native | undefined): void {
    const bytes = pixelBytes(header);
    const pixels = header.codec === "raw" ? data : this.zstd.decode(data, bytes, native);
    if (pixels.byteLength !== bytes) throw new Error(`${pixels.byteLength} of ${bytes} bytes`);
    const { raster } = this;
    const fit = raster !== undefined && fits(raster, header) && raster.native === (native !== undefined);
    const found = fit ? raster : makeRaster(header.pixel_format, header.width, header.height, native);
    found.pixels.set(pixels);
    found.show();
    this.raster = found;
    this.changed = { left: 0, top: 0, right: header.width, bottom: header.height };
  }

  private patch({ header, data }: Unit, native: Native | undefined): void {
    const base = new DataView(data.buffer, data.byteOffset, BASE_BYTES).getUint32(0, true);
    const raster = this.movedRaster(native);
    if (raster === undefined || this.header?.frame !== base || !fits(raster, header)) throw new Error(`builds on frame ${base}, which is not here`);
    const packed = data.subarray(BASE_BYTES);
    const body = header.codec === "raw" ? packed : this.zstd.decode(packed, maxBodyBytes(raster), native);
    this.changed = around(this.changed, raster.patch(body));
  }

  /** The picture. One that was made before WebAssembly was loaded moves into its memory. */
  private movedRaster(native: Native | undefined): Raster | undefined {
    const { raster } = this;
    if (raster === undefined || raster.native || native === undefined) return raster;
    this.raster = makeRaster(raster.format, raster.width, raster.height, native);
    this.raster.pixels.set(raster.pixels);
    this.raster.rgba.set(raster.rgba);
    return this.raster;
  }
}

function fits(raster: Raster, { width, height, pixel_format }: ChunkHeader): boolean {
  return raster.width === width && raster.height === height && raster.format === pixel_format;
}

function around(one: Box | undefined, other: Box | undefined): Box | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return {
    left: Math.min(one.left, other.left),
    top: Math.min(one.top, other.top),
    right: Math.max(one.right, other.right),
    bottom: Math.max(one.bottom, other.bottom),
  };
}
