// The difference of two threads' clocks. Must not know threads.
import { expect, test } from "vitest";
import { ThreadOffset } from "../src/core/thread-offset";

test("is that of the quickest message", () => {
  const offset = new ThreadOffset();
  expect(offset.ms).toBe(0);
  offset.message(1000, 4050);
  expect(offset.ms).toBe(3050);
  offset.message(2000, 5001);
  offset.message(3000, 6400);
  expect(offset.ms).toBe(3001);
});

test("may be negative, and follows a change within four messages", () => {
  const offset = new ThreadOffset();
  offset.message(4000, 1000);
  expect(offset.ms).toBe(-3000);
  for (let i = 1; i <= 3; i++) offset.message(i * 1000, i * 1000 + 20);
  expect(offset.ms).toBe(-3000);
  offset.message(5000, 5010);
  expect(offset.ms).toBe(10);
});
