// XXH32 with seed 0 (xxHash specification 0.1.1), fast enough to check every lossless frame.
// Must not know what the bytes mean.

const P1 = 0x9e3779b1;
const P2 = 0x85ebca77;
const P3 = 0xc2b2ae3d;
const P4 = 0x27d4eb2f;
const P5 = 0x165667b1;

/** Computes and merges the four accumulators over the words before `end`: whole stripes of four words, at least one. */
export type Stripes = (words: Int32Array, end: number) => number;

/** The checksum of `bytes`, as an unsigned 32-bit number. Most of the time is spent in `stripes_of`: a faster one can be passed in. */
export function xxh32(bytes: Uint8Array, stripes_of: Stripes = stripesOf): number {
  const length = bytes.byteLength;
  // Words are read through an Int32Array, which must begin on a multiple of four; little-endian, as every engine's is.
  const aligned = (bytes.byteOffset & 3) === 0 ? bytes : bytes.slice();
  const words = new Int32Array(aligned.buffer, aligned.byteOffset, length >> 2);
  const stripes = length >> 4;
  let hash = stripes > 0 ? stripes_of(words, stripes << 2) : P5;
  hash = (hash + length) | 0;
  for (let i = stripes << 2; i < words.length; i++) {
    hash = Math.imul(rotate((hash + Math.imul(words[i] as number, P3)) | 0, 17), P4);
  }
  for (let i = words.length << 2; i < length; i++) {
    hash = Math.imul(rotate((hash + Math.imul(aligned[i] as number, P5)) | 0, 11), P1);
  }
  return avalanche(hash);
}

/** The four accumulators over all whole stripes of 16 bytes. Unrolled by hand: an array of accumulators is three times slower. */
function stripesOf(words: Int32Array, end: number): number {
  let a = (P1 + P2) | 0;
  let b = P2 | 0;
  let c = 0;
  let d = -P1 | 0;
  for (let i = 0; i < end; i += 4) {
    a = (a + Math.imul(words[i] as number, P2)) | 0;
    b = (b + Math.imul(words[i + 1] as number, P2)) | 0;
    c = (c + Math.imul(words[i + 2] as number, P2)) | 0;
    d = (d + Math.imul(words[i + 3] as number, P2)) | 0;
    a = Math.imul((a << 13) | (a >>> 19), P1);
    b = Math.imul((b << 13) | (b >>> 19), P1);
    c = Math.imul((c << 13) | (c >>> 19), P1);
    d = Math.imul((d << 13) | (d >>> 19), P1);
  }
  return (rotate(a, 1) + rotate(b, 7) + rotate(c, 12) + rotate(d, 18)) | 0;
}

function rotate(value: number, by: number): number {
  return (value << by) | (value >>> (32 - by));
}

function avalanche(hash: number): number {
  let h = hash;
  h = Math.imul(h ^ (h >>> 15), P2);
  h = Math.imul(h ^ (h >>> 13), P3);
  return (h ^ (h >>> 16)) >>> 0;
}
