// DOM-shaped events to renderview events, and what is merged. Must not know listeners.
import { describe, expect, test } from "vitest";
import { button, buttons, canWait, keyEvent, merge, pointerEvent, resizeEvent, wheelEvent } from "../src/core/input";
import type { RenderviewEvent } from "../src/core/wire";

const keys = { shiftKey: false, ctrlKey: false, altKey: false, metaKey: false };
const at = { x: 3, y: 4, inside: true };
const mouse = { ...keys, button: 0, buttons: 0, pointerId: 1, pressure: 0 };

test.each([[0, 1], [1, 3], [2, 2], [3, 4], [4, 5], [-1, 0]])("DOM button %i is renderview button %i", (dom, ours) => {
  expect(button(dom)).toBe(ours);
});

test("held buttons are listed by renderview's numbers", () => {
  expect(buttons(0b101)).toEqual([1, 3]);
  expect(buttons(0b11010)).toEqual([2, 4, 5]);
});

test("a press says where, which, what is held and how many fingers", () => {
  const touches = { 7: { x: 3, y: 4, pressure: 0.5 } };
  expect(pointerEvent("pointer_down", { ...mouse, button: 2, buttons: 2, shiftKey: true, metaKey: true }, at, touches, 12.5)).toEqual({
    type: "pointer_down", timestamp: 12.5, x: 3, y: 4, inside: true, button: 2, buttons: [2],
    modifiers: ["Shift", "Meta"], ntouches: 1, touches,
  });
});

test("a move has no button of its own", () => {
  expect(pointerEvent("pointer_move", { ...mouse, buttons: 1 }, at, {}, 0)).toMatchObject({ button: 0, buttons: [1] });
});

test("wheels that count lines or pages are turned into pixels", () => {
  const wheel = { ...keys, buttons: 0, deltaX: 0, deltaY: 3 };
  expect(wheelEvent({ ...wheel, deltaMode: 0 }, at, 0).dy).toBe(3);
  expect(wheelEvent({ ...wheel, deltaMode: 1 }, at, 0).dy).toBe(48);
  expect(wheelEvent({ ...wheel, deltaMode: 2 }, at, 0).dy).toBe(1200);
});

test("keys keep name and place", () => {
  expect(keyEvent("key_down", { ...keys, ctrlKey: true, key: "ä", code: "Quote" }, 1)).toEqual({
    type: "key_down", timestamp: 1, key: "ä", code: "Quote", modifiers: ["Control"],
  });
});

test("a resize says CSS and physical pixels", () => {
  expect(resizeEvent({ width: 100.5, height: 50 }, 1.5, 2)).toEqual({
    type: "resize", timestamp: 2, width: 100.5, height: 50, pwidth: 151, pheight: 75, ratio: 1.5,
  });
});

describe("merging", () => {
  const move = (x: number, more: Partial<RenderviewEvent> = {}): RenderviewEvent => ({ type: "pointer_move", timestamp: x, x, y: 0, buttons: [], modifiers: [], ...more });
  const wheel = (dy: number): RenderviewEvent => ({ type: "wheel", timestamp: 0, dx: 1, dy, buttons: [], modifiers: [] });

  test("the last of two moves is enough", () => {
    expect(merge(move(1), move(2))).toEqual(move(2));
  });
  test("two wheels are one by their sum", () => {
    expect(merge(wheel(3), wheel(-5))).toMatchObject({ dx: 2, dy: -2 });
  });
  test.each([
    ["a button went down between", move(1), move(2, { buttons: [1] })],
    ["a key went down between", move(1), move(2, { modifiers: ["Shift"] })],
    ["they are of two kinds", move(1), wheel(1)],
  ])("both are kept where %s", (_, first, second) => {
    expect(merge(first, second)).toBeUndefined();
  });
  test("clicks are never merged, nor do they wait", () => {
    const down: RenderviewEvent = { type: "pointer_down", timestamp: 0 };
    expect(merge(down, down)).toBeUndefined();
    expect(canWait(down)).toBe(false);
    expect(canWait(move(1))).toBe(true);
  });
});
