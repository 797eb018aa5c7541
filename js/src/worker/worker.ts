// Owns the WebSocket and the timers: feeds the session, and carries out what it says.
// Must not know the DOM; runs in a worker, or on the main thread of a page that allows none.

import type { Effect, FromWorker, SessionInput, ToWorker } from "../core/ports";
import { Session } from "../core/session";
import { Steady } from "../core/steady";
import { decode, encode, WireError } from "../core/wire";
import { Frames } from "./frames";
import type { CanvasLike } from "./painter";

type Post = (message: FromWorker<Blob>) => void;

/** Timers that fire a little early would find nothing due. */
const GRACE_MS = 1;

export function run(post: Post): (message: ToWorker<CanvasLike>) => void {
  const engine = new Engine(post);
  post({ type: "ready" });
  return (message) => engine.take(message);
}

class Engine {
  private session: Session | undefined;
  private url = "";
  private socket: WebSocket | undefined;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private timer_at = Infinity;
  private readonly frames: Frames;
  private readonly steady = new Steady();

  constructor(private readonly post: Post) {
    this.frames = new Frames({
      feed: (input) => this.feed(input),
      targets: (stream, lossless) => this.session?.targets(stream, lossless) ?? [],
      post,
    });
  }

  take(message: ToWorker<CanvasLike>): void {
    switch (message.type) {
      case "begin":
        this.url = message.url;
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

  private feed(input: SessionInput): void {
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
        return this.disconnect(effect.code, effect.reason);
      case "send":
        if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(encode(effect.message));
        return;
      case "repaint":
        return this.frames.repaint(effect.view, effect.stream);
      case "decoder_reset":
        return this.frames.resetDecoder(effect.stream);
      default:
        this.post(effect);
    }
  }

  private connect(): void {
    const socket = new WebSocket(this.url);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    this.frames.clear();
    const mine = (): boolean => this.socket === socket;
    socket.onopen = () => mine() && this.feed({ type: "socket_opened" });
    socket.onmessage = ({ data }: MessageEvent<string | ArrayBuffer>) => mine() && this.receive(data);
    socket.onclose = ({ code, reason }) => mine() && this.closed(code, reason);
  }

  private receive(data: string | ArrayBuffer): void {
    try {
      if (typeof data === "string") this.feed({ type: "message", message: decode(data) });
      else this.frames.receive(new Uint8Array(data));
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.post({ type: "log", level: "warn", text: `framewire: ${error.message}` });
      this.disconnect(error.code, error.message.slice(0, 100));
    }
  }

  private closed(code: number, reason: string): void {
    this.socket = undefined;
    this.feed({ type: "socket_closed", code, reason, jitter: Math.random() });
  }

  /** A dead network never answers a close: the session is told at once, and the old socket is left to its fate. */
  private disconnect(code: number, reason: string): void {
    const { socket } = this;
    this.socket = undefined;
    socket?.close(code, reason);
    if (socket !== undefined) this.feed({ type: "socket_closed", code, reason, jitter: Math.random() });
  }

  private arm(at: number): void {
    if (this.timer !== undefined && at >= this.timer_at) return;
    clearTimeout(this.timer);
    this.timer_at = at;
    if (at === Infinity) return;
    this.timer = setTimeout(() => this.wake(), Math.max(0, at - this.now()) + GRACE_MS);
  }

  private wake(): void {
    this.timer = undefined;
    this.timer_at = Infinity;
    this.feed({ type: "tick" });
  }

  private now(): number {
    return this.steady.at(performance.timeOrigin + performance.now(), Date.now());
  }
}
