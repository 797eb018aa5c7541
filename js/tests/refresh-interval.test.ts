// The interval of the screen's refreshes. Must not know what it is used for.
import { describe, expect, test } from "vitest";
import { medianGap, RefreshInterval } from "../src/core/refresh-interval";

test("a missed refresh does not change the measured interval", () => {
  expect(medianGap([0, 16, 32, 64, 80, 96])).toBe(16);
  expect(medianGap([0, 30, 40, 60])).toBe(20);
  expect(medianGap([5])).toBeUndefined();
});

describe("the interval of the refreshes", () => {
  const MEASURE_AGAIN_MS = 15_000;

  /** Gives it refreshes for as long as it wants them; returns how many. */
  function measure(interval: RefreshInterval, gap: number): number {
    for (let i = 1; i < 100; i++) if (!interval.add(i * gap)) return i;
    return Infinity;
  }

  test("is measured over nine refreshes, once", () => {
    const interval = new RefreshInterval();
    expect(interval.ms).toBeUndefined();
    expect(interval.isDue(0)).toBe(true);
    expect(interval.isDue(1)).toBe(false);
    expect(measure(interval, 16)).toBe(9);
    expect(interval.ms).toBe(16);
    expect(interval.isDue(2)).toBe(false);
  });
  test("is measured again after fifteen seconds, and follows another screen", () => {
    const interval = new RefreshInterval();
    interval.isDue(1000);
    measure(interval, 16);
    expect(interval.isDue(1000 + MEASURE_AGAIN_MS)).toBe(false);
    expect(interval.isDue(1001 + MEASURE_AGAIN_MS)).toBe(true);
    expect(interval.ms).toBe(16);
    expect(measure(interval, 7)).toBe(9);
    expect(interval.ms).toBe(7);
  });
  test("is measured once at a time, however long a hidden page has no refreshes", () => {
    const interval = new RefreshInterval();
    interval.isDue(0);
    interval.add(16);
    expect(interval.isDue(10 * MEASURE_AGAIN_MS)).toBe(false);
  });
  test("of no length is unknown", () => {
    const interval = new RefreshInterval();
    interval.isDue(0);
    measure(interval, 0);
    expect(interval.ms).toBeUndefined();
    interval.isDue(MEASURE_AGAIN_MS + 1);
    measure(interval, 0.5);
    expect(interval.ms).toBe(0.5);
  });
});
