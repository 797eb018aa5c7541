// What is held down in a view, so that whatever went down comes up: keys and the buttons of pointers.
// Must not know DOM events or what takes the focus: what happened comes in, and the events to send go out.

import { type At, BUTTON_BITS, buttons, type KeyLike, keyEvent, MODIFIERS, type PointerLike, pointerEvent, type Touches } from "./input";
import type { RenderviewEvent } from "./wire";

const NO_KEYS = { shiftKey: false, ctrlKey: false, altKey: false, metaKey: false };

interface HeldKey {
  readonly key: string;
  readonly code: string;
}

export class HeldKeys {
  private readonly held = new Map<string, HeldKey>();

  /** A key went down, or repeats. One that repeats and is not held went down elsewhere, or came up here when the focus was lost. */
  down(dom: KeyLike, timestamp: number): readonly RenderviewEvent[] {
    const id = idOf(dom);
    if (this.held.has(id)) return [];
    this.held.set(id, { key: dom.key, code: dom.code });
    return [keyEvent("key_down", dom, timestamp)];
  }

  /** A key came up. It has the name that it went down with: "A" stays "A" though Shift came up first. */
  up(dom: KeyLike, timestamp: number): readonly RenderviewEvent[] {
    const id = idOf(dom);
    const key = this.held.get(id);
    if (key === undefined) return [];
    // macOS reports no key that comes up while Meta is down, but for modifiers.
    const lost = dom.key === "Meta" ? this.release(timestamp, ({ key: name }) => !isModifier(name)) : [];
    this.held.delete(id);
    return [...lost, keyEvent("key_up", { ...dom, ...key }, timestamp)];
  }

  /** The keys come up as far as the program can know: no more of them will be seen here. Modifiers come up last. */
  releaseAll(timestamp: number): readonly RenderviewEvent[] {
    return [...this.release(timestamp, ({ key }) => !isModifier(key)), ...this.release(timestamp, () => true)];
  }

  private release(timestamp: number, which: (key: HeldKey) => boolean): readonly RenderviewEvent[] {
    const events: RenderviewEvent[] = [];
    for (const [id, key] of this.held) {
      if (!which(key)) continue;
      this.held.delete(id);
      events.push(keyEvent("key_up", { ...key, ...this.modifiers() }, timestamp));
    }
    return events;
  }

  private modifiers(): typeof NO_KEYS {
    const names = new Set([...this.held.values()].map(({ key }) => key));
    return { shiftKey: names.has("Shift"), ctrlKey: names.has("Control"), altKey: names.has("Alt"), metaKey: names.has("Meta") };
  }
}

/** Virtual keyboards name no code. */
function idOf({ key, code }: HeldKey): string {
  return code === "" ? key : code;
}

function isModifier(key: string): boolean {
  return MODIFIERS.some((name) => name === key);
}

interface HeldPointer {
  /** UI Events' `buttons`, as last reported. */
  readonly bits: number;
  readonly at: At;
  readonly pressure: number;
}

/**
 * Pointers with at least one button down since they came down here. A browser reports only the first button as `pointerdown`
 * and only the last one as `pointerup`; those between are moves with other `buttons` (Pointer Events §5.3).
 */
export class HeldPointers {
  private readonly held = new Map<number, HeldPointer>();

  /** The fingers, pens and mice that are down, by pointer id. */
  get touches(): Touches {
    return Object.fromEntries([...this.held].map(([id, { at, pressure }]) => [id, { x: at.x, y: at.y, pressure }]));
  }

  down(dom: PointerLike, at: At, timestamp: number): readonly RenderviewEvent[] {
    return this.change(dom, at, timestamp);
  }

  /** A move, or buttons that changed without one. */
  move(dom: PointerLike, at: At, timestamp: number): readonly RenderviewEvent[] {
    const changed = this.held.has(dom.pointerId) ? this.change(dom, at, timestamp) : [];
    return changed.length > 0 ? changed : [pointerEvent("pointer_move", dom, at, this.touches, timestamp)];
  }

  /** The last button came up. One that did not come down here, or was released meanwhile, is not ours. */
  up(dom: PointerLike, at: At, timestamp: number): readonly RenderviewEvent[] {
    return this.held.has(dom.pointerId) ? this.change({ ...dom, buttons: 0 }, at, timestamp) : [];
  }

  /** Nothing more comes of this pointer: its buttons come up where it was last. */
  lost(pointer_id: number, timestamp: number): readonly RenderviewEvent[] {
    const pointer = this.held.get(pointer_id);
    if (pointer === undefined) return [];
    return this.change({ ...NO_KEYS, button: -1, buttons: 0, pointerId: pointer_id, pressure: 0 }, pointer.at, timestamp);
  }

  releaseAll(timestamp: number): readonly RenderviewEvent[] {
    return [...this.held.keys()].flatMap((id) => this.lost(id, timestamp));
  }

  /** One event for each button that went down or came up, in order. */
  private change(dom: PointerLike, at: At, timestamp: number): readonly RenderviewEvent[] {
    const { pointerId, pressure } = dom;
    const before = this.held.get(pointerId)?.bits ?? 0;
    const events: RenderviewEvent[] = [];
    this.held.set(pointerId, { bits: dom.buttons, at, pressure });
    if (dom.buttons === 0) this.held.delete(pointerId);
    let bits = before;
    for (const [bit, button] of BUTTON_BITS.entries()) {
      const mask = 1 << bit;
      if (((before ^ dom.buttons) & mask) === 0) continue;
      bits ^= mask;
      const type = (bits & mask) === 0 ? "pointer_up" : "pointer_down";
      events.push({ ...pointerEvent(type, dom, at, this.touches, timestamp), button, buttons: buttons(bits) });
    }
    return events;
  }
}
