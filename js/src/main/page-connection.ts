// A page's connection to one server: all views of the page share its worker, socket and peer connection. The last view ends it.
// Must not know what a view looks like.

import { MonotonicClock } from "../core/monotonic-clock";
import type { FrameProof, FromWorker, ServerStatus, ToWorker, ViewStats, ViewStatus } from "../core/ports";
import { ThreadOffset } from "../core/thread-offset";
import type { ViewMode } from "../core/wire";
import { capabilities } from "./capabilities";
import { Peer } from "./peer";
import type { Relay } from "./relay";
import { startThread, type Thread } from "./thread";
import { relayFor } from "./transports";

export interface ViewEvents {
  status(status: ViewStatus): void;
  stats(stats: ViewStats): void;
  proofs(proofs: readonly FrameProof[]): void;
}

export interface ViewStart {
  readonly stream: string;
  readonly mode: ViewMode;
  readonly visible: boolean;
  readonly canvas: HTMLCanvasElement;
  readonly video: HTMLVideoElement;
}

/** What all copies of this code on a page share: a notebook loads one copy for each widget. */
interface Registry {
  readonly connections: Map<string, Connection>;
  readonly views: Set<unknown>;
  next_view: number;
}

declare global {
  var __framewire: Registry | undefined;
}

/** Copies of different versions do not share a connection: their messages between the threads differ. */
const VERSION = 3;
/** The worker has this long to close the socket before it is ended. */
const GOODBYE_MS = 200;
/** The contract's limit of `hello`'s agent. */
const MAX_AGENT_LENGTH = 256;

export function registry(): Registry {
  globalThis.__framewire ??= { connections: new Map(), views: new Set(), next_view: 1 };
  return globalThis.__framewire;
}

/** The page's connection to `url`; each `connect` needs one `release`. */
export function connect(url: string, token: string): Connection {
  const { connections } = registry();
  const key = `${VERSION} ${url} ${token}`;
  const found = connections.get(key) ?? new Connection(url, token, () => connections.delete(key));
  connections.set(key, found);
  found.retain();
  return found;
}

export class Connection {
  private users = 0;
  private thread: Thread | undefined;
  private queued: { readonly message: ToWorker; readonly transfer: Transferable[] }[] = [];
  private ended = false;
  private readonly views = new Map<number, ViewEvents>();
  private readonly captures = new Map<number, (image: Blob | undefined) => void>();
  private next_capture = 1;
  private readonly peer: Peer;
  private readonly relay: Relay | undefined;
  private readonly listeners = new Set<(status: ServerStatus) => void>();
  private readonly clock = new MonotonicClock();
  private readonly worker_offset = new ThreadOffset();
  private last_status: ServerStatus = { state: "connecting", reason: { code: "connecting" }, streams: [] };

  constructor(url: string, token: string, private readonly onEnd: () => void) {
    this.peer = new Peer(
      (event) => this.post(event),
      () => this.now(),
    );
    this.relay = relayFor(url);
    void this.begin(url, token);
  }

  retain(): void {
    this.users += 1;
  }

  release(): void {
    this.users -= 1;
    if (this.users > 0 || this.ended) return;
    this.ended = true;
    this.onEnd();
    this.post({ type: "end" });
    this.peer.close();
    setTimeout(() => this.endThread(), GOODBYE_MS);
  }

  get status(): ServerStatus {
    return this.last_status;
  }

  /** Milliseconds since the Unix epoch, nearly as the worker counts them. */
  now(): number {
    return this.clock.at(performance.timeOrigin + performance.now(), Date.now());
  }

  onStatus(listener: (status: ServerStatus) => void): () => void {
    this.listeners.add(listener);
    listener(this.last_status);
    return () => this.listeners.delete(listener);
  }

  /** Opens a view and returns its number. */
  openView(start: ViewStart, events: ViewEvents): number {
    const { stream, mode, visible, video } = start;
    const view = registry().next_view++;
    this.views.set(view, events);
    this.peer.addView(view, video);
    const canvas = surfaceOf(start.canvas);
    this.post({ type: "canvas", view, canvas }, canvas instanceof HTMLCanvasElement ? [] : [canvas]);
    this.post({ type: "view_open", view, stream, mode, visible });
    return view;
  }

  closeView(view: number): void {
    this.views.delete(view);
    this.peer.removeView(view);
    this.post({ type: "view_close", view });
  }

  post(message: ToWorker, transfer: Transferable[] = []): void {
    if (this.thread === undefined) this.queued.push({ message, transfer });
    else this.thread.post(message, transfer);
  }

  /** The view's canvas as a PNG. */
  capture(view: number): Promise<Blob | undefined> {
    const request = this.next_capture++;
    return new Promise((done) => {
      this.captures.set(request, done);
      this.post({ type: "capture", view, request });
    });
  }

  private setClock(view: number, { time, clock_offset, rtp_ahead_ms }: ViewStats): void {
    this.worker_offset.message(time, this.now());
    this.peer.setClock(view, clock_offset === undefined ? undefined : clock_offset + rtp_ahead_ms - this.worker_offset.ms);
  }

  private async begin(url: string, token: string): Promise<void> {
    const found = await capabilities();
    const thread = await startThread((message) => this.receive(message));
    const port = this.relay?.port;
    const agent = navigator.userAgent.slice(0, MAX_AGENT_LENGTH);
    thread.post({ type: "begin", url, token, agent, capabilities: found, port }, port === undefined ? [] : [port]);
    this.thread = thread;
    for (const { message, transfer } of this.queued) thread.post(message, transfer);
    this.queued = [];
    if (this.ended) setTimeout(() => this.endThread(), GOODBYE_MS);
  }

  private endThread(): void {
    this.thread?.end();
    this.relay?.end();
  }

  private receive(message: FromWorker<Blob>): void {
    if (this.ended) return;
    switch (message.type) {
      case "ready":
        return;
      case "server_status":
        this.last_status = message.status;
        for (const listener of this.listeners) listener(message.status);
        return;
      case "view_status":
        return this.views.get(message.view)?.status(message.status);
      case "view_stats":
        this.setClock(message.view, message.stats);
        return this.views.get(message.view)?.stats(message.stats);
      case "proofs":
        return this.views.get(message.view)?.proofs(message.proofs);
      case "captured":
        this.captures.get(message.request)?.(message.image);
        this.captures.delete(message.request);
        return;
      case "log":
        return console[message.level](message.text);
      default:
        this.peer.execute(message);
    }
  }
}

function surfaceOf(canvas: HTMLCanvasElement): HTMLCanvasElement | OffscreenCanvas {
  return "transferControlToOffscreen" in canvas ? canvas.transferControlToOffscreen() : canvas;
}
