// The phase of frames against the screen's refreshes, and the interval of those. Must not know videos.
import { describe, expect, test } from "vitest";
import { medianGap, RefreshInterval, VsyncPhase } from "../src/core/vsync";

const REFRESH = 16;

function slackOf(readies: readonly number[]): number | undefined {
  const phase = new VsyncPhase();
  // Shown by the next refresh, as screens do.
  for (const ready of readies) phase.add(ready, Math.ceil(ready / REFRESH) * REFRESH, REFRESH);
  return phase.take();
}

const frames = (ready: (index: number) => number) => Array.from({ length: 20 }, (_, index) => index * REFRESH + ready(index));

test("the slack is the time from ready to the refresh", () => {
  expect(slackOf(frames(() => 4))).toBeCloseTo(0.75);
  expect(slackOf(frames((i) => 12 + (i % 3) - 1))).toBeCloseTo(0.25, 1);
});

test("frames that are ready just before and just after a refresh have a mean near the refresh, not half way between two", () => {
  const slack = slackOf(frames((i) => (i % 2 === 0 ? 1 : 15)));
  expect(Math.min(slack ?? 0.5, 1 - (slack ?? 0.5))).toBeLessThan(0.05);
});

test("frames at random phases have none, nor have few frames", () => {
  expect(slackOf(frames((i) => (i * 5) % REFRESH))).toBeUndefined();
  expect(slackOf(frames(() => 4).slice(0, 3))).toBeUndefined();
});

test("each mean is over the frames since the one before", () => {
  const phase = new VsyncPhase();
  for (let i = 0; i < 10; i++) phase.add(4, 8, REFRESH);
  expect(phase.take()).toBeCloseTo(0.25);
  expect(phase.take()).toBeUndefined();
});

test("a missed refresh does not change the measured interval", () => {
  expect(medianGap([0, 16, 32, 64, 80, 96])).toBe(16);
  expect(medianGap([0, 30, 40, 60])).toBe(20);
  expect(medianGap([5])).toBeUndefined();
});

function phaseOf(...slacks: readonly number[]): VsyncPhase {
  const phase = new VsyncPhase();
  for (const slack of slacks) phase.add(100, 100 + slack, REFRESH);
  return phase;
}

test("six frames have a phase, and it is exact from the first and from every later one", () => {
  const six = [4, 4, 4, 4, 4, 4];
  expect(phaseOf(...six.slice(1)).take()).toBeUndefined();
  const phase = phaseOf(...six);
  expect(phase.take()).toBeCloseTo(0.25, 9);
  for (const slack of six) phase.add(0, slack, REFRESH);
  expect(phase.take()).toBeCloseTo(0.25, 9);
});

test("the mean vector must be half as long as for frames that are all alike", () => {
  expect(phaseOf(0, 0, 0, 0, 0, 0, 8, 8).take()).toBeCloseTo(0);
  expect(phaseOf(0, 0, 0, 0, 0, 8, 8, 8).take()).toBeUndefined();
});

test("times that a browser does not give are no phase", () => {
  expect(phaseOf(4, 4, 4, 4, 4, 4, Number.NaN).take()).toBeUndefined();
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
