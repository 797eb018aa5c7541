// DOM-shaped events to renderview events, and what is merged. Must not know listeners.
import { describe, expect, test } from "vitest";
import { button, buttons, canWait, charEvents, keyEvent, merge, pixelAt, pointerEvent, resizeEvent, stateKind, typedBy, wheelEvent } from "../src/core/input";
import type { RenderviewEvent } from "../src/core/wire";

const keys = { shiftKey: false, ctrlKey: false, altKey: false, metaKey: false };
const at = { x: 3, y: 4, inside: true, width: 640, height: 480, pixel_ratio: 2 };
const mouse = { ...keys, button: 0, buttons: 0, pointerId: 1, pressure: 0 };

test.each([[0, 1], [1, 3], [2, 2], [3, 4], [4, 5], [-1, 0]])("DOM button %i is renderview button %i", (dom, ours) => {
  expect(button(dom)).toBe(ours);
});

test("held buttons are listed by renderview's numbers", () => {
  expect(buttons(0b101)).toEqual([1, 3]);
  expect(buttons(0b11010)).toEqual([2, 4, 5]);
  expect(buttons(0b1100000)).toEqual([6]);
});

test("a press says where, which, what is held and how many fingers", () => {
  const touches = { 7: { x: 3, y: 4, pressure: 0.5 } };
  expect(pointerEvent("pointer_down", { ...mouse, button: 2, buttons: 2, shiftKey: true, metaKey: true }, at, touches, 12.5)).toEqual({
    type: "pointer_down", timestamp: 12.5, x: 3, y: 4, inside: true, width: 640, height: 480, pixel_ratio: 2, button: 2, buttons: [2],
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

test("a wheel says where it turned", () => {
  expect(wheelEvent({ ...keys, buttons: 1, deltaX: 1, deltaY: 2, deltaMode: 0 }, at, 3)).toEqual({ type: "wheel", timestamp: 3, ...at, dx: 1, dy: 2, buttons: [1], modifiers: [] });
});

describe("a point of the picture", () => {
  const frame = { width: 640, height: 480 };
  test("is a pixel of the frame, whose size and scale it names", () => {
    expect(pixelAt({ x: 0.25, y: 0.5 }, frame, 320)).toEqual({ x: 160, y: 240, inside: true, width: 640, height: 480, pixel_ratio: 2 });
    expect(pixelAt({ x: 1, y: 0.5 }, frame, 512)).toMatchObject({ x: 640, inside: false, pixel_ratio: 1.25 });
  });
  test("is outside where the picture has no area", () => {
    expect(pixelAt(undefined, frame, 0)).toEqual({ x: 0, y: 0, inside: false, width: 640, height: 480, pixel_ratio: 1 });
    // A drag whose view is taken out of the page ends where it was last.
    expect(pixelAt(undefined, frame, 0, { x: 0.25, y: 0.5 })).toMatchObject({ x: 160, y: 240, inside: false });
    expect(pixelAt({ x: 0.5, y: 0.5 }, frame, 320, { x: 0, y: 0 })).toMatchObject({ x: 320, inside: true });
  });
});

describe("a key types", () => {
  const press = { ...keys, code: "", isComposing: false, altGraph: false };
  test.each([
    ["its character", { key: "a" }, "a"],
    ["a space", { key: " " }, " "],
    ["a character of two code units", { key: "😀" }, "😀"],
    ["with Shift", { key: "A", shiftKey: true }, "A"],
    ["with AltGr, which is Control and Alt on Windows", { key: "@", ctrlKey: true, altKey: true, altGraph: true }, "@"],
    ["with AltGr a letter", { key: "q", ctrlKey: true, altKey: true, altGraph: true }, "q"],
    ["with Option on macOS", { key: "ƒ", altKey: true }, "ƒ"],
    ["nothing with Alt, for menus", { key: "f", altKey: true }, undefined],
    ["nothing with Alt and Shift", { key: "F", altKey: true, shiftKey: true }, undefined],
    ["nothing with Control", { key: "c", ctrlKey: true }, undefined],
    ["nothing with Meta", { key: "c", metaKey: true }, undefined],
    ["nothing where it has a name", { key: "Enter" }, undefined],
    ["nothing where it names nothing", { key: "" }, undefined],
    ["nothing while an input method composes", { key: "k", isComposing: true }, undefined],
  ])("%s", (_, how, typed) => {
    expect(typedBy({ ...press, ...how })).toBe(typed);
  });
});

describe("typed text", () => {
  test("is an event in renderview's words", () => {
    expect(charEvents("ä", { repeat: true }, 2)).toEqual([{ type: "char", timestamp: 2, data: "ä", input_type: "insertText", is_composing: false, repeat: true }]);
  });
  test("that is being composed is temporary, and may be empty", () => {
    expect(charEvents("に", { composing: true }, 2)).toEqual([{ type: "char", timestamp: 2, data: "に", input_type: "insertCompositionText", is_composing: true, repeat: false }]);
    expect(charEvents("", { composing: true }, 2)).toMatchObject([{ data: "" }]);
    expect(charEvents("", {}, 2)).toEqual([]);
  });
  test("that is long is several events, and is cut while it is composed", () => {
    const long = "😀".repeat(300);
    expect(charEvents(long, {}, 0).map(({ data }) => data)).toEqual(["😀".repeat(256), "😀".repeat(44)]);
    expect(charEvents(long, { composing: true }, 0).map(({ data }) => data)).toEqual(["😀".repeat(256)]);
  });
  test("has no half of a character, which no message may hold", () => {
    expect(charEvents("a\ud83d", {}, 0)).toMatchObject([{ data: "a\ufffd" }]);
    expect(keyEvent("key_down", { ...keys, key: "\ude00", code: "" }, 0).key).toBe("\ufffd");
  });
});

test("size, visibility and focus are how a view is; the rest only happens", () => {
  const types = ["resize", "show", "hide", "focus_in", "focus_out", "close", "pointer_move", "char"] as const;
  expect(types.map((type) => stateKind({ type, timestamp: 0 }))).toEqual(["size", "visible", "visible", "focus", "focus", undefined, undefined, undefined]);
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

describe("limits of the contract", () => {
  test("further DOM buttons are numbered on, up to 32, and no button is 0", () => {
    expect([5, 6, 31, 32, 99, -1, -2].map(button)).toEqual([6, 7, 32, 32, 32, 0, 0]);
  });
  test("at most 32 touches are counted and sent", () => {
    const touches = Object.fromEntries(Array.from({ length: 40 }, (_, id) => [id, { x: id, y: 0, pressure: 0 }]));
    const event = pointerEvent("pointer_down", mouse, at, touches, 0);
    expect([event.ntouches, Object.keys(event.touches ?? {}).length]).toEqual([32, 32]);
    expect(event.touches?.[31]).toEqual({ x: 31, y: 0, pressure: 0 });
  });
  test("names of keys are cut at 64", () => {
    const long = "x".repeat(70);
    expect(keyEvent("key_up", { ...keys, key: long, code: long }, 0)).toMatchObject({ key: "x".repeat(64), code: "x".repeat(64) });
  });
  test("physical sizes are within 16 bits", () => {
    expect(resizeEvent({ width: 70_000, height: 0 }, 1, 0)).toMatchObject({ pwidth: 65_535, pheight: 0 });
    expect(resizeEvent({ width: -3, height: 0.4 }, 1, 0)).toMatchObject({ pwidth: 0, pheight: 0 });
  });
});

test("all modifiers are named, in one order", () => {
  const all = { shiftKey: true, ctrlKey: true, altKey: true, metaKey: true };
  expect(keyEvent("key_down", { ...all, key: "a", code: "KeyA" }, 0).modifiers).toEqual(["Shift", "Control", "Alt", "Meta"]);
  expect(keyEvent("key_down", { ...keys, altKey: true, key: "a", code: "KeyA" }, 0).modifiers).toEqual(["Alt"]);
});

test("a wheel turns both ways in its unit; an unknown unit is a pixel", () => {
  const wheel = { ...keys, buttons: 0, deltaX: 2, deltaY: 3 };
  expect(wheelEvent({ ...wheel, deltaMode: 1 }, at, 0)).toMatchObject({ dx: 32, dy: 48 });
  expect(wheelEvent({ ...wheel, deltaMode: 7 }, at, 0)).toMatchObject({ dx: 2, dy: 3 });
});

test("wheels that turn one way only have a sum, too", () => {
  const one = { type: "wheel", timestamp: 0, dx: 2 } as const;
  const other = { type: "wheel", timestamp: 1, dy: 5 } as const;
  expect(merge(one, other)).toEqual({ type: "wheel", timestamp: 1, dx: 2, dy: 5 });
  expect(merge(other, one)).toMatchObject({ dx: 2, dy: 5 });
});

test("moves, wheels and resizes wait; two resizes are one; a move with another number of touches is kept", () => {
  const types = ["pointer_move", "wheel", "resize", "pointer_enter", "key_down"] as const;
  expect(types.map((type) => canWait({ type, timestamp: 0 }))).toEqual([true, true, true, false, false]);
  const resize = (width: number) => resizeEvent({ width, height: 1 }, 1, width);
  expect(merge(resize(1), resize(2))).toEqual(resize(2));
  const move = (ntouches: number) => ({ type: "pointer_move", timestamp: 0, ntouches }) as const;
  expect(merge(move(1), move(2))).toBeUndefined();
  expect(merge({ type: "pointer_move", timestamp: 0 }, move(0))).toEqual(move(0));
});
