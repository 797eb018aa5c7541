// The phase of frames against the screen's refreshes, and the interval of those. Must not know videos.
import { expect, test } from "vitest";
import { VsyncPhase, medianGap } from "../src/core/vsync";

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
  expect(medianGap([5])).toBeUndefined();
});
