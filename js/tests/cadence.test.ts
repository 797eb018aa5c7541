// Which pictures are taken when several meet in one refresh. Must not know what a picture is.
import { expect, test } from "vitest";
import { Cadence } from "../src/core/cadence";

/** `arrivals`: pictures before each refresh. Returns how many were shown, how many were left out, and how many wait at the end. */
function play(cadence: Cadence, arrivals: readonly number[]): { shown: number; left_out: number; waiting: number } {
  let [waiting, shown, left_out] = [0, 0, 0];
  for (const count of arrivals) {
    waiting += count;
    if (waiting === 0) continue;
    const taken = cadence.take(waiting);
    expect(taken).toBeGreaterThan(0);
    waiting -= taken;
    shown += 1;
    left_out += taken - 1;
    expect(waiting).toBeLessThanOrEqual(1);
  }
  return { shown, left_out, waiting };
}

test("two that meet in a refresh are both shown, where the next one comes later", () => {
  expect(play(new Cadence(), [1, 2, 0, 1, 1, 2, 0, 1])).toEqual({ shown: 8, left_out: 0, waiting: 0 });
});

test("of three that meet in a refresh, only the newest is shown", () => {
  expect(play(new Cadence(), [1, 3, 1])).toEqual({ shown: 3, left_out: 2, waiting: 0 });
});

test("a lag that lasts is made up for by dropping one picture, and only one", () => {
  const steady = Array.from({ length: 100 }, () => 1);
  expect(play(new Cadence(), [2, ...steady])).toEqual({ shown: 101, left_out: 1, waiting: 0 });
});

test("with twice as many pictures as refreshes, each refresh shows one that is at most a refresh old", () => {
  const { shown, left_out, waiting } = play(new Cadence(), Array.from({ length: 50 }, () => 2));
  expect(shown).toBe(50);
  expect(left_out + waiting).toBe(50);
});

test("two that wait are shown one after the other for five refreshes in a row, and then no longer", () => {
  const cadence = new Cadence();
  expect(Array.from({ length: 8 }, () => cadence.take(2))).toEqual([1, 1, 1, 1, 1, 2, 1, 1]);
});

test("a refresh without a lag ends the row", () => {
  const cadence = new Cadence();
  expect([2, 2, 2, 2, 1, 2, 2, 2, 2, 2, 2].map((waiting) => cadence.take(waiting))).toEqual([1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2]);
});
