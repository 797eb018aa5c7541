// What a decoder is called by. Must not need one.
import { expect, test } from "vitest";
import { h264Name } from "../src/worker/coded";

test.each([
  ["after a four-byte start code", [0, 0, 0, 1, 0x67, 0x42, 0xc0, 0x1f, 0, 0, 0, 1, 0x68], "avc1.42c01f"],
  ["after an access unit delimiter", [0, 0, 0, 1, 9, 16, 0, 0, 1, 0x27, 0x64, 0x00, 0x28], "avc1.640028"],
  ["of whole chroma", [0, 0, 1, 0x67, 0xf4, 0x00, 0x28, 0, 0, 1, 0x68], "avc1.f40028"],
  ["nowhere: the least that everybody decodes", [0, 0, 0, 1, 0x65, 1, 2, 3, 4], "avc1.42e01f"],
])("by the profile and level of the parameter set %s", (_, bytes, name) => {
  expect(h264Name(Uint8Array.from(bytes))).toBe(name);
});
