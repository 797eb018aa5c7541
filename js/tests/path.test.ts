// When UDP is tried again. Must not know views.
import { expect, test } from "vitest";
import { Path } from "../src/core/path";

test("after 5, 10, and then every 20 seconds", () => {
  const path = new Path();
  const waits: number[] = [];
  let now = 0;
  for (let i = 0; i < 4; i++) {
    path.failed(now);
    waits.push(path.next - now);
    now = path.next;
  }
  expect(waits).toEqual([5000, 10_000, 20_000, 20_000]);
});

test("two views that fail together are one failure", () => {
  const path = new Path();
  path.failed(0);
  path.failed(10);
  expect(path.next).toBe(5000);
});

test("video that lasted makes the next failure the first again", () => {
  const path = new Path();
  path.failed(0);
  path.failed(5000);
  path.lasted(10_000);
  path.failed(60_000);
  expect(path.next).toBe(65_000);
});

test("video that did not last changes nothing", () => {
  const path = new Path();
  path.failed(0);
  path.lasted(3000);
  path.failed(20_000);
  expect(path.next).toBe(30_000);
});
