// When WebRTC is tried again. Must not know views.
import { expect, test } from "vitest";
import { RetrySchedule } from "../src/core/retry-schedule";

test("WebRTC is tried again after 5, 10, and then every 20 seconds", () => {
  const retries = new RetrySchedule();
  const waits: number[] = [];
  let now = 0;
  for (let i = 0; i < 4; i++) {
    retries.failed(now);
    waits.push(retries.next - now);
    now = retries.next;
  }
  expect(waits).toEqual([5000, 10_000, 20_000, 20_000]);
});

test("two views that fail together are one failure", () => {
  const retries = new RetrySchedule();
  retries.failed(0);
  retries.failed(10);
  expect(retries.next).toBe(5000);
});

test("video that lasted makes the next failure the first again", () => {
  const retries = new RetrySchedule();
  retries.failed(0);
  retries.failed(5000);
  retries.lasted(10_000);
  retries.failed(60_000);
  expect(retries.next).toBe(65_000);
});

test("video that did not last changes nothing", () => {
  const retries = new RetrySchedule();
  retries.failed(0);
  retries.lasted(3000);
  retries.failed(20_000);
  expect(retries.next).toBe(30_000);
});

test("after a clear it may be tried at once, and the next failure is the first again", () => {
  const retries = new RetrySchedule();
  expect(retries.next).toBe(0);
  retries.failed(1000);
  retries.failed(6000);
  retries.clear();
  expect(retries.next).toBe(0);
  retries.failed(7000);
  expect(retries.next).toBe(12_000);
});
