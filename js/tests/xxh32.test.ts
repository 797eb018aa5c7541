// The checksum against the values of the reference implementation. Must not know frames.
import { expect, test } from "vitest";
import { xxh32 } from "../src/core/xxh32";

const bytes = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => (i * 131 + 17) & 255);

/** From python-xxhash 4.1 over the same bytes: lengths around every branch of the algorithm. */
const REFERENCE: readonly (readonly [length: number, hash: number])[] = [
  [0, 46947589], [1, 3087333236], [2, 1927207823], [3, 1006720265], [4, 3491052033], [5, 185647381], [7, 3090617931],
  [8, 348999731], [15, 1118803268], [16, 174987898], [17, 3982666596], [19, 3806593324], [20, 3545337225],
  [31, 3067983005], [32, 1284840774], [33, 3514849027], [63, 2600731276], [64, 492713681], [100, 4158460556],
  [255, 4103782807], [1000, 1397411599], [65537, 3173435733], [6220800, 606696329],
];

test.each(REFERENCE)("%i bytes", (length, hash) => {
  expect(xxh32(bytes(length))).toBe(hash);
});

test.each([1, 2, 3])("bytes that begin %i past a word", (skip) => {
  const moved = new Uint8Array(100 + skip);
  moved.set(bytes(100), skip);
  expect(xxh32(moved.subarray(skip))).toBe(xxh32(bytes(100)));
});
