// What goes down comes up: keys, and the buttons of pointers. Must not know listeners.
import { beforeEach, describe, expect, test } from "vitest";
import { HeldKeys, HeldPointers } from "../src/core/held";
import type { RenderviewEvent } from "../src/core/wire";

const none = { shiftKey: false, ctrlKey: false, altKey: false, metaKey: false };
const key = (name: string, more: object = {}) => ({ ...none, key: name, code: `Code${name.toUpperCase()}`, ...more });
const names = (events: readonly RenderviewEvent[]) => events.map((event) => `${event.type} ${event.key}`);

describe("keys", () => {
  let keys: HeldKeys;
  beforeEach(() => {
    keys = new HeldKeys();
  });

  test("go down once and come up once", () => {
    expect(keys.down(key("a"), 1)).toEqual([{ type: "key_down", timestamp: 1, key: "a", code: "CodeA", modifiers: [] }]);
    expect(keys.down(key("a"), 2)).toEqual([]);
    expect(keys.up(key("a"), 3)).toEqual([{ type: "key_up", timestamp: 3, key: "a", code: "CodeA", modifiers: [] }]);
    expect(keys.up(key("a"), 4)).toEqual([]);
  });
  test("that are held come up when nothing more will be seen of them, modifiers last", () => {
    keys.down(key("Shift", { shiftKey: true }), 0);
    keys.down(key("A", { shiftKey: true }), 0);
    keys.down(key("Control", { shiftKey: true, ctrlKey: true }), 0);
    keys.down(key("Alt"), 0);
    keys.down(key("Meta"), 0);
    const released = keys.releaseAll(9);
    expect(names(released)).toEqual(["key_up A", "key_up Shift", "key_up Control", "key_up Alt", "key_up Meta"]);
    expect(released.map(({ modifiers }) => modifiers)).toEqual([["Shift", "Control", "Alt", "Meta"], ["Control", "Alt", "Meta"], ["Alt", "Meta"], ["Meta"], []]);
    expect(released.every(({ timestamp }) => timestamp === 9)).toBe(true);
    expect(keys.releaseAll(10)).toEqual([]);
  });
  test("that came up elsewhere do not come up again", () => {
    keys.down(key("a"), 0);
    keys.releaseAll(1);
    expect(keys.up(key("a"), 2)).toEqual([]);
  });
  test("that are still down when the view has the focus again go down again with their repeats", () => {
    keys.down(key("a"), 0);
    keys.releaseAll(1);
    expect(names(keys.down(key("a"), 2))).toEqual(["key_down a"]);
  });
  test("come up by the name that they went down with", () => {
    keys.down(key("A", { shiftKey: true }), 0);
    expect(names(keys.up(key("a"), 1))).toEqual(["key_up A"]);
  });
  test("that are held while Meta comes up come up before it: macOS does not report them", () => {
    keys.down(key("Meta", { metaKey: true }), 0);
    keys.down(key("Shift", { metaKey: true, shiftKey: true }), 0);
    keys.down(key("Z", { metaKey: true, shiftKey: true }), 0);
    expect(names(keys.up(key("Meta", { shiftKey: true }), 1))).toEqual(["key_up Z", "key_up Meta"]);
    expect(names(keys.up(key("Shift"), 2))).toEqual(["key_up Shift"]);
    expect(keys.releaseAll(3)).toEqual([]);
  });
  test("stay down while another key comes up", () => {
    keys.down(key("a"), 0);
    keys.down(key("b"), 0);
    expect(names(keys.up(key("b"), 1))).toEqual(["key_up b"]);
    expect(names(keys.up(key("Meta"), 1))).toEqual([]);
    expect(names(keys.releaseAll(2))).toEqual(["key_up a"]);
  });
  test("without a place are told apart by their names", () => {
    keys.down(key("x", { code: "" }), 0);
    expect(names(keys.down(key("y", { code: "" }), 0))).toEqual(["key_down y"]);
    expect(names(keys.up(key("x", { code: "" }), 0))).toEqual(["key_up x"]);
  });
});

