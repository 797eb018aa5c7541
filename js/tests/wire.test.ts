// Text and bytes against the contract's rules; the vectors themselves are played in contract.test.ts. Must not know sessions.
import { describe, expect, test } from "vitest";
import { BASE_BYTES, decode, encode, HEADER_BYTES, isDelta, isLossless, MAX_UNIT_BYTES, pixelBytes, readHeader, WireError } from "../src/core/wire";

interface Fields {
  version?: number;
  codec?: number;
  format?: number;
  flags?: number;
  width?: number;
  height?: number;
  size?: number;
  offset?: number;
  payload?: number;
}

function chunk(fields: Fields = {}): Uint8Array {
  const { version = 1, codec = 0, format = 3, flags = 1, width = 2, height = 2, size = 12, offset = 0, payload = 12 } = fields;
  const bytes = new Uint8Array(HEADER_BYTES + payload);
  const view = new DataView(bytes.buffer);
  bytes.set([version, codec, format, flags]);
  view.setUint32(4, 7, true);
  view.setUint32(8, 0xfffffffe, true);
  view.setUint16(12, width, true);
  view.setUint16(14, height, true);
  view.setBigUint64(16, 1_795_374_295_920_123n, true);
  view.setUint32(24, size, true);
  view.setUint32(28, offset, true);
  view.setUint32(32, 0xdeadbeef, true);
  return bytes;
}

describe("a header", () => {
  test("keeps every bit of what is larger than 31", () => {
    expect(readHeader(chunk())).toEqual({
      codec: "raw", pixel_format: "rgb", keyframe: true, stream: 7, frame: 0xfffffffe, width: 2, height: 2,
      time_us: 1_795_374_295_920_123, size: 12, offset: 0, checksum: 0xdeadbeef,
    });
  });
  test("is read wherever the message begins in its buffer", () => {
    const padded = new Uint8Array(HEADER_BYTES + 12 + 5);
    padded.set(chunk(), 5);
    expect(readHeader(padded.subarray(5)).stream).toBe(7);
  });
  test.each<[string, Fields]>([
    ["of another version", { version: 2 }],
    ["of an unknown codec", { codec: 2 }],
    ["of an unknown codec without a pixel format", { codec: 2, format: 0 }],
    ["of an unknown pixel format", { format: 2 }],
    ["of packed pixels of an unknown format", { codec: 1, format: 2 }],
    ["with unknown flags", { flags: 2 }],
    ["of a frame without width", { width: 0 }],
    ["of a frame without height", { height: 0 }],
    ["of an empty unit", { size: 0 }],
    ["of a unit larger than any", { codec: 1, size: 0xffffffff }],
    ["without a chunk", { payload: 0 }],
    ["whose chunk goes past the unit", { offset: 1 }],
    ["of pixels without a format", { format: 0 }],
    ["of coded video with a pixel format", { codec: 16, format: 3 }],
    ["of raw pixels that are not width by height", { size: 13, payload: 13 }],
    ["of more pixels than memory", { codec: 1, format: 4, width: 65535, height: 65535 }],
  ])("%s is refused", (_, fields) => {
    expect(() => readHeader(chunk(fields))).toThrow(WireError);
  });
  test("cut short is refused", () => {
    expect(() => readHeader(new Uint8Array(HEADER_BYTES - 1))).toThrow(WireError);
  });
  test("knows what is lossless, and how many bytes it unpacks to", () => {
    const header = readHeader(chunk({ codec: 1, format: 4, size: 5, payload: 5 }));
    expect(isLossless(header.codec)).toBe(true);
    expect(pixelBytes(header)).toBe(16);
    expect(isLossless(readHeader(chunk({ codec: 17, format: 0 })).codec)).toBe(false);
  });
});

describe("the limits of a header", () => {
  const coded = { codec: 16, format: 0 } as const;
  const accepted = (fields: Fields): boolean => {
    try {
      return readHeader(chunk(fields)).size > 0;
    } catch (error) {
      expect(error).toBeInstanceOf(WireError);
      return false;
    }
  };
  test("a header has 36 bytes, and the base of a delta four", () => {
    expect([HEADER_BYTES, BASE_BYTES]).toEqual([36, 4]);
  });
  test("a frame has width and height", () => {
    expect([accepted(coded), accepted({ ...coded, width: 0 }), accepted({ ...coded, height: 0 })]).toEqual([true, false, false]);
    expect(accepted({ ...coded, width: 1, height: 1, size: 1, payload: 1 })).toBe(true);
  });
  test("a unit has at least one byte and at most half a gigabyte", () => {
    expect(MAX_UNIT_BYTES).toBe(2 ** 29);
    expect(accepted({ ...coded, size: 0, payload: 0 })).toBe(false);
    expect([accepted({ ...coded, size: 2 ** 29 }), accepted({ ...coded, size: 2 ** 29 + 1 })]).toEqual([true, false]);
  });
  test("a frame unpacks to at most half a gigabyte", () => {
    const large = { codec: 1, format: 4, height: 8192 } as const;
    expect([accepted({ ...large, width: 16_384 }), accepted({ ...large, width: 16_385 })]).toEqual([true, false]);
  });
  test("a chunk ends within its unit", () => {
    expect([accepted({ ...coded, size: 20, offset: 8 }), accepted({ ...coded, size: 20, offset: 9 })]).toEqual([true, false]);
    expect(accepted({ ...coded, size: 0xffff, offset: 0, payload: 0 })).toBe(false);
  });
  test("a delta has more than the number of its base", () => {
    const delta = { flags: 0, codec: 1 } as const;
    expect([accepted({ ...delta, size: 4, payload: 4 }), accepted({ ...delta, size: 5, payload: 5 })]).toEqual([false, true]);
    expect(accepted({ codec: 1, size: 4, payload: 4 })).toBe(true);
    expect(accepted({ flags: 0, codec: 0, size: 5, payload: 5 })).toBe(true);
  });
  test("pixels have a format, and coded video has none", () => {
    expect([accepted({ codec: 1, format: 0 }), accepted({ ...coded, format: 3 }), accepted({ codec: 1, format: 3 })]).toEqual([false, false, true]);
  });
});

test("a delta is a lossless unit that is no keyframe", () => {
  const isDeltaOf = (fields: Fields): boolean => isDelta(readHeader(chunk(fields)));
  expect(isDeltaOf({ codec: 1, flags: 0 })).toBe(true);
  expect(isDeltaOf({ codec: 1, flags: 1 })).toBe(false);
  expect(isDeltaOf({ codec: 16, format: 0, flags: 0 })).toBe(false);
});

test("an error has its name and the close code", () => {
  const error = new WireError("x");
  expect([error.name, error.code, error.message]).toEqual(["WireError", 4400, "x"]);
});

describe("text", () => {
  test.each(["", "{", "null", "[]", '{"type":"hello"}', '{"type":"streams","streams":[],"more":1}'])("%j is refused", (text) => {
    expect(() => decode(text)).toThrow(WireError);
  });
  test("says what is wrong where", () => {
    expect(() => decode('{"type":"ended","sub":0,"reason":"internal"}')).toThrow("ServerMessage.sub is out of range");
  });
  test("goes out as plain JSON", () => {
    expect(encode({ type: "unsubscribe", sub: 3 })).toBe('{"type":"unsubscribe","sub":3}');
  });
});
