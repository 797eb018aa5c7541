// Which pictures reach a canvas, and in which refresh. Must not know sockets or sessions.
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { SessionInput } from "../src/core/ports";
import { HEADER_BYTES } from "../src/core/wire";
import { xxh32 } from "../src/core/xxh32";
import { Frames } from "../src/worker/frames";

const [WIDTH, HEIGHT] = [3, 2];
const VIEW = 7;

let refreshes: (() => void)[] = [];
let painted: number[] = [];
let inputs: SessionInput[] = [];

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("requestAnimationFrame", (then: () => void) => refreshes.push(then));
  vi.stubGlobal(
    "ImageData",
    class {
      readonly data: Uint8ClampedArray;
      constructor(first: Uint8ClampedArray | number, readonly width: number, height?: number) {
        this.data = typeof first === "number" ? new Uint8ClampedArray(4 * first * width) : first;
        if (typeof first === "number") this.width = first;
        this.height = height ?? width;
      }
      readonly height: number;
    },
  );
});

afterEach(() => {
  [refreshes, painted, inputs] = [[], [], []];
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

function stage(): Frames {
  const frames = new Frames({ feed: (input) => inputs.push(input), targets: () => [VIEW], post: () => undefined });
  const context = { putImageData: (image: ImageData) => painted.push(image.data[0] as number) };
  frames.addCanvas(VIEW, { width: WIDTH, height: HEIGHT, getContext: () => context } as { width: number; height: number });
  return frames;
}

/** A gray picture of one shade, which is its number as well: whole, or as the delta that marks its only tile. */
function message(frame: number, base?: number): Uint8Array {
  const pixels = new Uint8Array(WIDTH * HEIGHT).fill(frame);
  const tile = new Uint8Array(4 + 8 + 16 * HEIGHT).fill(frame, 12);
  if (base !== undefined) new DataView(tile.buffer).setUint32(0, base, true);
  tile[4] = 1;
  const data = base === undefined ? pixels : tile;
  const bytes = new Uint8Array(HEADER_BYTES + data.byteLength);
  const view = new DataView(bytes.buffer);
  bytes.set([1, 0, 1, base === undefined ? 1 : 0]);
  view.setUint32(4, 1, true);
  view.setUint32(8, frame, true);
  view.setUint16(12, WIDTH, true);
  view.setUint16(14, HEIGHT, true);
  view.setBigUint64(16, BigInt(frame), true);
  view.setUint32(24, data.byteLength, true);
  view.setUint32(32, xxh32(pixels), true);
  bytes.set(data, HEADER_BYTES);
  return bytes;
}

function refresh(): void {
  for (const then of refreshes.splice(0)) then();
}

const counted = (type: SessionInput["type"]): number => inputs.filter((input) => input.type === type).length;

test("a picture is acknowledged at once, and painted in the next refresh", () => {
  const frames = stage();
  frames.receive(message(1));
  expect(counted("unit")).toBe(1);
  expect(painted).toEqual([]);
  refresh();
  expect(painted).toEqual([1]);
});

test.each([
  ["whole", [undefined, undefined, undefined]],
  ["a picture and deltas", [undefined, 1, 2]],
])("two that meet in a refresh are shown one after the other: %s", (_, bases) => {
  const frames = stage();
  frames.receive(message(1, bases[0]));
  frames.receive(message(2, bases[1]));
  refresh();
  expect(painted).toEqual([1]);
  frames.receive(message(3, bases[2]));
  refresh();
  refresh();
  expect(painted).toEqual([1, 2, 3]);
  expect(counted("dropped")).toBe(0);
  expect(counted("painted")).toBe(3);
});

test("of more than two in a refresh, only the newest is shown, whatever it builds on", () => {
  const frames = stage();
  for (const [frame, base] of [[1, undefined], [2, 1], [3, 2], [4, 3]] as const) frames.receive(message(frame, base));
  refresh();
  frames.receive(message(5, 4));
  for (const frame of [6, 7, 8]) frames.receive(message(frame));
  refresh();
  refresh();
  expect(painted[0]).toBe(4);
  expect(painted.at(-1)).toBe(8);
  expect(counted("dropped") + painted.length).toBe(8);
  expect(counted("mismatched")).toBe(0);
});

test("a picture with a wrong checksum is not shown, and a whole one is requested", () => {
  const frames = stage();
  const wrong = message(1);
  wrong[HEADER_BYTES] = 9;
  frames.receive(wrong);
  refresh();
  expect(painted).toEqual([]);
  expect(counted("keyframe_wanted")).toBe(1);
  frames.receive(message(2, 1));
  refresh();
  frames.receive(message(3));
  refresh();
  expect(painted).toEqual([3]);
  expect(counted("keyframe_wanted")).toBe(1);
});
