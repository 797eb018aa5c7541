// A body over pixels and over RGBA words, both the same. Must not know units.
import { expect, test } from "vitest";
import { expand } from "../src/core/pixels";
import { bitmapBytes, maxBodyBytes, type Picture, patch, TILE_PX } from "../src/core/tiles";
import { CHANNELS, type PixelFormat } from "../src/core/wire";

function picture(format: PixelFormat, width: number, height: number, seed = 0): Picture {
  const pixels = Uint8Array.from({ length: width * height * CHANNELS[format] }, (_, i) => (i * 37 + seed * 101 + (i >> 5)) & 255);
  const rgba = new Uint32Array(width * height);
  expand(format, pixels, rgba);
  return { format, width, height, pixels, rgba };
}

/** The body that makes anything of `wanted`'s size like it in these tiles. */
function bodyOf(wanted: Picture, tiles: readonly number[]): Uint8Array {
  const columns = Math.ceil(wanted.width / TILE_PX);
  const bitmap = new Uint8Array(bitmapBytes(wanted.width, wanted.height));
  for (const tile of tiles) bitmap[tile >> 3] = (bitmap[tile >> 3] as number) | (1 << (tile & 7));
  const out = [...bitmap];
  for (let y = 0; y < wanted.height; y++) {
    for (let column = 0; column < columns; column++) {
      if (tiles.includes(Math.floor(y / TILE_PX) * columns + column)) out.push(...spanOf(wanted, y, column));
    }
  }
  return Uint8Array.from(out);
}

/** One row of a tile's pixels; what sticks out at the right is filled up with anything. */
function spanOf({ format, width, pixels }: Picture, y: number, column: number): readonly number[] {
  const channels = CHANNELS[format];
  const from = (y * width + column * TILE_PX) * channels;
  const there = pixels.subarray(from, from + Math.min(TILE_PX, width - column * TILE_PX) * channels);
  return [...there, ...Array<number>(TILE_PX * channels - there.length).fill(0xee)];
}

const SIZES = [[16, 16], [48, 32], [40, 20], [37, 33], [5, 3]] as const;

test.each(["gray", "rgb", "rgba"] as const)("every tile of %s is written where it belongs, and no other", (format) => {
  for (const [width, height] of SIZES) {
    const wanted = picture(format, width, height, 1);
    const columns = Math.ceil(width / TILE_PX);
    const all = Array.from({ length: columns * Math.ceil(height / TILE_PX) }, (_, i) => i);
    for (const tiles of [...all.map((tile) => [tile]), all, all.filter((tile) => tile % 2 === 0)]) {
      const old = picture(format, width, height);
      const written = picture(format, width, height);
      patch(written, bodyOf(wanted, tiles));
      const here = old.rgba.map((word, i) => (tiles.includes(tileOf(i, width)) ? (wanted.rgba[i] as number) : word));
      const bytes = old.pixels.map((byte, i) => (tiles.includes(tileOf(Math.floor(i / CHANNELS[format]), width)) ? (wanted.pixels[i] as number) : byte));
      expect(Buffer.compare(written.pixels, bytes)).toBe(0);
      expect(Buffer.compare(new Uint8Array(written.rgba.buffer), new Uint8Array(here.buffer))).toBe(0);
    }
  }
});

function tileOf(pixel: number, width: number): number {
  return Math.floor(Math.floor(pixel / width) / TILE_PX) * Math.ceil(width / TILE_PX) + Math.floor((pixel % width) / TILE_PX);
}

test("a body may begin anywhere in its buffer", () => {
  const wanted = picture("rgb", 32, 16, 1);
  const body = bodyOf(wanted, [0, 1]);
  const shifted = new Uint8Array(body.length + 1);
  shifted.set(body, 1);
  const written = picture("rgb", 32, 16);
  patch(written, shifted.subarray(1));
  expect(written.pixels).toEqual(wanted.pixels);
});

test("the box is around what was written, and within the picture", () => {
  const wanted = picture("rgb", 40, 40, 1);
  const box = (...tiles: readonly number[]) => patch(picture("rgb", 40, 40), bodyOf(wanted, tiles));
  expect(box(4)).toEqual({ left: 16, top: 16, right: 32, bottom: 32 });
  expect(box(2, 6)).toEqual({ left: 0, top: 0, right: 40, bottom: 40 });
  expect(box(8)).toEqual({ left: 32, top: 32, right: 40, bottom: 40 });
  expect(box()).toBeUndefined();
});

test("no body is longer than the one of every tile", () => {
  const wanted = picture("rgb", 37, 33, 1);
  expect(bodyOf(wanted, [0, 1, 2, 3, 4, 5, 6, 7, 8]).byteLength).toBe(maxBodyBytes(wanted));
});

test.each([
  ["no bitmap", (body: Uint8Array) => body.subarray(0, 7)],
  ["too few pixels", (body: Uint8Array) => body.subarray(0, body.length - 1)],
  ["too many", (body: Uint8Array) => Uint8Array.from([...body, 0])],
  ["a tile that is none", (body: Uint8Array) => Uint8Array.from(body, (byte, i) => (i === 7 ? 0x80 : byte))],
  ["a tile less than there are pixels for", (body: Uint8Array) => Uint8Array.from(body, (byte, i) => (i === 0 ? 0 : byte))],
])("a body with %s is refused and nothing is written", (_, spoil) => {
  const written = picture("rgb", 40, 40);
  expect(() => patch(written, spoil(bodyOf(picture("rgb", 40, 40, 1), [0, 5])))).toThrow(RangeError);
  expect(written).toEqual(picture("rgb", 40, 40));
});
