// Waiting for the screen's next refresh, and not for ever where there is none. Must not know pictures.
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

test("two waits are one call, in the refresh itself", () => {
  const then = vi.fn();
  const refresh = new Refresh(then);
  refresh.wait();
  refresh.wait();
  expect(frames).toHaveLength(1);
  expect(then).not.toHaveBeenCalled();
  frames[0]?.();
  expect(then).toHaveBeenCalledTimes(1);
  vi.runAllTimers();
  expect(then).toHaveBeenCalledTimes(1);
});

test("a wait from within a refresh is for the next one", () => {
  const then = vi.fn(() => then.mock.calls.length === 1 && refresh.wait());
  const refresh = new Refresh(then);
  refresh.wait();
  frames[0]?.();
  expect(then).toHaveBeenCalledTimes(1);
  expect(frames).toHaveLength(2);
  frames[1]?.();
  expect(then).toHaveBeenCalledTimes(2);
});

test("a page without refreshes gets its call after a while, and a late refresh does not count for the next wait", () => {
  const then = vi.fn();
  const refresh = new Refresh(then);
  refresh.wait();
  vi.runAllTimers();
  expect(then).toHaveBeenCalledTimes(1);
  refresh.wait();
  frames[0]?.();
  expect(then).toHaveBeenCalledTimes(1);
  frames[1]?.();
  expect(then).toHaveBeenCalledTimes(2);
});

test("a thread without requestAnimationFrame gets its call in the next turn of the event loop", () => {
  vi.stubGlobal("requestAnimationFrame", undefined);
  const then = vi.fn();
  const refresh = new Refresh(then);
  refresh.wait();
  expect(then).not.toHaveBeenCalled();
  vi.advanceTimersByTime(0);
  expect(then).toHaveBeenCalledTimes(1);
});
