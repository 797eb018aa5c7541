// Rates and medians over the last second or two. Must not know frames.
import { expect, test } from "vitest";
import { Meter } from "../src/core/meter";

test("thirty events a second are measured, and the median of their lateness", () => {
  const meter = new Meter();
  for (let i = 0; i < 90; i++) meter.add((i * 1000) / 30, 20 + (i % 3));
  expect(meter.rate(3000)).toBeGreaterThan(27);
  expect(meter.rate(3000)).toBeLessThan(31);
  expect(meter.median(3000)).toBe(21);
});

test("the rate is right before the window is full", () => {
  const meter = new Meter();
  for (let i = 0; i < 6; i++) meter.add(i * 100);
  expect(meter.rate(500)).toBeCloseTo(10);
});

test("events older than the window do not count", () => {
  const meter = new Meter();
  for (let i = 0; i < 30; i++) meter.add(i * 33, 5);
  expect(meter.rate(5000)).toBe(0);
  expect(meter.median(5000)).toBeUndefined();
});
