// Units to checked images. Must not know canvases.
import { expect, test } from "vitest";
import type { Unit } from "../src/core/units";
import type { ChunkHeader } from "../src/core/wire";
import { xxh32 } from "../src/core/xxh32";
import { Unpacker } from "../src/worker/lossless";

/** Node has no canvas; the one class of it that is needed is a size and its bytes. */
globalThis.ImageData = class {
  readonly data: Uint8ClampedArray;
  constructor(
    readonly width: number,
    readonly height: number,
  ) {
    this.data = new Uint8ClampedArray(4 * width * height);
  }
} as unknown as typeof ImageData;

/** 3 x 5 RGB, byte i is i / 7, by python-zstandard 0.25 at level 1. */
const ZSTD = Buffer.from("KLUv/SAt3QAAgAAAAQIDBAUFBQUFBQUGBgYFEABDxg024sIC", "base64");
const PIXELS = Uint8Array.from({ length: 45 }, (_, i) => Math.floor(i / 7));

function unit(data: Uint8Array, more: Partial<ChunkHeader> = {}): Unit {
  const header: ChunkHeader = {
    codec: "raw", pixel_format: "rgb", keyframe: true, stream: 1, frame: 1, width: 3, height: 5, time_us: 0,
    size: data.byteLength, offset: 0, checksum: xxh32(PIXELS), ...more,
  };
  return { header, data, release: () => undefined };
}

function rgb(unpacker: Unpacker, one: Unit): number[] | string {
  const unpacked = unpacker.unpack(one);
  return unpacked.ok ? [...unpacked.image.data].filter((_, i) => i % 4 < 3) : unpacked.why;
}

test("raw and zstd give the same pixels", () => {
  expect(rgb(new Unpacker(), unit(PIXELS))).toEqual([...PIXELS]);
  expect(rgb(new Unpacker(), unit(ZSTD, { codec: "zstd" }))).toEqual([...PIXELS]);
});

test("one wrong bit, in the pixels or in the checksum, and there is no image", () => {
  const wrong = PIXELS.slice();
  wrong[44] = 7;
  expect(rgb(new Unpacker(), unit(wrong))).toContain("checksum");
  expect(rgb(new Unpacker(), unit(PIXELS, { checksum: xxh32(PIXELS) ^ 1 }))).toContain("checksum");
});

test.each([
  ["cut short", ZSTD.subarray(0, 20)],
  ["no zstd at all", Uint8Array.of(1, 2, 3, 4, 5)],
  ["of fewer pixels", ZSTD],
])("zstd %s gives a reason and no image", (what, data) => {
  const more = what === "of fewer pixels" ? { width: 4 } : {};
  expect(typeof rgb(new Unpacker(), unit(data, { codec: "zstd", ...more }))).toBe("string");
});

test("a rotten unit spoils nothing that comes after it", () => {
  const unpacker = new Unpacker();
  unpacker.unpack(unit(ZSTD.subarray(0, 20), { codec: "zstd" }));
  expect(rgb(unpacker, unit(ZSTD, { codec: "zstd" }))).toEqual([...PIXELS]);
});

test("another size is another image, the same size the same memory", () => {
  const unpacker = new Unpacker();
  const first = unpacker.unpack(unit(PIXELS));
  const again = unpacker.unpack(unit(PIXELS));
  const wide = unpacker.unpack(unit(PIXELS, { width: 15, height: 1 }));
  expect(first.ok && again.ok && first.image === again.image).toBe(true);
  expect(wide.ok && wide.image.width).toBe(15);
});
