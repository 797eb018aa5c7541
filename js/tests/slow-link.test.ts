// Whether lossless pictures are too much for the link. Must not know what is done then.
import { describe, expect, test } from "vitest";
import { SlowLink } from "../src/core/slow-link";

/** Two windows of two seconds at `painted` and `published` frames a second; the finding of the second. */
function findingOf(painted: number, published: number, counts: readonly [boolean, boolean] = [true, true]): number | undefined {
  const link = new SlowLink(0);
  link.published_fps = published;
  link.add(2 * painted);
  expect(link.tick(counts[0], 2000)).toBeUndefined();
  link.add(2 * painted);
  return link.tick(counts[1], 4000);
}

test.each([
  [5, 30, 5],
  [14.5, 30, 14.5],
  [15, 30, undefined],
  [19, 60, 19],
  [20, 60, undefined],
  [2, 5, 2],
  [2, 4.9, undefined],
  [0, 30, undefined],
])("%f of %f frames a second: %s", (painted, published, finding) => {
  expect(findingOf(painted, published)).toBe(finding);
});

test("a window that does not count ends the row", () => {
  expect(findingOf(5, 30, [false, true])).toBeUndefined();
  expect(findingOf(5, 30, [true, false])).toBeUndefined();
});

describe("a window", () => {
  const slow = (): SlowLink => {
    const link = new SlowLink(0);
    link.published_fps = 30;
    link.add(10);
    return link;
  };
  test("is two seconds long, and longer if nothing ticks", () => {
    const link = slow();
    expect(link.tick(true, 1999)).toBeUndefined();
    link.tick(true, 2000);
    link.add(10);
    expect(link.tick(true, 3999)).toBeUndefined();
    expect(link.tick(true, 4500)).toBe(4);
  });
  test("begins again when the view is shown or hidden, without its frames", () => {
    const link = slow();
    link.tick(true, 2000);
    link.add(10);
    link.restart(3500);
    expect(link.tick(true, 4000)).toBeUndefined();
    link.add(2);
    expect(link.tick(true, 5500)).toBe(1);
  });
  test("that is fast enough ends the row", () => {
    const link = slow();
    link.tick(true, 2000);
    link.add(60);
    expect(link.tick(true, 4000)).toBeUndefined();
    link.add(10);
    expect(link.tick(true, 6000)).toBeUndefined();
    link.add(10);
    expect(link.tick(true, 8000)).toBe(5);
  });
});
