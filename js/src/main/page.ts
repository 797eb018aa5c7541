// The stand-alone page: its address names server, token and stream. One stream fills the window, several make a grid.
// Must not know how a view works.

import { tokenOf } from "../core/address";
import { isViewMode } from "../core/hud";
import type { ServerStatus } from "../core/ports";
import { sentence } from "../core/reasons";
import type { ViewMode } from "../core/wire";
import { make } from "./dom";
import { connect } from "./page-connection";
import { View } from "./view";

interface Address {
  readonly url: string;
  readonly token: string;
  readonly stream: string | null;
  readonly mode: ViewMode;
  readonly chrome: boolean;
}

function readAddress(): Address {
  const query = new URLSearchParams(location.search);
  const mode = query.get("mode") ?? "auto";
  const url = new URL("ws", location.origin + location.pathname);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return {
    url: url.href,
    token: token(),
    stream: query.get("stream"),
    mode: isViewMode(mode) ? mode : "auto",
    chrome: query.get("chrome") !== "0",
  };
}

/** A fragment is sent to no server and written to no log. The tab keeps the token for a reload without the fragment. */
function token(): string {
  const key = `framewire ${location.pathname}`;
  const given = tokenOf(location.hash);
  try {
    if (given !== null) sessionStorage.setItem(key, given);
    return given ?? sessionStorage.getItem(key) ?? "";
  } catch {
    return given ?? "";
  }
}

class Page {
  private readonly tiles = new Map<string, { readonly view: View; readonly tile: HTMLElement }>();
  private readonly message = make("p", "page-message", "Connecting");

  constructor(
    private readonly root: HTMLElement,
    private readonly address: Address,
  ) {
    root.append(this.message);
    connect(address.url, address.token).onStatus((status) => this.show(status));
  }

  private show(status: ServerStatus): void {
    const names = status.streams.map((stream) => stream.name);
    // While the server is out of reach, its streams are unknown: the page keeps what it shows.
    if (status.state === "open" || this.tiles.size === 0) this.arrange(this.address.stream === null ? names : [this.address.stream], status);
    document.title = titleOf(status.streams, this.address.stream);
    this.message.textContent = this.tiles.size > 0 ? "" : messageOf(status);
    this.message.hidden = this.tiles.size > 0;
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
    const { url, token, mode, chrome } = this.address;
    const view = new View(frame, { url, token, stream: name, mode, batteries: chrome, wheel_always: true });
    this.tiles.set(name, { view, tile });
  }

  /** In the grid, the caption is a link to the stream alone; on a stream alone, it is a link back. */
  private caption(name: string): HTMLElement {
    const link = make("a", "page-caption", this.address.stream === null ? name : "All streams");
    const query = new URLSearchParams(location.search);
    if (this.address.stream === null) query.set("stream", name);
    else query.delete("stream");
    link.href = `${location.pathname}?${query.toString()}${location.hash}`;
    return link;
  }
}

/** The title of the one stream that the page shows; the page's own where it shows several. */
function titleOf(streams: ServerStatus["streams"], name: string | null): string {
  const shown = name === null ? streams : streams.filter((stream) => stream.name === name);
  const [only] = shown.length === 1 ? shown : [];
  return only?.title ?? only?.name ?? name ?? "framewire";
}

function messageOf({ reason }: ServerStatus): string {
  return sentence(reason ?? { code: "no_stream" });
}

const root = document.getElementById("framewire");
if (root !== null) new Page(root, readAddress());
