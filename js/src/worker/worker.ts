// The worker: owns the transport to the server and the timers, feeds the session, and carries out its effects.
// Must not know the DOM; runs in a worker, or on the main thread of a page that allows none.

import { MonotonicClock } from "../core/monotonic-clock";
import type { Effect, FromWorker, SessionInput, ToWorker } from "../core/ports";
import { Session } from "../core/session";
import type { OpenTransport, Transport } from "../core/transport";
import { decode, encode, WireError } from "../core/wire";
import { Frames } from "./frames";
import type { CanvasLike } from "./painter";
import { portTransport } from "./port";
import { openTransport } from "./transports";

type Post = (message: FromWorker<Blob>) => void;
type Take = (message: ToWorker<CanvasLike, MessagePort>) => void;

/** Timers fire this much after the deadline: one that fires early finds nothing due. */
const TIMER_MARGIN_MS = 1;
/** A close reason is at most 123 bytes of UTF-8 (RFC 6455 §5.5). */
const MAX_REASON_LENGTH = 100;

/** Starts the worker's program and returns what takes the main thread's messages. `open`: for tests. */
export function run(post: Post, open: OpenTransport = openTransport): Take {
  const program = new WorkerProgram(post, open);
  post({ type: "ready" });
  return (message) => program.take(message);
}

class WorkerProgram {
  private session: Session | undefined;
  private url = "";
  private transport: Transport | undefined;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private timer_at = Infinity;
  private readonly inputs: SessionInput[] = [];
  private feeding = false;
  private readonly frames: Frames;
  private readonly clock = new MonotonicClock();

  constructor(
    private readonly post: Post,
    private open: OpenTransport,
  ) {
    this.frames = new Frames({
      feed: (input) => this.feed(input),
      targets: (stream, lossless) => this.session?.targets(stream, lossless) ?? [],
      post,
    });
  }

  take(message: Parameters<Take>[0]): void {
    switch (message.type) {
      case "begin":
        this.url = message.url;
        if (message.port !== undefined) this.open = portTransport(message.port);
        this.session = new Session(message);
        return this.feed({ type: "start" });
      case "end":
        this.feed({ type: "stop" });
        clearTimeout(this.timer);
        return;
      case "canvas":
        return this.frames.addCanvas(message.view, message.canvas);
      case "capture":
        void this.frames.capture(message.view, message.request);
        return;
      case "view_close":
        this.frames.removeCanvas(message.view);
        return this.feed(message);
      case "view_stream":
        this.frames.restart(message.view);
        return this.feed(message);
      default:
        return this.feed(message);
    }
  }

  /** An effect may be followed by an input at once, as a transport that is closed says so: that one waits for the effects before it. */
  private feed(input: SessionInput): void {
    this.inputs.push(input);
    if (this.feeding) return;
    this.feeding = true;
    try {
      for (let next = this.inputs.shift(); next !== undefined; next = this.inputs.shift()) this.feedNow(next);
    } finally {
      this.feeding = false;
    }
  }

  private feedNow(input: SessionInput): void {
    const { session } = this;
    if (session === undefined) return;
    for (const effect of session.feed(input, this.now())) this.execute(effect);
    this.arm(session.deadline);
  }

  private execute(effect: Effect): void {
    switch (effect.type) {
      case "connect":
        return this.connect();
      case "disconnect":
        return this.transport?.close(effect.code, effect.reason);
      case "send":
        return this.transport?.send(encode(effect.message));
      case "repaint":
        return this.frames.repaint(effect.view, effect.stream);
      case "decoder_reset":
        return this.frames.resetDecoder(effect.stream);
      default:
        this.post(effect);
    }
  }

  private connect(): void {
    this.frames.clear();
    const transport = this.open(this.url, {
      opened: () => this.feed({ type: "socket_opened" }),
      message: (data) => this.receive(data),
      closed: (code, reason) => {
        if (this.transport === transport) this.transport = undefined;
        this.feed({ type: "socket_closed", code, reason, jitter: Math.random() });
      },
    });
    this.transport = transport;
  }

  private receive(data: string | Uint8Array): void {
    try {
      if (typeof data === "string") this.feed({ type: "message", message: decode(data) });
      else this.frames.receive(data);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.post({ type: "log", level: "warn", text: `framewire: ${error.message}` });
      this.transport?.close(error.code, error.message.slice(0, MAX_REASON_LENGTH));
    }
  }

  private arm(at: number): void {
    if (this.timer !== undefined && at >= this.timer_at) return;
    clearTimeout(this.timer);
    this.timer_at = at;
    if (at === Infinity) return;
    this.timer = setTimeout(() => this.wake(), Math.max(0, at - this.now()) + TIMER_MARGIN_MS);
  }

  private wake(): void {
    this.timer = undefined;
    this.timer_at = Infinity;
    this.feed({ type: "tick" });
  }

  private now(): number {
    return this.clock.at(performance.timeOrigin + performance.now(), Date.now());
  }
}
