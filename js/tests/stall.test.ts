// Whether video that plays has stalled. Must not know clocks.
import { expect, test } from "vitest";
import { STALL_MS, StallDetector } from "../src/core/stall";

test("a frame that was sent and does not come is a stall after a second", () => {
  const stall = new StallDetector(1000);
  expect(stall.deadline).toBe(Infinity);
  expect(stall.sent([900, 1000])).toBe(false);
  expect(stall.deadline).toBe(Infinity);
  expect(stall.sent([1001, 1400])).toBe(true);
  expect(stall.deadline).toBe(1001 + STALL_MS);
  expect(stall.isStalled(1001 + STALL_MS - 1)).toBe(false);
  expect(stall.isStalled(1001 + STALL_MS)).toBe(true);
});

test("the oldest missing frame counts, whatever is sent after it", () => {
  const stall = new StallDetector(1000);
  stall.sent([1100]);
  stall.sent([1600, 1900]);
  expect(stall.deadline).toBe(1100 + STALL_MS);
});

test("any frame ends it, and only newer ones can be missing then", () => {
  const stall = new StallDetector(1000);
  stall.sent([1100]);
  stall.progress(1500);
  expect(stall.deadline).toBe(Infinity);
  expect(stall.sent([1400])).toBe(false);
  expect(stall.sent([1600])).toBe(true);
});

test("nothing sent is no stall", () => {
  const stall = new StallDetector(1000);
  expect(stall.sent([])).toBe(false);
  expect(stall.isStalled(60_000)).toBe(false);
  expect(stall.since).toBe(1000);
});
