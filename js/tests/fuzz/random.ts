// Random numbers from a seed, and the changes that make one input out of another. Must not know what the inputs are for.

export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

/** The same numbers for the same seed (mulberry32). */
export class Random {
  constructor(private seed: number) {}

  /** In [0, 1). */
  next(): number {
    this.seed = (this.seed + 0x6d2b79f5) | 0;
    let t = Math.imul(this.seed ^ (this.seed >>> 15), 1 | this.seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  below(count: number): number {
    return Math.floor(this.next() * count);
  }

  chance(share: number): boolean {
    return this.next() < share;
  }

  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)] as T;
  }
}

const NUMBERS = [0, 1, 2, 3, 4, 7, 16, 127, 128, 255];

/** Some bytes of a copy are changed; now and then a part is repeated or left out. */
export function changedBytes(bytes: Uint8Array, random: Random): Uint8Array {
  const at = random.below(bytes.length + 1);
  const end = Math.min(bytes.length, at + 1 + random.below(16));
  const kind = random.below(8);
  if (kind === 0) return joined(bytes.subarray(0, at), bytes.subarray(end));
  if (kind === 1) return joined(bytes.subarray(0, end), bytes.subarray(at));
  const changed = bytes.slice();
  for (let i = random.below(4); i >= 0; i--) changed[random.below(changed.length)] = random.chance(0.5) ? random.pick(NUMBERS) : random.below(256);
  return changed;
}

export function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

const VALUES: readonly Json[] = [
  null, true, false, 0, 1, -1, 2, 64, 65, 255, 256, 65_535, 65_536, 4_294_967_295, 4_294_967_296, 2 ** 53, 1e308, -0, 0.5, "", "a", "a".repeat(16),
  "a".repeat(17), "a".repeat(129), "a".repeat(513), "\u{1f600}".repeat(64), "h264", "vp8", "raw", "<img onerror=x>", "__proto__", [], {}, [[]], [null],
];
const NAMES = ["__proto__", "constructor", "toString", "type", "sub", "streams", "codec", "length", "frames", "detail", "title", "cursor"];

/** A copy of a tree with one thing in it changed. */
export function changedTree(value: Json, random: Random): Json {
  if (Array.isArray(value) && value.length > 0) return changedArray(value, random);
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return changedObject(value as { readonly [name: string]: Json }, random);
  return random.pick(VALUES);
}

function changedArray(value: readonly Json[], random: Random): Json {
  const at = random.below(value.length);
  const kind = random.below(5);
  if (kind === 0) return value.filter((_, i) => i !== at);
  if (kind === 1) return Array.from({ length: random.pick([2, 257]) }, () => value[at] as Json);
  return value.map((each, i) => (i === at ? changedTree(each, random) : each));
}

function changedObject(value: { readonly [name: string]: Json }, random: Random): Json {
  const names = Object.keys(value);
  const name = names.length > 0 ? random.pick(names) : random.pick(NAMES);
  const kind = random.below(5);
  if (kind === 0) return Object.fromEntries(Object.entries(value).filter(([each]) => each !== name));
  // Not a literal: `__proto__` is to be a name like any other, as `JSON.parse` makes it.
  const entries: [string, Json][] = Object.entries(value);
  if (kind === 1) return Object.fromEntries([...entries, [random.pick(NAMES), random.pick(VALUES)]]);
  return Object.fromEntries(entries.map(([each, inner]) => [each, each === name ? changedTree(inner, random) : inner]));
}

/** How many times the inputs of `npm test` are run: `make fuzz` asks for more. */
export const SCALE = Number(process.env.FUZZ_SCALE ?? 1);
/** What the numbers begin with. */
export const SEED = Number(process.env.FUZZ_SEED ?? 1);