describe("pointers", () => {
  const at = (x: number) => ({ x, y: 2, inside: true, width: 640, height: 480, pixel_ratio: 1 });
  const mouse = (buttons: number, more: object = {}) => ({ ...none, button: -1, buttons, pointerId: 1, pressure: 0.5, ...more });
  const said = (events: readonly RenderviewEvent[]) => events.map((event) => `${event.type} ${event.button} [${String(event.buttons)}]`);
  let pointers: HeldPointers;
  beforeEach(() => {
    pointers = new HeldPointers();
  });

  test("go down, move and come up", () => {
    expect(pointers.down(mouse(2, { button: 2 }), at(1), 5)).toEqual([
      { type: "pointer_down", timestamp: 5, ...at(1), button: 2, buttons: [2], modifiers: [], ntouches: 1, touches: { 1: { x: 1, y: 2, pressure: 0.5 } } },
    ]);
    expect(pointers.move(mouse(2), at(3), 6)).toMatchObject([{ type: "pointer_move", x: 3, button: 0, buttons: [2], touches: { 1: { x: 3 } } }]);
    expect(pointers.up(mouse(0, { button: 2 }), at(4), 7)).toEqual([
      { type: "pointer_up", timestamp: 7, ...at(4), button: 2, buttons: [], modifiers: [], ntouches: 0, touches: {} },
    ]);
  });
  test("say each button that goes down or comes up while another is held", () => {
    expect(said(pointers.down(mouse(1, { button: 0 }), at(1), 0))).toEqual(["pointer_down 1 [1]"]);
    expect(said(pointers.move(mouse(3, { button: 2 }), at(1), 0))).toEqual(["pointer_down 2 [1,2]"]);
    expect(said(pointers.move(mouse(6, { button: 0 }), at(1), 0))).toEqual(["pointer_up 1 [2]", "pointer_down 3 [2,3]"]);
    expect(said(pointers.move(mouse(6), at(2), 0))).toEqual(["pointer_move 0 [2,3]"]);
    expect(said(pointers.up(mouse(0, { button: 1 }), at(1), 0))).toEqual(["pointer_up 2 [3]", "pointer_up 3 []"]);
  });
  test("whose end is lost come up where they were last", () => {
    pointers.down(mouse(1), at(1), 0);
    pointers.move(mouse(5), at(7), 0);
    const events = pointers.lost(1, 8);
    expect(said(events)).toEqual(["pointer_up 1 [3]", "pointer_up 3 []"]);
    expect(events).toMatchObject([{ x: 7, timestamp: 8, ntouches: 0, modifiers: [] }, { x: 7 }]);
    expect(pointers.lost(1, 9)).toEqual([]);
    expect(pointers.up(mouse(0), at(1), 9)).toEqual([]);
  });
  test("come up with the next move where no event said so", () => {
    pointers.down(mouse(1), at(1), 0);
    expect(said(pointers.move(mouse(0), at(5), 1))).toEqual(["pointer_up 1 []"]);
    expect(said(pointers.move(mouse(0), at(6), 1))).toEqual(["pointer_move 0 []"]);
  });
  test("that went down elsewhere only move", () => {
    expect(said(pointers.move(mouse(1), at(5), 1))).toEqual(["pointer_move 0 [1]"]);
    expect(pointers.up(mouse(0), at(5), 1)).toEqual([]);
  });
  test("of several fingers are each in the touches, and are all released", () => {
    pointers.down(mouse(1, { pointerId: 7, pressure: 0.25 }), at(1), 0);
    const [second] = pointers.down(mouse(1, { pointerId: 8 }), at(2), 0);
    expect(second).toMatchObject({ ntouches: 2, touches: { 7: { x: 1, y: 2, pressure: 0.25 }, 8: { x: 2, y: 2, pressure: 0.5 } } });
    pointers.move(mouse(1, { pointerId: 7, pressure: 1 }), at(9), 0);
    expect(pointers.touches).toEqual({ 7: { x: 9, y: 2, pressure: 1 }, 8: { x: 2, y: 2, pressure: 0.5 } });
    expect(pointers.releaseAll(1)).toMatchObject([{ type: "pointer_up", ntouches: 1, x: 9 }, { type: "pointer_up", ntouches: 0, x: 2 }]);
    expect(pointers.touches).toEqual({});
  });
});
