// Every pixel format to RGBA. Must not know canvases.
import { expect, test } from "vitest";
import { expand } from "../src/core/pixels";

function rgba(format: "gray" | "rgb" | "rgba", pixels: Uint8Array, count: number): number[] {
  const out = new Uint32Array(count);
  expand(format, pixels, out);
  return [...new Uint8Array(out.buffer)];
}

test("gray is the same in three channels, opaque", () => {
  expect(rgba("gray", Uint8Array.of(0, 7, 255), 3)).toEqual([0, 0, 0, 255, 7, 7, 7, 255, 255, 255, 255, 255]);
});

test.each([1, 2, 3, 4, 5, 6, 7, 8, 11])("%i RGB pixels keep their channels, whatever is left over after fours", (count) => {
  const pixels = Uint8Array.from({ length: count * 3 }, (_, i) => (i * 37 + 200) & 255);
  const expected = Array.from({ length: count }, (_, i) => [...pixels.subarray(3 * i, 3 * i + 3), 255]).flat();
  expect(rgba("rgb", pixels, count)).toEqual(expected);
});

test("RGB that does not begin on a word", () => {
  const bytes = Uint8Array.from({ length: 16 }, (_, i) => i);
  expect(rgba("rgb", bytes.subarray(1, 16), 5)).toEqual([1, 2, 3, 255, 4, 5, 6, 255, 7, 8, 9, 255, 10, 11, 12, 255, 13, 14, 15, 255]);
});

test("alpha survives", () => {
  expect(rgba("rgba", Uint8Array.of(1, 2, 3, 0, 5, 6, 7, 128), 2)).toEqual([1, 2, 3, 0, 5, 6, 7, 128]);
});
