// The listeners of one view: DOM events to renderview events in frame pixels.
// Must not know where the events go.

import type { Point, Size } from "../core/geometry";
import { HeldKeys, HeldPointers } from "../core/held";
import { type At, charEvents, type KeyLike, pixelAt, type PointerLike, pointerEvent, resizeEvent, typedBy, wheelEvent } from "../core/input";
import type { RenderviewEvent } from "../core/wire";
import { composeText } from "./compose";

export interface Listening {
  /** Where a point of the page is in the picture: (0, 0) is its top left corner and (1, 1) its bottom right one. */
  readonly locate: (point: Point) => Point | undefined;
  /** The frame's size, and how wide the picture is in CSS pixels. */
  readonly layout: () => { readonly frame: Size; readonly width: number };
  readonly send: (event: RenderviewEvent) => void;
  /** Whether the view takes wheel events without the focus: true where there is nothing else to scroll. */
  readonly wheel_always: boolean;
}

const seconds = (): number => (performance.timeOrigin + performance.now()) / 1000;

/** Listens on `stage` until `signal` aborts. */
export class Listener {
  private readonly keys = new HeldKeys();
  private readonly pointers = new HeldPointers();
  private readonly send: (event: RenderviewEvent) => void;
  private shown: boolean | undefined;
  private closed = false;
  /** Where the pointer was last, on the page. Its events have fractions of pixels, those of wheels and double clicks have none. */
  private last: Point = { x: 0, y: 0 };
  /** Where the pointer was in the picture when that was last known: a view out of the layout has no place. */
  private last_unit: Point = { x: 0, y: 0 };

  constructor(
    private readonly stage: HTMLElement,
    private readonly options: Listening,
    signal: AbortSignal,
  ) {
    this.send = options.send;
    const on = <K extends keyof HTMLElementEventMap>(type: K, listener: (event: HTMLElementEventMap[K]) => void): void =>
      stage.addEventListener(type, listener, { signal });
    on("pointerdown", (event) => this.down(event));
    on("pointerup", (event) => this.sendAll(this.pointers.up(pointerOf(event), this.at(pointOf(event)), seconds())));
    on("pointermove", (event) => this.move(event));
    on("pointercancel", (event) => this.sendAll(this.pointers.lost(event.pointerId, seconds())));
    // Also follows each `pointerup`, when nothing is held any more.
    on("lostpointercapture", (event) => this.sendAll(this.pointers.lost(event.pointerId, seconds())));
    on("pointerenter", (event) => this.pointer("pointer_enter", pointerOf(event), pointOf(event)));
    on("pointerleave", (event) => this.pointer("pointer_leave", pointerOf(event), pointOf(event)));
    on("dblclick", (event) => this.pointer("double_click", { ...mouseOf(event), pointerId: 1, pressure: 0 }, this.exact(event)));
    on("contextmenu", (event) => event.preventDefault());
    on("keydown", (event) => this.keyDown(event));
    on("keyup", (event) => this.keyUp(event));
    on("focus", () => this.send({ type: "focus_in", timestamp: seconds() }));
    on("blur", () => this.blur());
    stage.addEventListener("wheel", (event) => this.wheel(event), { signal, passive: false });
    window.addEventListener("blur", () => this.sendAll(this.pointers.releaseAll(seconds())), { signal });
    // A page that is only put aside is hidden first, and may come back.
    window.addEventListener("pagehide", ({ persisted }) => !persisted && this.close(), { signal });
    composeText(stage, (text, composing) => this.sendAll(charEvents(text, { composing }, seconds())), signal);
    this.watchSize(signal);
  }

  /** The view came into sight or went out of it. */
  setShown(shown: boolean): void {
    if (shown === this.shown || this.closed) return;
    this.shown = shown;
    if (!shown) this.release();
    this.send({ type: shown ? "show" : "hide", timestamp: seconds() });
  }

  /** Everything that is held comes up: its end will not be seen here. */
  release(): void {
    this.sendAll(this.keys.releaseAll(seconds()));
    this.sendAll(this.pointers.releaseAll(seconds()));
  }

  /** The view ends, or leaves its stream. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.release();
    this.send({ type: "close", timestamp: seconds() });
  }

  /** The view shows another stream. */
  reopen(): void {
    this.closed = false;
  }

  private sendAll(events: readonly RenderviewEvent[]): void {
    for (const event of events) this.send(event);
  }

  private down(event: PointerEvent): void {
    this.stage.focus({ preventScroll: true });
    // With the pointer captured, the view also gets the end of a drag that leaves it.
    try {
      this.stage.setPointerCapture(event.pointerId);
    } catch {
      // A pointer made by a script cannot be captured: its drag may end outside.
    }
    this.last = pointOf(event);
    this.sendAll(this.pointers.down(pointerOf(event), this.at(this.last), seconds()));
  }

