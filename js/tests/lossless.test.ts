// Units to checked images, by WebAssembly and without. Must not know canvases.
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { Assembler, type Unit } from "../src/core/units";
import { CHANNELS, type ChunkHeader, type PixelFormat } from "../src/core/wire";
import { xxh32 } from "../src/core/xxh32";
import { Unpacker } from "../src/worker/lossless";
import { type Native, startNative } from "../src/worker/native";
import { makeRaster } from "../src/worker/raster";
import { contentSize, Zstd } from "../src/worker/zstd";
import "./image-data";

interface DeltaCase {
  readonly name: string;
  readonly base: { readonly frame: number; readonly width: number; readonly height: number; readonly pixel_format: PixelFormat; readonly pixels: string };
  readonly hex: string;
  readonly pixels?: string;
  readonly error?: string;
}

const deltas = JSON.parse(readFileSync(new URL("../../signaling/vectors/deltas.json", import.meta.url), "utf8")) as readonly DeltaCase[];
const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, "hex"));

let native: Native | undefined;
beforeAll(async () => {
  native = await startNative();
});

test("the WebAssembly of the build runs", () => expect(native).toBeDefined());

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

/** The raw pixels again, out of the image. */
function pixels(image: ImageData, format: PixelFormat): readonly number[] {
  return [...image.data].filter((_, i) => i % 4 < CHANNELS[format]);
}

/** A whole picture, as a unit of its own. */
function whole({ frame, width, height, pixel_format, pixels: hex }: DeltaCase["base"]): Unit {
  return unit(bytes(hex), { frame, width, height, pixel_format, checksum: xxh32(bytes(hex)) });
}

function parsed({ hex }: DeltaCase): Unit {
  const found = new Assembler().add(bytes(hex));
  if (found === undefined) throw new Error("vectors are units of one chunk");
  return found;
}

/** Pixels that every picture of a size has alike. */
function grain(length: number, seed = 0): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 31 + ((i * i) >> 3) + seed) & 255);
}

