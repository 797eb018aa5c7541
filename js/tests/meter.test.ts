// Rates and medians over the last second and a half. Must not know frames.
import { describe, expect, test } from "vitest";
import { Meter } from "../src/core/meter";

function metered(times: readonly number[], late?: (index: number) => number): Meter {
  const meter = new Meter();
  times.forEach((at, index) => {
    meter.add(at, late?.(index));
  });
  return meter;
}

const every = (ms: number, count: number): readonly number[] => Array.from({ length: count }, (_, index) => index * ms);

describe("the rate", () => {
  test("is over the window, once that is full", () => {
    // 16 marks lie in (500, 2000]: 15 gaps of 100 ms in the window of 1500 ms.
    expect(metered(every(100, 21)).rate(2000)).toBeCloseTo((15 - 1) * 1000 / 1500);
  });
  test("counts marks that are younger than 1500 ms", () => {
    const meter = metered([0, 400, 501, 1000, 2000]);
    expect(meter.rate(1999)).toBeCloseTo(2000 / 1500);
    expect(meter.rate(2000)).toBeCloseTo(2000 / 1500);
    expect(meter.rate(2001)).toBeCloseTo(1000 / 1500);
  });
  test("is over the time between first and last mark before the window is full", () => {
    expect(metered(every(100, 6)).rate(500)).toBeCloseTo(10);
    expect(metered(every(100, 6)).rate(1499)).toBeCloseTo(10);
    expect(metered(every(100, 6)).rate(1500)).toBeCloseTo(4000 / 1500);
  });
  test("is zero of nothing, of one mark, and of marks at one time", () => {
    expect(new Meter().rate(0)).toBe(0);
    expect(metered([100]).rate(200)).toBe(0);
    expect(metered([100]).rate(100)).toBe(0);
    expect(metered([100, 100]).rate(200)).toBe(0);
    expect(metered([100, 100.5]).rate(200)).toBe(2000);
  });
  test("falls to zero when nothing comes", () => {
    expect(metered(every(33, 30)).rate(5000)).toBe(0);
  });
});

describe("the median lateness", () => {
  test("is of the marks in the window", () => {
    const meter = metered([0, 600, 700, 800], (index) => [99, 3, 1, 2][index] ?? 0);
    expect(meter.median(1000)).toBe(3);
    expect(meter.median(1500)).toBe(2);
    expect(meter.median(2100)).toBe(2);
  });
  test("leaves out marks of unknown lateness", () => {
    const meter = new Meter();
    meter.add(0);
    meter.add(0, 7);
    expect(meter.median(0)).toBe(7);
  });
  test("is unknown of nothing", () => {
    expect(new Meter().median(0)).toBeUndefined();
    expect(metered([0], () => 5).median(5000)).toBeUndefined();
  });
});

test("after a clear nothing was counted", () => {
  const meter = metered(every(100, 6), () => 5);
  meter.clear();
  expect(meter.rate(500)).toBe(0);
  expect(meter.median(500)).toBeUndefined();
});

test("at most 256 marks are kept, so that a fast stream costs no more memory", () => {
  const meter = metered(every(1, 1000));
  expect(meter.rate(999)).toBeCloseTo(1000);
  // 256 marks are 255 ms: the oldest is at 744.
  expect(meter.rate(2243)).toBeCloseTo(1000);
  expect(meter.rate(2244)).toBeCloseTo((255 - 1) * 1000 / 1500);
});
