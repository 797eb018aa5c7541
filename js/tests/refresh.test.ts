// One paint between two refreshes, and no waiting for a screen that has none. Must not know pictures.
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Refresh } from "../src/worker/refresh";

let frames: (() => void)[] = [];

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("requestAnimationFrame", (then: () => void) => frames.push(then));
});

afterEach(() => {
  frames = [];
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

test("what is painted waits for the refresh that shows it, and then goes on", () => {
  const then = vi.fn();
  const refresh = new Refresh(then);
  expect(refresh.waiting).toBe(false);
  refresh.wait();
  refresh.wait();
  expect(refresh.waiting).toBe(true);
  expect(frames).toHaveLength(1);
  frames[0]?.();
  expect(refresh.waiting).toBe(false);
  vi.runAllTimers();
  expect(then).toHaveBeenCalledTimes(1);
});

test("a page without refreshes does not stop it, and one that comes late does not count for the next", () => {
  const then = vi.fn();
  const refresh = new Refresh(then);
  refresh.wait();
  vi.runAllTimers();
  expect(refresh.waiting).toBe(false);
  refresh.wait();
  frames[0]?.();
  expect(refresh.waiting).toBe(true);
  frames[1]?.();
  expect(then).toHaveBeenCalledTimes(2);
});

test("a thread that knows no refreshes paints as it comes", () => {
  vi.stubGlobal("requestAnimationFrame", undefined);
  const refresh = new Refresh(vi.fn());
  refresh.wait();
  expect(refresh.waiting).toBe(false);
});
