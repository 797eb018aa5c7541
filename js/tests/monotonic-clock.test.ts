// A clock that counts sleep and never runs backwards. Must not read a clock.
import { expect, test } from "vitest";
import { MonotonicClock } from "../src/core/monotonic-clock";

test("follows the browser's monotonic clock while the wall clock is set by up to two seconds", () => {
  const clock = new MonotonicClock();
  expect(clock.at(1000, 1000)).toBe(1000);
  expect(clock.at(2000, 4000)).toBe(2000);

  expect(clock.at(3000, 1500)).toBe(3000);
});

test("jumps ahead after a sleep during which the browser's monotonic clock stood still", () => {
  const clock = new MonotonicClock();
  clock.at(1000, 1000);
  expect(clock.at(1100, 61_100)).toBe(61_100);
  expect(clock.at(1200, 61_200)).toBe(61_200);
});

test("takes the wall clock's word for a sleep from two seconds on", () => {
  const clock = new MonotonicClock();
  expect(clock.at(1000, 3000)).toBe(1000);
  expect(clock.at(1010, 5010)).toBe(1010);
  expect(clock.at(1010, 7011)).toBe(3011);
});

test("jumps ahead after a sleep though the wall clock was set back an hour before", () => {
  const clock = new MonotonicClock();
  clock.at(1000, 1000);
  expect(clock.at(2000, 2000 - 3_600_000)).toBe(2000);
  expect(clock.at(3000, 3000 - 3_600_000)).toBe(3000);
  expect(clock.at(3100, 63_100 - 3_600_000)).toBe(63_100);
});
