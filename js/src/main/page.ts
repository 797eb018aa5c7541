// The stand-alone page: the address says server, token and stream; one stream fills the window, several make a grid.
// Must not know how a view works.

import type { ServerStatus } from "../core/ports";
import type { ViewMode } from "../core/wire";
import { make } from "./dom";
import { connect } from "./hub";
import { View } from "./view";

const MODES: readonly string[] = ["auto", "webrtc", "webcodecs", "lossless"];

interface Asked {
  readonly url: string;
  readonly token: string;
  readonly stream: string | null;
  readonly mode: ViewMode;
  readonly chrome: boolean;
}

function asked(): Asked {
  const query = new URLSearchParams(location.search);
  const mode = query.get("mode") ?? "auto";
  const url = new URL("ws", location.origin + location.pathname);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return {
    url: url.href,
    token: token(),
    stream: query.get("stream"),
    mode: (MODES.includes(mode) ? mode : "auto") as ViewMode,
    chrome: query.get("chrome") !== "0",
  };
}

/** The fragment reaches no server and no log; this tab remembers it for a reload without one. */
function token(): string {
  const key = `framewire ${location.pathname}`;
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  try {
    if (given !== null) sessionStorage.setItem(key, given);
    return given ?? sessionStorage.getItem(key) ?? "";
  } catch {
    return given ?? "";
  }
}

class Page {
  private readonly tiles = new Map<string, { readonly view: View; readonly tile: HTMLElement }>();
  private readonly words = make("p", "page-words", "Connecting");

  constructor(
    private readonly root: HTMLElement,
    private readonly asked: Asked,
  ) {
    root.append(this.words);
    connect(asked.url, asked.token).onStatus((status) => this.show(status));
  }

  private show(status: ServerStatus): void {
    const names = status.streams.map((stream) => stream.name);
    // While the server is away its streams are unknown: what is on the page stays.
    if (status.state === "open" || this.tiles.size === 0) this.arrange(this.asked.stream === null ? names : [this.asked.stream], status);
    document.title = this.asked.stream ?? (names.length === 1 ? String(names[0]) : "framewire");
    this.words.textContent = this.tiles.size > 0 ? "" : sentence(status);
    this.words.hidden = this.tiles.size > 0;
    this.root.dataset.state = status.state;
  }

  private arrange(names: readonly string[], status: ServerStatus): void {
    if (status.state !== "open") return;
    for (const [name, { view, tile }] of this.tiles) {
      if (names.includes(name)) continue;
      view.dispose();
      tile.remove();
      this.tiles.delete(name);
    }
    const grid = names.length > 1;
    this.root.classList.toggle("page-grid", grid);
    for (const name of names) if (!this.tiles.has(name)) this.add(name);
    this.root.classList.toggle("page-back", !grid && status.streams.length > 1);
  }

  private add(name: string): void {
    const tile = make("section", "page-tile");
    const frame = make("div", "page-frame");
    tile.append(frame, this.caption(name));
    this.root.append(tile);
    const { url, token, mode, chrome } = this.asked;
    const view = new View(frame, { url, token, stream: name, mode, batteries: chrome, wheel_always: true });
    this.tiles.set(name, { view, tile });
  }

  /** In the grid the name leads to the stream alone; alone, it leads back. */
  private caption(name: string): HTMLElement {
    const link = make("a", "page-caption", this.asked.stream === null ? name : "All streams");
    const query = new URLSearchParams(location.search);
    if (this.asked.stream === null) query.set("stream", name);
    else query.delete("stream");
    link.href = `${location.pathname}?${query.toString()}${location.hash}`;
    return link;
  }
}

function sentence(status: ServerStatus): string {
  if (status.state === "open") return "Connected. Nothing is published yet";
  return status.reason;
}

const root = document.getElementById("framewire");
if (root !== null) new Page(root, asked());
