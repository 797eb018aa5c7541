// DOM-shaped events to renderview events, and which of them may be merged.
// Must not know DOM types: what it needs of an event is written here as plain fields.

import { isInside, type Point, type Size, toFrame } from "./geometry";
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

/** A point in pixels of a frame of `width` x `height`. */
export interface At {
  readonly x: number;
  readonly y: number;
  readonly inside: boolean;
  readonly width: number;
  readonly height: number;
  /** Frame pixels per CSS pixel of the view, across. */
  readonly pixel_ratio: number;
}

/** The fingers, pens and mice that are down, by pointer id. */
export type Touches = Readonly<Record<string, { readonly x: number; readonly y: number; readonly pressure: number }>>;

type Modifier = "Shift" | "Control" | "Alt" | "Meta";
type PointerType = "pointer_down" | "pointer_up" | "pointer_move" | "pointer_enter" | "pointer_leave" | "double_click";

/** UI Events counts 0 left, 1 middle, 2 right; renderview 1 left, 2 right, 3 middle and 0 for none. */
const BUTTONS: readonly number[] = [1, 3, 2, 4, 5];
/** UI Events' `buttons` bits, in their order: left, right, middle, back, forward, a pen's eraser. */
export const BUTTON_BITS: readonly number[] = [1, 2, 3, 4, 5, 6];
export const MODIFIERS: readonly Modifier[] = ["Shift", "Control", "Alt", "Meta"];
/** The contract's limits: characters, and fingers. */
const MAX_NAME_LENGTH = 64;
const MAX_DATA_LENGTH = 256;
const MAX_TOUCHES = 32;
/** One line and one page in pixels, for wheels that count so (Firefox). */
const WHEEL_UNITS: readonly number[] = [1, 16, 400];

/** `unit`: a point of the picture; undefined where it has no area, which `last` stands in for. `across`: how wide it is in CSS pixels of the view. */
export function pixelAt(unit: Point | undefined, frame: Size, across: number, last: Point = { x: 0, y: 0 }): At {
  const point = toFrame(unit ?? last, frame);
  const { width, height } = frame;
  return { ...point, inside: unit !== undefined && isInside(point, frame), width, height, pixel_ratio: across > 0 ? width / across : 1 };
}

export function button(dom: number): number {
  return BUTTONS[dom] ?? (dom < 0 ? 0 : Math.min(32, dom + 1));
}

export function buttons(bits: number): number[] {
  return BUTTON_BITS.filter((_, bit) => (bits & (1 << bit)) !== 0);
}

export function modifiers({ shiftKey, ctrlKey, altKey, metaKey }: KeyState): Modifier[] {
  const held = [shiftKey, ctrlKey, altKey, metaKey];
  return MODIFIERS.filter((_, index) => held[index]);
}

/** `timestamp`: seconds. */
export function pointerEvent(
  type: PointerType,
  dom: PointerLike,
  at: At,
  touches: Touches,
  timestamp: number,
): RenderviewEvent {
  return {
    type,
    timestamp,
    ...at,
    button: type === "pointer_move" ? 0 : button(dom.button),
    buttons: buttons(dom.buttons),
    modifiers: modifiers(dom),
    ntouches: Math.min(MAX_TOUCHES, Object.keys(touches).length),
    touches: Object.fromEntries(Object.entries(touches).slice(0, MAX_TOUCHES)),
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
  return { type, timestamp, key: cut(dom.key, MAX_NAME_LENGTH), code: cut(dom.code, MAX_NAME_LENGTH), modifiers: modifiers(dom) };
}

/** The character that a key types on its way down, if it does. Input methods type by themselves. */
export function typedBy(dom: KeyLike & { readonly isComposing: boolean; readonly altGraph: boolean }): string | undefined {
  if (dom.isComposing || [...dom.key].length !== 1) return undefined;
  // AltGr is reported as Control and Alt on Windows.
  if ((dom.ctrlKey || dom.metaKey) && !dom.altGraph) return undefined;
  // Option types other characters on macOS. Where Alt changes nothing, it is for menus.
  if (dom.altKey && !dom.altGraph && /^[a-z0-9]$/i.test(dom.key)) return undefined;
  return dom.key;
}

/** Typed text as events of at most 256 characters. Text that is being composed is temporary, and cut. */
export function charEvents(text: string, how: { readonly composing?: boolean; readonly repeat?: boolean }, timestamp: number): RenderviewEvent[] {
  const { composing = false, repeat = false } = how;
  const event = (data: string): RenderviewEvent => ({
    type: "char",
    timestamp,
    data,
    input_type: composing ? "insertCompositionText" : "insertText",
    is_composing: composing,
    repeat,
  });
  if (composing) return [event(cut(text, MAX_DATA_LENGTH))];
  const whole = [...text];
  const starts = Array.from({ length: Math.ceil(whole.length / MAX_DATA_LENGTH) }, (_, index) => index * MAX_DATA_LENGTH);
  return starts.map((start) => event(cut(whole.slice(start, start + MAX_DATA_LENGTH).join(""), MAX_DATA_LENGTH)));
}

/** The first characters. Half of a surrogate pair is no character, and no message may hold one. */
function cut(text: string, length: number): string {
  return [...text].slice(0, length).join("").replace(/\p{Surrogate}/gu, "\ufffd");
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

/** How a view is: the newest event of each kind is sent again to a publisher that gets the view later. Undefined for what only happens. */
export function stateKind({ type }: RenderviewEvent): "size" | "visible" | "focus" | undefined {
  if (type === "resize") return "size";
  if (type === "show" || type === "hide") return "visible";
  return type === "focus_in" || type === "focus_out" ? "focus" : undefined;
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