describe.each([["WebAssembly", true], ["plain JavaScript", false]] as const)("by %s", (_, fast) => {
  const unpack = (unpacker: Unpacker, ...units: readonly Unit[]) => unpacker.unpack(units, fast ? native : undefined);

  function rgb(unpacker: Unpacker, one: Unit): readonly number[] | string {
    const unpacked = unpack(unpacker, one);
    return unpacked.ok ? pixels(unpacked.image, "rgb") : unpacked.why;
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
    unpack(unpacker, unit(ZSTD.subarray(0, 20), { codec: "zstd" }));
    expect(unpacker.hasBase).toBe(false);
    expect(rgb(unpacker, unit(ZSTD, { codec: "zstd" }))).toEqual([...PIXELS]);
  });

  test("another size is another image, the same size the same memory", () => {
    const unpacker = new Unpacker();
    const first = unpack(unpacker, unit(PIXELS));
    const again = unpack(unpacker, unit(PIXELS));
    const wide = unpack(unpacker, unit(PIXELS, { width: 15, height: 1 }));
    expect(first.ok && again.ok && first.image === again.image).toBe(true);
    expect(wide.ok && wide.image.width).toBe(15);
  });

  test.each(deltas.filter((one) => one.pixels !== undefined))("$name", (one) => {
    const unpacker = new Unpacker();
    const before = unpack(unpacker, whole(one.base));
    const after = unpack(unpacker, parsed(one));
    expect(before.ok && after.ok && after.turn === before.turn + 1).toBe(true);
    expect(after.ok && pixels(after.image, one.base.pixel_format)).toEqual([...bytes(one.pixels as string)]);
    // Both at once show the newest, and all of it is new.
    const both = unpack(new Unpacker(), whole(one.base), parsed(one));
    expect(both.ok && pixels(both.image, one.base.pixel_format)).toEqual([...bytes(one.pixels as string)]);
    expect(both.ok && both.changed).toEqual({ left: 0, top: 0, right: one.base.width, bottom: one.base.height });
  });

  test.each(deltas.filter((one) => one.error !== undefined))("$name: no image, and no base for another", (one) => {
    const unpacker = new Unpacker();
    expect(unpack(unpacker, whole(one.base)).ok).toBe(true);
    const refused = unpack(unpacker, parsed(one));
    expect(refused.ok).toBe(false);
    expect(!refused.ok && refused.why).toContain("frame 258");
    expect(unpacker.hasBase).toBe(false);
    expect(unpack(unpacker, whole(one.base)).ok).toBe(true);
  });

  test("a delta without any picture is refused; the memory of every unit is given back, whatever became of it", () => {
    const [one] = deltas as readonly [DeltaCase];
    let given = 0;
    const counted = (given_unit: Unit): Unit => ({ ...given_unit, release: () => { given += 1; } });
    expect(unpack(new Unpacker(), counted(parsed(one)), counted(whole(one.base))).ok).toBe(false);
    expect(unpack(new Unpacker(), counted(whole(one.base)), counted(parsed(one))).ok).toBe(true);
    expect(given).toBe(4);
  });

  test("what changed is the box around the tiles that came, and nothing where none did", () => {
    const of = (name: string) => deltas.find((one) => one.name.startsWith(name)) as DeltaCase;
    const changed = (one: DeltaCase) => {
      const unpacker = new Unpacker();
      unpack(unpacker, whole(one.base));
      const unpacked = unpack(unpacker, parsed(one));
      return unpacked.ok ? unpacked.changed : "refused";
    };
    expect(changed(of("raw gray, the last"))).toEqual({ left: 16, top: 16, right: 20, bottom: 18 });
    expect(changed(of("nothing changed"))).toBeUndefined();
  });

  test.each(["gray", "rgb", "rgba"] as const)("a %s picture of any width: checksum and image are those of its pixels", (format) => {
    for (const [width, height] of [[1, 1], [3, 2], [16, 16], [37, 19], [64, 33]] as const) {
      const raster = makeRaster(format, width, height, fast ? native : undefined);
      const data = grain(width * height * CHANNELS[format]);
      raster.pixels.set(data);
      raster.show();
      expect(raster.checksum()).toBe(xxh32(data));
      expect(pixels(raster.image, format)).toEqual([...data]);
      if (format !== "rgba") expect([...raster.image.data].filter((_, i) => i % 4 === 3).every((alpha) => alpha === 255)).toBe(true);
    }
  });
});

test("a picture that came before there was WebAssembly goes on in its memory", () => {
  const [one] = deltas as readonly [DeltaCase];
  const unpacker = new Unpacker();
  const before = unpacker.unpack([whole(one.base)], undefined);
  const after = unpacker.unpack([parsed(one)], native);
  expect(before.ok && after.ok && after.image !== before.image).toBe(true);
  expect(after.ok && pixels(after.image, one.base.pixel_format)).toEqual([...bytes(one.pixels as string)]);
});

test("a zstd frame says how long its content is, in each of its ways", () => {
  const frame = (...tail: readonly number[]): Uint8Array => Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, ...tail);
  expect(contentSize(ZSTD)).toBe(45);
  expect(contentSize(frame(0x20, 7))).toBe(7);
  expect(contentSize(frame(0x60, 1, 0))).toBe(257);
  expect(contentSize(frame(0xa0, 1, 2, 3, 0))).toBe(0x030201);
  expect(contentSize(frame(0xe0, 0, 0, 0, 0, 1, 0, 0, 0))).toBe(2 ** 32);
  expect(contentSize(frame(0x40, 0x58, 1, 0))).toBe(257);
  expect(contentSize(frame(0x61, 9, 1, 0))).toBe(257);
  expect(contentSize(frame(0x00, 0x58))).toBeUndefined();
  expect(contentSize(frame(0xe0, 0, 0))).toBeUndefined();
  expect(contentSize(Uint8Array.of(1, 2, 3, 4, 5, 6))).toBeUndefined();
  expect(contentSize(ZSTD.subarray(0, 3))).toBeUndefined();
});

test("a decoder gives its memory back and can go on", () => {
  const zstd = new Zstd();
  expect([...zstd.decode(ZSTD, 45, native)]).toEqual([...PIXELS]);
  zstd.close();
  zstd.close();
  expect([...zstd.decode(ZSTD, 45, native)]).toEqual([...PIXELS]);
});
