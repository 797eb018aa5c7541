// What a server sends, changed at random: it is read or refused with `WireError`, in little time, and nothing else happens.
// Must not know sessions.
import { readFileSync } from "node:fs";
import { beforeAll, expect, test, vi } from "vitest";
import { Assembler, type Unit } from "../../src/core/units";
import { fault } from "../../src/core/validate";
import { decode, MAX_UNIT_BYTES, pixelBytes, readHeader, WireError } from "../../src/core/wire";
import { SHAPES } from "../../src/core/wire.gen";
import { Unpacker } from "../../src/worker/lossless";
import { type Native, startNative } from "../../src/worker/native";
import "../image-data";
import { changedBytes, changedTree, type Json, joined, Random, SCALE, SEED } from "./random";

const vectors = <T>(name: string): readonly T[] => JSON.parse(readFileSync(new URL(`../../../signaling/vectors/${name}.json`, import.meta.url), "utf8")) as readonly T[];
const MESSAGES = vectors<{ readonly from: string; readonly text?: string }>("messages").flatMap(({ from, text }) => (from === "server" && text !== undefined ? [text] : []));
const DELTAS = vectors<{ readonly hex?: string }>("deltas");
const UNITS = [...vectors<{ readonly hex?: string }>("frames"), ...DELTAS].flatMap(({ hex }) => (hex === undefined ? [] : [Uint8Array.from(Buffer.from(hex, "hex"))]));
/** One input may take this long: a frame of the picture would be missed after it. */
const MAX_MS = 20;

// `make fuzz` runs many times as many inputs.
vi.setConfig({ testTimeout: 3_600_000 });

let native: Native | undefined;
beforeAll(async () => {
  native = await startNative();
});

/** What `run` returns, or undefined where it refuses the input as it should. */
function refused<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    expect(error.code).toBe(4400);
    return undefined;
  }
}

/** Fails where every one of some runs is slow: other programs have the processor too. */
function timed(run: () => void): void {
  let fastest = Infinity;
  for (let i = 0; i < 4 && fastest > MAX_MS; i++) {
    const begun = performance.now();
    run();
    fastest = Math.min(fastest, performance.now() - begun);
  }
  expect(fastest).toBeLessThanOrEqual(MAX_MS);
}

function changedText(random: Random): string {
  let value = JSON.parse(random.pick(MESSAGES)) as Json;
  for (let i = random.below(3); i >= 0; i--) value = changedTree(value, random);
  const text = JSON.stringify(value);
  if (random.chance(0.8)) return text;
  return Buffer.from(changedBytes(Buffer.from(text), random)).toString("utf8");
}

test("any text is a message of the contract, or refused", () => {
  const random = new Random(SEED);
  for (let i = 0; i < 8_000 * SCALE; i++) {
    const text = changedText(random);
    const message = refused(() => decode(text));
    if (message === undefined) continue;
    expect(fault(SHAPES, "ServerMessage", message)).toBeUndefined();
    expect(decode(JSON.stringify(message))).toEqual(message);
    expect(Object.prototype).not.toHaveProperty("type");
  }
});

test("any header describes a unit that has room, or is refused", () => {
  const random = new Random(SEED + 1);
  for (let i = 0; i < 30_000 * SCALE; i++) {
    const bytes = changedBytes(random.pick(UNITS), random);
    const header = refused(() => readHeader(bytes));
    if (header === undefined) continue;
    const chunk = bytes.length - 36;
    if (header.size > MAX_UNIT_BYTES || header.offset + chunk > header.size || pixelBytes(header) > MAX_UNIT_BYTES || header.width * header.height === 0) throw new Error(JSON.stringify(header));
  }
});

/** Chunks of one unit, in order. */
function chunks(bytes: Uint8Array, size: number): readonly Uint8Array[] {
  const found: Uint8Array[] = [];
  for (let at = 36; at < bytes.length; at += size) {
    const chunk = joined(bytes.subarray(0, 36), bytes.subarray(at, at + size));
    new DataView(chunk.buffer).setUint32(28, at - 36, true);
    found.push(chunk);
  }
  return found;
}

test("any order of chunks makes whole units, or is refused", () => {
  const random = new Random(SEED + 2);
  for (let i = 0; i < 2_000 * SCALE; i++) {
    const assembler = new Assembler();
    const messages = [0, 1, 2].flatMap(() => chunks(random.pick(UNITS), 1 + random.below(64)));
    refused(() => {
      for (const message of messages) checkWhole(assembler.add(random.chance(0.1) ? changedBytes(message, random) : message));
    });
    assembler.clear();
  }
});

function checkWhole(unit: Unit | undefined): void {
  if (unit !== undefined && unit.data.byteLength !== unit.header.size) throw new Error("a unit is whole");
  unit?.release();
}

/** What a whole message holds, where the header is one. */
function unitOf(bytes: Uint8Array): Unit | undefined {
  const unit = refused(() => new Assembler().add(bytes));
  // A picture of gigabytes takes its time, and is what was asked for.
  return unit === undefined || pixelBytes(unit.header) > 1 << 20 ? undefined : unit;
}

test("any unit is a picture with its checksum, or is said to be none", () => {
  const random = new Random(SEED + 3);
  for (let i = 0; i < 2_000 * SCALE; i++) {
    const unpacker = new Unpacker();
    for (let j = 0; j < 3; j++) {
      const bytes = random.pick(UNITS);
      checkPicture(unpacker, unitOf(random.chance(0.7) ? changedBytes(bytes, random) : bytes), random.chance(0.5) ? native : undefined);
    }
    unpacker.close();
  }
});

function checkPicture(unpacker: Unpacker, unit: Unit | undefined, by: Native | undefined): void {
  if (unit === undefined) return;
  const found = unpacker.unpack([unit], by);
  if (found.ok && found.image.width !== unit.header.width) throw new Error("another picture");
  if (!found.ok && unpacker.hasBase) throw new Error("no delta builds on what is wrong");
}

test("the longest texts take little time", () => {
  const stream = '{"id":1,"name":"a","width":1,"height":1,"fps":1}';
  const long = [
    `{"type":"streams","streams":[${Array.from({ length: 1300 }, () => stream).join(",")}]}`,
    `{"type":"ended","sub":1,"reason":"internal","detail":"${"\u{1f600}".repeat(16_000)}"}`,
    `{"type":"streams","streams":${"[".repeat(20_000)}${"]".repeat(20_000)}}`,
    `{${Array.from({ length: 6000 }, (_, i) => `"${i}":1`).join(",")}}`,
  ];
  for (const text of long) timed(() => refused(() => decode(text)));
});
