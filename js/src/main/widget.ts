// The anywidget entry: traits in, traits out, and the ticket that the kernel sends.
// Must not know Jupyter: only the methods of the anywidget front-end model.

import { serverUrl } from "../core/address";
import type { Fit } from "../core/geometry";
import type { ViewStats, ViewStatus } from "../core/ports";
import { type Reason, sentence, words } from "../core/reasons";
import type { ViewMode } from "../core/wire";
import { make } from "./dom";
import { type KernelMessage, mailboxOf, type Model, type Ticket } from "./mailbox";
import { View } from "./view";

interface Start {
  readonly model: Model;
  readonly signal?: AbortSignal;
}

interface Render extends Start {
  readonly el: HTMLElement;
}

/** A running kernel answers at once; a saved notebook has none. */
const ANSWER_MS = 2500;
/** The wait before the kernel is asked again. It doubles each time, up to the second number. */
const ASK_AGAIN_MS = 5000;
const MAX_ASK_AGAIN_MS = 60_000;
const DEFAULT_HEIGHT_PX = 480;

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

  /** Makes no request: a saved notebook that is only read contacts no server until a kernel has answered. */
  start(): void {
    for (const [name, change] of this.changes) this.model.on(`change:${name}`, change);
    this.showMessage({ code: "waiting_for_kernel" });
    this.stopReading = mailboxOf(this.model).read((message) => this.receive(message));
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

  private receive(message: KernelMessage): void {
    clearTimeout(this.timer);
    if (message.type === "gone") return this.end({ code: message.reason });
    // A slow kernel that was asked twice answers twice: the view goes on.
    const known = this.view !== undefined && JSON.stringify(message) === JSON.stringify(this.ticket);
    this.ticket = message;
    if (!known) this.open();
  }

  private end(reason: Reason): void {
    this.ticket = undefined;
    this.view?.dispose();
    this.view = undefined;
    this.showMessage(reason);
    this.model.set("state", "closed");
    this.model.save_changes();
  }

  private ask(again: number): void {
    this.model.send({ type: "hello" });
    this.timer = setTimeout(() => {
      this.showMessage({ code: "no_kernel" });
      this.timer = setTimeout(() => this.ask(Math.min(2 * again, MAX_ASK_AGAIN_MS)), again);
    }, ANSWER_MS);
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
      onStatus: (status) => this.writeStatus(status),
      onStats: (stats) => this.writeStats(stats),
    });
  }

  private address({ url = "", host = "auto", port, secure = false }: Ticket): string {
    return serverUrl(
      {
        url: this.text("url", "") || url,
        base_path: this.text("base_path", ""),
        host: this.text("host", "") || host,
        port: Number(this.model.get("port") || port),
        secure,
      },
      location,
    );
  }

  private writeStatus(status: ViewStatus): void {
    this.model.set("state", status.state);
    this.model.set("last_error", status.state === "error" ? sentence(status.reason, status.mode) : "");
    this.model.save_changes();
  }

  private writeStats(stats: ViewStats): void {
    const status = this.view?.status;
    this.model.set("stats", { ...numbersOf(stats), ...(status === undefined ? { mode: "none", codec: "" } : factsOf(status)) });
    this.model.save_changes();
  }

  private showMessage(reason: Reason): void {
    const { what, action } = words(reason);
    this.waiting.replaceChildren(make("strong", "", what), make("span", "", action === "" ? "" : `${action}.`));
    this.waiting.hidden = false;
  }

  private resize(): void {
    const height = this.model.get("height");
    this.place.style.height = typeof height === "number" && height > 0 ? `${height}px` : `${DEFAULT_HEIGHT_PX}px`;
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

/** How the picture is shown, and why: `reason` and `detail` for programs, `why` for people. */
function factsOf({ showing, codec = "", reason, mode }: ViewStatus): Record<string, string> {
  return { mode: showing, codec, reason: reason.code, detail: reason.detail ?? "", why: sentence(reason, mode) };
}

/** Traits are JSON: a number that is not known is left out. */
function numbersOf(stats: ViewStats): Record<string, number> {
  return Object.fromEntries(Object.entries(stats).filter((entry): entry is [string, number] => typeof entry[1] === "number"));
}

/** Runs before any view is made, so that a message which the kernel sends once, right after the model, is kept. */
function initialize({ model, signal }: Start): void {
  mailboxOf(model, signal);
}

function render({ model, el, signal }: Render): () => void {
  const widget = new Widget(model, el);
  widget.start();
  const stop = (): void => widget.stop();
  signal?.addEventListener("abort", stop);
  return stop;
}

export default { initialize, render };
