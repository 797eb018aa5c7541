// DOM-shaped events to renderview events, and which of them may be merged.
// Must not know DOM types: what it needs of an event is written here as plain fields.

import type { RenderviewEvent } from "./wire";

export interface KeyState {
  readonly shiftKey: boolean;
  readonly ctrlKey: boolean;
  readonly altKey: boolean;
  readonly metaKey: boolean;
}

export interface PointerLike extends KeyState {
  readonly button: number;
  readonly buttons: number;
  readonly pointerId: number;
  readonly pressure: number;
}

export interface WheelLike extends KeyState {
  readonly buttons: number;
  readonly deltaX: number;
  readonly deltaY: number;
  readonly deltaMode: number;
}

export interface KeyLike extends KeyState {
  readonly key: string;
  readonly code: string;
}

/** A point in frame pixels. */
export interface At {
  readonly x: number;
  readonly y: number;
  readonly inside: boolean;
}

type PointerType = "pointer_down" | "pointer_up" | "pointer_move" | "pointer_enter" | "pointer_leave" | "double_click";

/** UI Events counts 0 left, 1 middle, 2 right; renderview 1 left, 2 right, 3 middle and 0 for none. */
const BUTTONS: readonly number[] = [1, 3, 2, 4, 5];
/** UI Events' `buttons` bits, in their order: left, right, middle, back, forward. */
const BUTTON_BITS: readonly number[] = [1, 2, 3, 4, 5];
/** One line and one page in pixels, for wheels that count so (Firefox). */
const WHEEL_UNITS: readonly number[] = [1, 16, 400];

export function button(dom: number): number {
  return BUTTONS[dom] ?? (dom < 0 ? 0 : Math.min(32, dom + 1));
}

export function buttons(bits: number): number[] {
  return BUTTON_BITS.filter((_, bit) => (bits & (1 << bit)) !== 0);
}

export function modifiers(keys: KeyState): ("Shift" | "Control" | "Alt" | "Meta")[] {
  const held: ("Shift" | "Control" | "Alt" | "Meta")[] = [];
  if (keys.shiftKey) held.push("Shift");
  if (keys.ctrlKey) held.push("Control");
  if (keys.altKey) held.push("Alt");
  if (keys.metaKey) held.push("Meta");
  return held;
}

/** `touches`: the fingers and pens that are down, by pointer id. `timestamp`: seconds. */
export function pointerEvent(
  type: PointerType,
  dom: PointerLike,
  at: At,
  touches: Readonly<Record<string, { readonly x: number; readonly y: number; readonly pressure: number }>>,
  timestamp: number,
): RenderviewEvent {
  return {
    type,
    timestamp,
    ...at,
    button: type === "pointer_move" ? 0 : button(dom.button),
    buttons: buttons(dom.buttons),
    modifiers: modifiers(dom),
    ntouches: Math.min(32, Object.keys(touches).length),
    touches,
  };
}

export function wheelEvent(dom: WheelLike, at: At, timestamp: number): RenderviewEvent {
  const unit = WHEEL_UNITS[dom.deltaMode] ?? 1;
  return {
    type: "wheel",
    timestamp,
    ...at,
    dx: dom.deltaX * unit,
    dy: dom.deltaY * unit,
    buttons: buttons(dom.buttons),
    modifiers: modifiers(dom),
  };
}

export function keyEvent(type: "key_down" | "key_up", dom: KeyLike, timestamp: number): RenderviewEvent {
  return { type, timestamp, key: dom.key.slice(0, 64), code: dom.code.slice(0, 64), modifiers: modifiers(dom) };
}

/** `box` in CSS pixels. */
export function resizeEvent(box: { readonly width: number; readonly height: number }, ratio: number, timestamp: number): RenderviewEvent {
  const physical = (length: number): number => Math.min(65535, Math.max(0, Math.round(length * ratio)));
  return {
    type: "resize",
    timestamp,
    width: box.width,
    height: box.height,
    pwidth: physical(box.width),
    pheight: physical(box.height),
    ratio,
  };
}

/** One event in place of two, where the later one is enough; undefined where both are needed. */
export function merge(first: RenderviewEvent, second: RenderviewEvent): RenderviewEvent | undefined {
  if (first.type !== second.type || !sameButtons(first, second)) return undefined;
  if (first.type === "pointer_move" || first.type === "resize") return second;
  if (first.type !== "wheel") return undefined;
  return { ...second, dx: (first.dx ?? 0) + (second.dx ?? 0), dy: (first.dy ?? 0) + (second.dy ?? 0) };
}

/** Whether an event may wait to be merged with later ones. */
export function canWait(event: RenderviewEvent): boolean {
  return event.type === "pointer_move" || event.type === "wheel" || event.type === "resize";
}

function sameButtons(first: RenderviewEvent, second: RenderviewEvent): boolean {
  const held = (event: RenderviewEvent): string => `${event.buttons ?? ""} ${event.modifiers ?? ""} ${event.ntouches ?? 0}`;
  return held(first) === held(second);
}