  private move(event: PointerEvent): void {
    this.last = pointOf(event);
    this.sendAll(this.pointers.move(pointerOf(event), this.at(this.last), seconds()));
  }

  private pointer(type: "pointer_enter" | "pointer_leave" | "double_click", event: PointerLike, point: Point): void {
    this.send(pointerEvent(type, event, this.at(point), this.pointers.touches, seconds()));
  }

  /** Without the focus, the wheel scrolls the page: a long notebook must stay scrollable. */
  private wheel(event: WheelEvent): void {
    if (!this.options.wheel_always && !this.stage.contains(document.activeElement) && !this.hasFocus()) return;
    event.preventDefault();
    event.stopPropagation();
    this.send(wheelEvent(event, this.at(this.exact(event)), seconds()));
  }

  /** In a shadow tree the document's active element is only the host. */
  private hasFocus(): boolean {
    const root = this.stage.getRootNode();
    return root instanceof ShadowRoot && root.activeElement === this.stage;
  }

  private keyDown(event: KeyboardEvent): void {
    if (!this.takes(event)) return;
    const { key, repeat, isComposing, ctrlKey, metaKey } = event;
    // The key is for an input method, which types by itself.
    if (isComposing || key === "Process") return;
    const timestamp = seconds();
    const typed = typedBy({ ...keyOf(event), isComposing, altGraph: event.getModifierState("AltGraph") });
    // Tab moves the focus, as everywhere, and a dead key waits for the next one. All other keys go to the program behind the picture.
    const left = key === "Tab" || key === "Dead" || key === "Unidentified" || ctrlKey || metaKey;
    if (typed !== undefined || !left) event.preventDefault();
    this.sendAll(this.keys.down(keyOf(event), timestamp));
    if (typed !== undefined) this.sendAll(charEvents(typed, { repeat }, timestamp));
  }

  private keyUp(event: KeyboardEvent): void {
    if (!this.takes(event)) return;
    if (event.key !== "Tab" && !(event.ctrlKey || event.metaKey)) event.preventDefault();
    this.sendAll(this.keys.up(keyOf(event), seconds()));
  }

  private takes(event: KeyboardEvent): boolean {
    if (event.target !== this.stage) return false;
    event.stopPropagation();
    return true;
  }

  private blur(): void {
    this.sendAll(this.keys.releaseAll(seconds()));
    this.send({ type: "focus_out", timestamp: seconds() });
  }

  /** Where a mouse event is on the page: without its fractions, that is where the pointer was last. */
  private exact(event: MouseEvent): Point {
    const { last } = this;
    const { x, y } = pointOf(event);
    return Math.floor(last.x) === x && Math.floor(last.y) === y ? last : { x, y };
  }

  private at(page: Point): At {
    const { frame, width } = this.options.layout();
    const unit = this.options.locate(page);
    const at = pixelAt(unit, frame, width, this.last_unit);
    this.last_unit = unit ?? this.last_unit;
    return at;
  }

  private watchSize(signal: AbortSignal): void {
    const observer = new ResizeObserver(([entry]) => {
      if (entry === undefined) return;
      const { width, height } = entry.contentRect;
      // A view that is taken out of the layout is hidden, and has no size.
      if (width > 0 && height > 0) this.send(resizeEvent({ width, height }, devicePixelRatio, seconds()));
    });
    observe(observer, this.stage);
    signal.addEventListener("abort", () => observer.disconnect());
  }
}

/** Also reports a change of the screen's pixel ratio alone, where the browser can. */
function observe(observer: ResizeObserver, element: HTMLElement): void {
  try {
    observer.observe(element, { box: "device-pixel-content-box" });
  } catch {
    observer.observe(element);
  }
}

// What is needed of an event, as plain fields: those of an event are not its own, and are not copied with it.

function pointOf({ clientX, clientY }: MouseEvent): Point {
  return { x: clientX, y: clientY };
}

function mouseOf({ button, buttons, shiftKey, ctrlKey, altKey, metaKey }: MouseEvent): Omit<PointerLike, "pointerId" | "pressure"> {
  return { button, buttons, shiftKey, ctrlKey, altKey, metaKey };
}

function pointerOf(event: PointerEvent): PointerLike {
  return { ...mouseOf(event), pointerId: event.pointerId, pressure: event.pressure };
}

function keyOf({ key, code, shiftKey, ctrlKey, altKey, metaKey }: KeyboardEvent): KeyLike {
  return { key, code, shiftKey, ctrlKey, altKey, metaKey };
}
