// The place of frames in the screen's rhythm. Must not know videos.
import { expect, test } from "vitest";
import { Beat, medianGap } from "../src/core/beat";

const REFRESH = 16;

function slackOf(readies: readonly number[]): number | undefined {
  const beat = new Beat();
  // Shown by the next refresh, as screens do.
  for (const ready of readies) beat.add(ready, Math.ceil(ready / REFRESH) * REFRESH, REFRESH);
  return beat.take();
}

const frames = (phase: (index: number) => number) => Array.from({ length: 20 }, (_, index) => index * REFRESH + phase(index));

test("the slack is what is left until the refresh", () => {
  expect(slackOf(frames(() => 4))).toBeCloseTo(0.75);
  expect(slackOf(frames((i) => 12 + (i % 3) - 1))).toBeCloseTo(0.25, 1);
});

test("frames that are ready now just before a refresh and now just behind it are near it, and not in the middle", () => {
  const slack = slackOf(frames((i) => (i % 2 === 0 ? 1 : 15)));
  expect(Math.min(slack ?? 0.5, 1 - (slack ?? 0.5))).toBeLessThan(0.05);
});

test("frames that come whenever, and few, tell nothing", () => {
  expect(slackOf(frames((i) => (i * 5) % REFRESH))).toBeUndefined();
  expect(slackOf(frames(() => 4).slice(0, 3))).toBeUndefined();
});

test("each answer is of the frames since the one before", () => {
  const beat = new Beat();
  for (let i = 0; i < 10; i++) beat.add(4, 8, REFRESH);
  expect(beat.take()).toBeCloseTo(0.25);
  expect(beat.take()).toBeUndefined();
});

test("a refresh that was missed does not change how often there is one", () => {
  expect(medianGap([0, 16, 32, 64, 80, 96])).toBe(16);
  expect(medianGap([5])).toBeUndefined();
});
