// The listeners of one view: DOM events to renderview events in frame pixels.
// Must not know where the events go.

import { isInside, type Rect, type Size, toFrame } from "../core/geometry";
import { type At, keyEvent, type PointerLike, pointerEvent, resizeEvent, wheelEvent } from "../core/input";
import type { RenderviewEvent } from "../core/wire";

export interface Listening {
  /** Where the picture lies in the stage, and the frame's size. */
  readonly layout: () => { readonly picture: Rect; readonly frame: Size };
  readonly send: (event: RenderviewEvent) => void;
  /** Whether the view takes wheel events without the focus: true where there is nothing else to scroll. */
  readonly wheel_always: boolean;
}

interface Touch {
  readonly x: number;
  readonly y: number;
  readonly pressure: number;
}

/** Listens on `stage` until `signal` aborts. */
export function listen(stage: HTMLElement, options: Listening, signal: AbortSignal): void {
  new Listener(stage, options, signal);
}

const seconds = (): number => (performance.timeOrigin + performance.now()) / 1000;

class Listener {
  private readonly touches = new Map<number, Touch>();

  constructor(
    private readonly stage: HTMLElement,
    private readonly options: Listening,
    signal: AbortSignal,
  ) {
    const on = <K extends keyof HTMLElementEventMap>(type: K, listener: (event: HTMLElementEventMap[K]) => void): void =>
      stage.addEventListener(type, listener, { signal });
    on("pointerdown", (event) => this.down(event));
    on("pointerup", (event) => this.up(event));
    on("pointercancel", (event) => this.up(event));
    on("pointermove", (event) => this.pointer("pointer_move", event));
    on("pointerenter", (event) => this.pointer("pointer_enter", event));
    on("pointerleave", (event) => this.pointer("pointer_leave", event));
    on("dblclick", (event) => this.pointer("double_click", { ...pick(event), pointerId: 1, pressure: 0 }));
    on("contextmenu", (event) => event.preventDefault());
    on("keydown", (event) => this.key("key_down", event));
    on("keyup", (event) => this.key("key_up", event));
    stage.addEventListener("wheel", (event) => this.wheel(event), { signal, passive: false });
    this.watchSize(signal);
  }

  private down(event: PointerEvent): void {
    this.stage.focus({ preventScroll: true });
    // With the pointer captured, the view also gets the end of a drag that leaves it.
    try {
      this.stage.setPointerCapture(event.pointerId);
    } catch {
      // A pointer made by a script cannot be captured: its drag may end outside.
    }
    this.touch(event);
    this.pointer("pointer_down", event);
  }

  private up(event: PointerEvent): void {
    this.touches.delete(event.pointerId);
    this.pointer("pointer_up", event);
  }

  private pointer(type: Parameters<typeof pointerEvent>[0], event: PointerLike & { readonly clientX: number; readonly clientY: number }): void {
    if (this.touches.has(event.pointerId)) this.touch(event);
    this.options.send(pointerEvent(type, event, this.at(event), Object.fromEntries(this.touches), seconds()));
  }

  private touch(event: { readonly clientX: number; readonly clientY: number; readonly pointerId: number; readonly pressure: number }): void {
    const { x, y } = this.at(event);
    this.touches.set(event.pointerId, { x, y, pressure: event.pressure });
  }

  /** Without the focus, the wheel scrolls the page: a long notebook must stay scrollable. */
  private wheel(event: WheelEvent): void {
    if (!this.options.wheel_always && !this.stage.contains(document.activeElement) && !this.hasFocus()) return;
    event.preventDefault();
    event.stopPropagation();
    this.options.send(wheelEvent(event, this.at(event), seconds()));
  }

  /** In a shadow tree the document's active element is only the host. */
  private hasFocus(): boolean {
    const root = this.stage.getRootNode();
    return root instanceof ShadowRoot && root.activeElement === this.stage;
  }

  private key(type: "key_down" | "key_up", event: KeyboardEvent): void {
    if (event.target !== this.stage) return;
    // Tab moves the focus, as everywhere. All other keys go to the program behind the picture.
    if (event.key !== "Tab" && !(event.ctrlKey || event.metaKey)) event.preventDefault();
    event.stopPropagation();
    if (!event.repeat) this.options.send(keyEvent(type, event, seconds()));
  }

  private at(event: { readonly clientX: number; readonly clientY: number }): At {
    const box = this.stage.getBoundingClientRect();
    const { picture, frame } = this.options.layout();
    const point = toFrame({ x: event.clientX - box.x, y: event.clientY - box.y }, picture, frame);
    return { x: point.x, y: point.y, inside: isInside(point, frame) };
  }

  private watchSize(signal: AbortSignal): void {
    const observer = new ResizeObserver(([entry]) => {
      if (entry !== undefined) this.options.send(resizeEvent(entry.contentRect, devicePixelRatio, seconds()));
    });
    observer.observe(this.stage);
    signal.addEventListener("abort", () => observer.disconnect());
  }
}

function pick(event: MouseEvent): Omit<PointerLike, "pointerId" | "pressure"> & { clientX: number; clientY: number } {
  const { button, buttons, shiftKey, ctrlKey, altKey, metaKey, clientX, clientY } = event;
  return { button, buttons, shiftKey, ctrlKey, altKey, metaKey, clientX, clientY };
}
