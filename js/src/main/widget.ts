// The anywidget entry: traits in, traits out, and the ticket that the kernel hands over.
// Must not know Jupyter: only the five methods of the anywidget front-end model.

import type { Fit } from "../core/geometry";
import type { ViewStats, ViewStatus } from "../core/ports";
import type { ViewMode } from "../core/wire";
import { make } from "./dom";
import { type Letter, letterboxOf, type Model, type Ticket } from "./letterbox";
import { View } from "./view";

interface Start {
  readonly model: Model;
  readonly signal?: AbortSignal;
}

interface Render extends Start {
  readonly el: HTMLElement;
}

/** A kernel that is there answers at once; a saved notebook has none. */
const PATIENCE_MS = 2500;
const ASK_AGAIN_MS = 5000;
const ASK_AT_LEAST_MS = 60_000;

interface Words {
  readonly title: string;
  readonly hint: string;
}
const WAITING: Words = { title: "Waiting for the kernel", hint: "" };
const NO_KERNEL: Words = { title: "No live picture here yet", hint: "It comes from a running kernel: run the cell to see it." };

class Widget {
  private view: View | undefined;
  private ticket: Ticket | undefined;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private stopReading: () => void = () => undefined;
  private readonly place = make("div", "framewire-widget");
  private readonly waiting = make("div", "framewire-waiting");

  constructor(
    private readonly model: Model,
    el: HTMLElement,
  ) {
    this.place.append(this.waiting);
    el.append(this.place);
    this.resize();
  }

  /** Contacts nothing: a saved notebook that is only read makes no request until a kernel has answered. */
  start(): void {
    for (const [name, change] of this.changes) this.model.on(`change:${name}`, change);
    this.say(WAITING);
    this.stopReading = letterboxOf(this.model).read((letter) => this.hear(letter));
    if (this.ticket === undefined) this.ask(ASK_AGAIN_MS);
  }

  stop(): void {
    clearTimeout(this.timer);
    this.stopReading();
    for (const [name, change] of this.changes) this.model.off(`change:${name}`, change);
    this.view?.dispose();
    this.view = undefined;
    this.place.remove();
  }

  private readonly changes: readonly (readonly [string, () => void])[] = [
    ["mode", () => this.view?.setMode(this.text("mode", "auto") as ViewMode)],
    ["fit", () => this.view?.setFit(this.text("fit", "contain") as Fit)],
    ["background", () => this.view?.setBackground(this.text("background", "auto"))],
    ["stream", () => this.view?.setStream(this.text("stream", "default"))],
    ["show_toolbar", () => this.view?.setToolbar(this.flag("show_toolbar", true))],
    ["show_stats", () => this.view?.setHud(this.flag("show_stats", false))],
    ["height", () => this.resize()],
    ["url", () => this.open()],
    ["port", () => this.open()],
    ["base_path", () => this.open()],
  ];

  private hear(letter: Letter): void {
    clearTimeout(this.timer);
    if (letter.type === "gone") return this.end(letter.text);
    // Asked twice, a slow kernel answers twice: that is no reason to begin anew.
    const known = this.view !== undefined && JSON.stringify(letter) === JSON.stringify(this.ticket);
    this.ticket = letter;
    if (!known) this.open();
  }

  private end(text: string): void {
    this.ticket = undefined;
    this.view?.dispose();
    this.view = undefined;
    const [title = "", ...hint] = text.split(/(?<=\.) /);
    this.say({ title: title.replace(/\.$/, ""), hint: hint.join(" ") });
    this.model.set("state", "closed");
    this.model.save_changes();
  }

  private ask(again: number): void {
    this.model.send({ type: "hello" });
    this.timer = setTimeout(() => {
      this.say(NO_KERNEL);
      this.timer = setTimeout(() => this.ask(Math.min(2 * again, ASK_AT_LEAST_MS)), again);
    }, PATIENCE_MS);
  }

  private open(): void {
    const { ticket } = this;
    if (ticket === undefined) return;
    this.view?.dispose();
    this.waiting.hidden = true;
    this.view = new View(this.place, {
      url: this.address(ticket),
      token: ticket.token,
      stream: this.text("stream", "") || (ticket.stream ?? "default"),
      mode: this.text("mode", "auto") as ViewMode,
      fit: this.text("fit", "contain") as Fit,
      background: this.text("background", "auto"),
      batteries: this.flag("batteries", true),
      show_toolbar: this.flag("show_toolbar", true),
      show_stats: this.flag("show_stats", false),
      onStatus: (status) => this.tellStatus(status),
      onStats: (stats) => this.tellStats(stats),
    });
  }

  /** `url` before `base_path` (this page's own origin, behind its proxy) before host and port. */
  private address(ticket: Ticket): string {
    const url = this.text("url", "") || ticket.url;
    if (url !== undefined && url !== "") return url.replace(/^http/, "ws");
    const secure = location.protocol === "https:" ? "wss:" : "ws:";
    const base = this.text("base_path", "").replace(/\/+$/, "");
    if (base !== "") return `${secure}//${location.host}${base.startsWith("/") ? "" : "/"}${base}/ws`;
    const host = this.text("host", "") || (ticket.host ?? "auto");
    const port = this.model.get("port") || ticket.port;
    return `${secure}//${host === "auto" ? location.hostname || "127.0.0.1" : host}:${String(port)}/ws`;
  }

  private tellStatus(status: ViewStatus): void {
    this.model.set("state", status.state);
    this.model.set("last_error", status.state === "error" ? status.reason : "");
    this.model.save_changes();
  }

  private tellStats(stats: ViewStats): void {
    const status = this.view?.status;
    this.model.set("stats", { ...plain(stats), mode: status?.showing ?? "none", codec: status?.codec ?? "", reason: status?.reason ?? "" });
    this.model.save_changes();
  }

  private say({ title, hint }: Words): void {
    this.waiting.replaceChildren(make("strong", "", title), make("span", "", hint));
    this.waiting.hidden = false;
  }

  private resize(): void {
    const height = this.model.get("height");
    this.place.style.height = typeof height === "number" && height > 0 ? `${height}px` : "480px";
  }

  private text(name: string, otherwise: string): string {
    const value = this.model.get(name);
    return typeof value === "string" ? value : otherwise;
  }

  private flag(name: string, otherwise: boolean): boolean {
    const value = this.model.get(name);
    return typeof value === "boolean" ? value : otherwise;
  }
}

/** Traits are JSON: a number that is not known is left out. */
function plain(stats: ViewStats): Record<string, number> {
  return Object.fromEntries(Object.entries(stats).filter((entry): entry is [string, number] => typeof entry[1] === "number"));
}

/** Before any view: what the kernel says right behind the model, and says once, is heard. */
function initialize({ model, signal }: Start): void {
  letterboxOf(model, signal);
}

function render({ model, el, signal }: Render): () => void {
  const widget = new Widget(model, el);
  widget.start();
  const stop = (): void => widget.stop();
  signal?.addEventListener("abort", stop);
  return stop;
}

export default { initialize, render };
