// Painting in the screen's refreshes, one call in each, and no waiting for a screen that has none. Must not know pictures.
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

test("whoever waits is called once, in the refresh itself", () => {
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

test("what waits again from within a refresh gets the next one", () => {
  const then = vi.fn(() => then.mock.calls.length === 1 && refresh.wait());
  const refresh = new Refresh(then);
  refresh.wait();
  frames[0]?.();
  expect(then).toHaveBeenCalledTimes(1);
  expect(frames).toHaveLength(2);
  frames[1]?.();
  expect(then).toHaveBeenCalledTimes(2);
});

test("a page without refreshes does not stop it, and one that comes late does not count for the next", () => {
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

test("a thread that knows no refreshes takes its next turn", () => {
  vi.stubGlobal("requestAnimationFrame", undefined);
  const then = vi.fn();
  const refresh = new Refresh(then);
  refresh.wait();
  expect(then).not.toHaveBeenCalled();
  vi.advanceTimersByTime(0);
  expect(then).toHaveBeenCalledTimes(1);
});
