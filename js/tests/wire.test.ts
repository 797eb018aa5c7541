// Text and bytes against the contract's rules; the vectors themselves are played in contract.test.ts. Must not know sessions.
import { describe, expect, test } from "vitest";
import { decode, encode, HEADER_BYTES, isLossless, pixelBytes, readHeader, WireError } from "../src/core/wire";

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
    ["of an unknown pixel format", { format: 2 }],
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
