// Chunks to whole units. Must not know pixels.
import { describe, expect, test } from "vitest";
import { Assembler } from "../src/core/units";
import { HEADER_BYTES, MAX_UNIT_BYTES, WireError } from "../src/core/wire";

interface Part {
  readonly frame?: number;
  readonly stream?: number;
  readonly codec?: 0 | 1 | 16;
  readonly size: number;
  readonly offset: number;
  readonly bytes: readonly number[];
}

function message({ frame = 1, stream = 1, codec = 1, size, offset, bytes }: Part): Uint8Array {
  const out = new Uint8Array(HEADER_BYTES + bytes.length);
  const view = new DataView(out.buffer);
  out.set([1, codec, codec === 16 ? 0 : 1, codec === 16 ? 0 : 1]);
  view.setUint32(4, stream, true);
  view.setUint32(8, frame, true);
  view.setUint16(12, 4, true);
  view.setUint16(14, 4, true);
  view.setUint32(24, size, true);
  view.setUint32(28, offset, true);
  out.set(bytes, HEADER_BYTES);
  return out;
}

test("a unit in one chunk is not copied", () => {
  const bytes = message({ size: 3, offset: 0, bytes: [1, 2, 3] });
  const unit = new Assembler().add(bytes);
  expect([...(unit?.data ?? [])]).toEqual([1, 2, 3]);
  expect(unit?.data.buffer).toBe(bytes.buffer);
});

test("chunks in order make a unit, with the header of the first", () => {
  const assembler = new Assembler();
  expect(assembler.add(message({ size: 5, offset: 0, bytes: [1, 2] }))).toBeUndefined();
  expect(assembler.add(message({ size: 5, offset: 2, bytes: [3, 4] }))).toBeUndefined();
  const unit = assembler.add(message({ size: 5, offset: 4, bytes: [5] }));
  expect([...(unit?.data ?? [])]).toEqual([1, 2, 3, 4, 5]);
  expect(unit?.header.offset).toBe(0);
});

test("lossless and coded units of one stream, and units of two streams, may interleave", () => {
  const assembler = new Assembler();
  assembler.add(message({ size: 2, offset: 0, bytes: [1] }));
  assembler.add(message({ codec: 16, size: 2, offset: 0, bytes: [3] }));
  assembler.add(message({ stream: 2, size: 2, offset: 0, bytes: [5] }));
  expect([...(assembler.add(message({ size: 2, offset: 1, bytes: [2] }))?.data ?? [])]).toEqual([1, 2]);
  expect([...(assembler.add(message({ stream: 2, size: 2, offset: 1, bytes: [6] }))?.data ?? [])]).toEqual([5, 6]);
  expect([...(assembler.add(message({ codec: 16, size: 2, offset: 1, bytes: [4] }))?.data ?? [])]).toEqual([3, 4]);
});

test.each<[string, Part[]]>([
  ["begins in the middle", [{ size: 4, offset: 1, bytes: [1] }]],
  ["leaves a gap", [{ size: 4, offset: 0, bytes: [1] }, { size: 4, offset: 2, bytes: [3] }]],
  ["repeats a chunk", [{ size: 4, offset: 0, bytes: [1, 2] }, { size: 4, offset: 1, bytes: [2] }]],
  ["changes its frame", [{ size: 4, offset: 0, bytes: [1] }, { size: 4, offset: 1, bytes: [2], frame: 2 }]],
  ["changes its size", [{ size: 4, offset: 0, bytes: [1] }, { size: 5, offset: 1, bytes: [2] }]],
  ["begins before the last is whole", [{ size: 4, offset: 0, bytes: [1] }, { size: 1, offset: 0, bytes: [2], frame: 2 }]],
])("a unit that %s is refused", (_, parts) => {
  const assembler = new Assembler();
  expect(() => parts.map((part) => assembler.add(message(part)))).toThrow(WireError);
});

test("an unfinished unit of the old socket is dropped", () => {
  const assembler = new Assembler();
  assembler.add(message({ size: 4, offset: 0, bytes: [1] }));
  assembler.clear();
  expect(assembler.add(message({ size: 1, offset: 0, bytes: [9], frame: 2 }))).toBeDefined();
});

test("released memory is used again, and never before it is released", () => {
  const assembler = new Assembler();
  const fill = (frame: number, value: number) => {
    assembler.add(message({ frame, size: 4, offset: 0, bytes: [value, value] }));
    return assembler.add(message({ frame, size: 4, offset: 2, bytes: [value, value] }));
  };
  const first = fill(1, 1);
  const second = fill(2, 2);
  expect(second?.data.buffer).not.toBe(first?.data.buffer);
  expect([...(first?.data ?? [])]).toEqual([1, 1, 1, 1]);
  const memory = first?.data.buffer;
  first?.release();
  expect(fill(3, 3)?.data.buffer).toBe(memory);
  expect([...(second?.data ?? [])]).toEqual([2, 2, 2, 2]);
});

describe("spare memory", () => {
  let frame = 0;
  /** A unit of two chunks, which has a buffer of its own. */
  function unitOf(assembler: Assembler, size: number) {
    frame += 1;
    assembler.add(message({ frame, size, offset: 0, bytes: [1] }));
    const rest = Array<number>(size - 1).fill(1);
    const unit = assembler.add(message({ frame, size, offset: 1, bytes: rest }));
    if (unit === undefined) throw new Error("two chunks are a unit");
    return unit;
  }
  const memory = (unit: { readonly data: Uint8Array }): ArrayBufferLike => unit.data.buffer;

  test("is used for a unit that is not larger, and not less than a quarter of it", () => {
    const reused = (kept: number, wanted: number): boolean => {
      const assembler = new Assembler();
      const first = unitOf(assembler, kept);
      first.release();
      return memory(unitOf(assembler, wanted)) === memory(first);
    };
    expect([reused(8, 8), reused(8, 9), reused(8, 2), reused(9, 2)]).toEqual([true, false, true, false]);
  });
  test("is three buffers at most, each used once", () => {
    const assembler = new Assembler();
    const units = [1, 2, 3, 4].map(() => unitOf(assembler, 4));
    for (const unit of units) unit.release();
    const again = new Set([1, 2, 3, 4].map(() => memory(unitOf(assembler, 4))));
    expect(again.size).toBe(4);
    expect(units.filter((unit) => again.has(memory(unit)))).toHaveLength(3);
  });
  test("gets the buffer of a unit that was dropped with its socket", () => {
    const assembler = new Assembler();
    const first = unitOf(assembler, 4);
    first.release();
    assembler.add(message({ frame: 90, size: 4, offset: 0, bytes: [1] }));
    assembler.clear();
    expect(memory(unitOf(assembler, 4))).toBe(memory(first));
  });
});

test("units that are not whole have a limit together, whatever their number", () => {
  const assembler = new Assembler();
  const half = MAX_UNIT_BYTES / 2;
  expect(assembler.add(message({ stream: 1, size: half, offset: 0, bytes: [1] }))).toBeUndefined();
  expect(() => assembler.add(message({ stream: 2, size: half + 1, offset: 0, bytes: [1] }))).toThrow(WireError);
  expect(assembler.add(message({ stream: 2, size: half, offset: 0, bytes: [1] }))).toBeUndefined();
  assembler.clear();
});
