// The clock that notices sleep and never runs back. Must not read a clock.
import { expect, test } from "vitest";
import { Steady } from "../src/core/steady";

test("follows the monotonic clock while the wall clock is corrected a little", () => {
  const steady = new Steady();
  expect(steady.at(1000, 1000)).toBe(1000);
  expect(steady.at(2000, 2900)).toBe(2000);
  expect(steady.at(3000, 1500)).toBe(3000);
});

test("jumps ahead after a sleep in which the monotonic clock stood", () => {
  const steady = new Steady();
  steady.at(1000, 1000);
  expect(steady.at(1100, 61_100)).toBe(61_100);
  expect(steady.at(1200, 61_200)).toBe(61_200);
});
