// How long before a refresh frames are ready. Must not know videos.
import { expect, test } from "vitest";
import { VsyncSlack } from "../src/core/vsync-slack";

const REFRESH = 16;

function slackOf(readies: readonly number[]): number | undefined {
  const phase = new VsyncSlack();
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
  const phase = new VsyncSlack();
  for (let i = 0; i < 10; i++) phase.add(4, 8, REFRESH);
  expect(phase.take()).toBeCloseTo(0.25);
  expect(phase.take()).toBeUndefined();
});

function phaseOf(...slacks: readonly number[]): VsyncSlack {
  const phase = new VsyncSlack();
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
