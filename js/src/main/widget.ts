// The anywidget entry: traits in, traits out, and the ticket that the kernel hands over.
// Must not know Jupyter: only the five methods of the anywidget front-end model.

import type { Fit } from "../core/geometry";
import type { ViewStats, ViewStatus } from "../core/ports";
import type { ViewMode } from "../core/wire";
import { make } from "./dom";
import { View } from "./view";

interface Model {
  get(name: string): unknown;
  set(name: string, value: unknown): void;
  save_changes(): void;
  on(event: string, listener: (...values: unknown[]) => void): void;
  off(event: string, listener: (...values: unknown[]) => void): void;
  send(content: unknown): void;
}

interface Render {
  readonly model: Model;
  readonly el: HTMLElement;
  readonly signal?: AbortSignal;
}

/** Where the server is and what opens it; only a live kernel can say. */
interface Ticket {
  readonly type: "ticket";
  readonly token: string;
  readonly url?: string;
  readonly host?: string;
  readonly port?: number;
  readonly stream?: string;
}

/** A kernel that is there answers at once; a saved notebook has none. */
const PATIENCE_MS = 2500;
const ASK_AGAIN_MS = 5000;

function isTicket(content: unknown): content is Ticket {
  return typeof content === "object" && content !== null && "type" in content && content.type === "ticket" && "token" in content;
}

class Widget {
  private view: View | undefined;
  private ticket: Ticket | undefined;
  private timer: ReturnType<typeof setTimeout> | undefined;
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
    this.model.on("msg:custom", this.hear);
    for (const [name, change] of this.changes) this.model.on(`change:${name}`, change);
    this.say("Waiting for the kernel");
    this.ask();
  }

  stop(): void {
    clearTimeout(this.timer);
    this.model.off("msg:custom", this.hear);
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

  private readonly hear = (content: unknown): void => {
    if (!isTicket(content)) return;
    clearTimeout(this.timer);
    this.ticket = content;
    this.open();
  };

  private ask(): void {
    this.model.send({ type: "hello" });
    this.timer = setTimeout(() => {
      this.say("No kernel: run the cell to see the live picture");
      this.timer = setTimeout(() => this.ask(), ASK_AGAIN_MS);
    }, PATIENCE_MS);
  }

  private open(): void {
    const { ticket } = this;
    if (ticket === undefined) return;
    this.view?.dispose();
    this.say("");
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

  private say(text: string): void {
    this.waiting.textContent = text;
    this.waiting.hidden = text === "";
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

function render({ model, el, signal }: Render): () => void {
  const widget = new Widget(model, el);
  widget.start();
  const stop = (): void => widget.stop();
  signal?.addEventListener("abort", stop);
  return stop;
}

export default { render };
