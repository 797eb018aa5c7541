// A delta's body put over the picture it builds on: over its raw pixels, and over the RGBA words that a canvas takes.
// Must not know units, checksums or canvases. The bytes are those of signaling/README.md.

import { CHANNELS, type PixelFormat } from "./wire";

/** The side of a tile, in pixels. */
export const TILE_PX = 16;
/** The bitmap is padded to a multiple of this. */
const BITMAP_STEP_BYTES = 8;
const OPAQUE = 0xff000000;

/** A picture as it was published, and as it is shown. */
export interface Picture {
  readonly format: PixelFormat;
  readonly width: number;
  readonly height: number;
  /** Row by row; begins on a multiple of four. */
  readonly pixels: Uint8Array;
  readonly rgba: Uint32Array;
}

/** A part of a picture, in pixels. */
export interface Box {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

/** Bytes of the bitmap of a picture of this size. */
export function bitmapBytes(width: number, height: number): number {
  return Math.ceil((tilesAlong(width) * tilesAlong(height)) / (8 * BITMAP_STEP_BYTES)) * BITMAP_STEP_BYTES;
}

/** Bytes of the largest body: one that holds every tile. */
export function maxBodyBytes({ format, width, height }: Omit<Picture, "pixels" | "rgba">): number {
  return bitmapBytes(width, height) + height * tilesAlong(width) * TILE_PX * CHANNELS[format];
}

/**
 * Puts a body over the picture and returns the box around what it wrote; undefined where it wrote nothing.
 * Throws a `RangeError` for a body that does not fit a picture of this size; then nothing is written.
 */
export function patch(picture: Picture, body: Uint8Array, write: Write = writer(picture, body)): Box | undefined {
  const { width, height } = picture;
  const begin = bitmapBytes(width, height);
  const rows = runsOf(picture, body, begin);
  const bytes = CHANNELS[picture.format];
  let at = begin;
  let [left, top, right, bottom] = [width, height, 0, 0];
  for (const { row, runs } of rows) {
    const end = Math.min((row + 1) * TILE_PX, height);
    for (let y = row * TILE_PX; y < end; y++) {
      for (let i = 0; i < runs.length; i += 2) {
        const from = (runs[i] as number) * TILE_PX;
        const to = (runs[i + 1] as number) * TILE_PX;
        write(at, y * width + from, Math.min(to, width) - from);
        at += (to - from) * bytes;
      }
    }
    left = Math.min(left, (runs[0] as number) * TILE_PX);
    right = Math.max(right, Math.min((runs[runs.length - 1] as number) * TILE_PX, width));
    top = Math.min(top, row * TILE_PX);
    bottom = end;
  }
  return right > 0 ? { left, top, right, bottom } : undefined;
}

/** A row with marked tiles: for each run of them, its first column and the column after its last. */
interface MarkedRow {
  readonly row: number;
  readonly runs: readonly number[];
}

/** Reads the bitmap, and checks that the body has the length that it implies. */
function runsOf({ format, width, height }: Picture, body: Uint8Array, begin: number): readonly MarkedRow[] {
  const columns = tilesAlong(width);
  const tiles = columns * tilesAlong(height);
  if (body.byteLength < begin) throw new RangeError(`a bitmap of ${tiles} tiles in ${body.byteLength} bytes`);
  for (let tile = tiles; tile < begin * 8; tile++) if (marked(body, tile)) throw new RangeError(`tile ${tile} of ${tiles} is marked`);
  const found: MarkedRow[] = [];
  let bytes = begin;
  for (let row = 0; row * columns < tiles; row++) {
    const runs = runsIn(body, row * columns, columns);
    if (runs.length === 0) continue;
    found.push({ row, runs });
    const lines = Math.min(TILE_PX, height - row * TILE_PX);
    for (let i = 0; i < runs.length; i += 2) bytes += ((runs[i + 1] as number) - (runs[i] as number)) * TILE_PX * CHANNELS[format] * lines;
  }
  if (body.byteLength !== bytes) throw new RangeError(`a body of ${body.byteLength} bytes for ${bytes}`);
  return found;
}

function runsIn(bitmap: Uint8Array, first: number, columns: number): readonly number[] {
  const runs: number[] = [];
  let inside = false;
  for (let column = 0; column <= columns; column++) {
    const here = column < columns && marked(bitmap, first + column);
    if (here !== inside) runs.push(column);
    inside = here;
  }
  return runs;
}

function marked(bitmap: Uint8Array, tile: number): boolean {
  return (((bitmap[tile >> 3] as number) >> (tile & 7)) & 1) === 1;
}

/** Tiles that cover a side of this many pixels. */
function tilesAlong(side: number): number {
  return Math.ceil(side / TILE_PX);
}

/** Copies `count` pixels from byte `from` of the body to pixel `at`, raw and as RGBA: both in one pass over memory. */
export type Write = (from: number, at: number, count: number) => void;

function writer({ format, pixels, rgba }: Picture, given: Uint8Array): Write {
  // Words are read through a Uint32Array, which must begin on a multiple of four.
  const body = (given.byteOffset & 3) === 0 ? given : given.slice();
  if (format === "gray") return writeGray(body, pixels, rgba);
  const words_in = new Uint32Array(body.buffer, body.byteOffset, body.byteLength >> 2);
  const words = new Uint32Array(pixels.buffer, pixels.byteOffset, pixels.byteLength >> 2);
  return format === "rgba" ? writeRgba(words_in, words, rgba) : writeRgb(body, words_in, pixels, words, rgba);
}

function writeGray(body: Uint8Array, pixels: Uint8Array, rgba: Uint32Array): Write {
  return (from, at, count) => {
    for (let i = 0; i < count; i++) {
      const value = body[from + i] as number;
      pixels[at + i] = value;
      rgba[at + i] = OPAQUE | Math.imul(value, 0x010101);
    }
  };
}

function writeRgba(body: Uint32Array, pixels: Uint32Array, rgba: Uint32Array): Write {
  return (from, at, count) => {
    for (let i = 0, word = from >> 2; i < count; i++) {
      const value = body[word + i] as number;
      pixels[at + i] = value;
      rgba[at + i] = value;
    }
  };
}

/** Four pixels are three words: a word at a time is four times as fast as a byte at a time. */
function writeRgb(body: Uint8Array, words_in: Uint32Array, pixels: Uint8Array, words: Uint32Array, rgba: Uint32Array): Write {
  const bytewise: Write = (from, at, count) => {
    for (let i = from, to = 3 * at, o = at; o < at + count; i += 3, to += 3, o++) {
      const r = body[i] as number;
      const g = body[i + 1] as number;
      const b = body[i + 2] as number;
      pixels[to] = r;
      pixels[to + 1] = g;
      pixels[to + 2] = b;
      rgba[o] = OPAQUE | r | (g << 8) | (b << 16);
    }
  };
  return (from, at, count) => {
    if (((at | count) & 3) !== 0) return bytewise(from, at, count);
    for (let i = from >> 2, to = (at >> 2) * 3, o = at; o < at + count; i += 3, to += 3, o += 4) {
      const a = words_in[i] as number;
      const b = words_in[i + 1] as number;
      const c = words_in[i + 2] as number;
      words[to] = a;
      words[to + 1] = b;
      words[to + 2] = c;
      rgba[o] = OPAQUE | a;
      rgba[o + 1] = OPAQUE | (a >>> 24) | (b << 8);
      rgba[o + 2] = OPAQUE | (b >>> 16) | (c << 16);
      rgba[o + 3] = OPAQUE | (c >>> 8);
    }
  };
}
