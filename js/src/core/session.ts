// The viewer's state machine: it is fed what happened and when, and returns what to do. One for each socket, for all views of a page.
// Must not know WebSocket, RTCPeerConnection, timers or the DOM: shells feed it and carry out its effects.

import type { Effect, SessionInput, ViewInput } from "./ports";
import { endReason, type Reason } from "./reasons";
import { Reconciler } from "./reconciler";
import { SessionContext, type SessionOptions } from "./session-context";
import { SessionFrames } from "./session-frames";
import { SessionPeer } from "./session-peer";
import { SessionView } from "./session-view";
import { serverStatus } from "./socket-state";
import type { Subscription } from "./subscription";
import { type Ended, type ServerMessage, type Stats, VERSION, type Welcome } from "./wire";

/** A deadline that has passed without anything to do is looked at again after this long. */
const IDLE_MS = 250;

export class Session {
  private readonly context: SessionContext;
  private readonly frames: SessionFrames;
  private readonly peer: SessionPeer;
  private readonly reconciler: Reconciler;
  private wake = Infinity;
  private last_status = "";

  constructor(private readonly options: SessionOptions) {
    this.context = new SessionContext(options);
    this.frames = new SessionFrames(this.context);
    this.peer = new SessionPeer(this.context);
    this.reconciler = new Reconciler(this.context, this.peer);
  }

  /** When to feed a `tick` at the latest. */
  get deadline(): number {
    return this.wake;
  }

  /** The views on whose canvas a unit of this stream is to be painted. */
  targets(stream: number, lossless: boolean): readonly number[] {
    return [...(this.context.carrier(stream, lossless)?.views ?? [])];
  }

  /** Takes one thing that happened at `now` (milliseconds since the Unix epoch); carry out the effects in order. */
  feed(input: SessionInput, now: number): readonly Effect[] {
    this.handle(input, now);
    this.settle(now);
    return this.context.takeEffects();
  }

  private handle(input: SessionInput, now: number): void {
    const { frames } = this;
    switch (input.type) {
      case "start":
        return this.context.emit(this.context.socket.open(now));
      case "stop":
        return this.stop();
      case "tick":
        return;
      case "socket_opened":
        return this.greet(now);
      case "socket_closed":
        this.clearSocket();
        return this.context.socket.closed(input.code, input.reason, input.jitter, now);
      case "message":
        return this.receive(input.message, now);
      case "unit":
        return frames.unit(input.stream, input.lossless, input.frame, now);
      case "painted":
        return frames.painted(input.stream, input.lossless, input.views, input.time_us, now);
      case "repainted":
        return frames.repainted(input.view, now);
      case "dropped":
        return frames.dropped(input.stream, input.lossless);
      case "mismatched":
        return frames.mismatched(input.stream);
      case "keyframe_wanted":
        return frames.keyframeWanted(input.stream, input.lossless, now);
      case "decoder_failed":
        return frames.decoderFailed(input.stream, input.detail, now);
      case "peer_answer":
      case "peer_candidate":
      case "peer_connected":
      case "peer_failed":
      case "peer_progress":
        return this.peer.handle(input, now);
      default:
        return this.handleView(input, now);
    }
  }

  private greet(now: number): void {
    this.context.socket.opened(now);
    const { token, agent, capabilities } = this.options;
    const { codecs, webcodecs, repair } = capabilities;
    this.context.send({ type: "hello", version: VERSION, token, codecs, webcodecs, ...(repair?.length && { repair }), agent });
  }

  private stop(): void {
    this.context.socket.stop();
    this.clearSocket();
    this.context.views.clear();
    this.context.emit({ type: "disconnect", code: 1000, reason: "" });
  }

  /** Subscriptions, peer and streams belong to one socket: the next socket begins without them. */
  private clearSocket(): void {
    this.context.subs.clear();
    for (const view of this.context.views.values()) view.disconnected();
    this.context.streams.replace([]);
    this.peer.close();
  }

  private receive(message: ServerMessage, now: number): void {
    this.context.socket.received(now);
    switch (message.type) {
      case "welcome":
        return this.welcomed(message);
      case "streams":
        this.context.streams.replace(message.streams);
        return this.context.socket.listed(now);
      case "offer":
        return this.peer.offered(message, now);
      case "ended":
        return this.ended(message, now);
      case "stats":
        return this.reported(message, now);
      default:
        message satisfies never;
    }
  }

  private welcomed(message: Welcome): void {
    if (this.context.welcome?.epoch !== message.epoch) this.context.resetEngine();
    this.context.welcome = message;
  }

  private ended(message: Ended, now: number): void {
    const sub = this.context.subs.get(message.sub);
    if (sub === undefined) return;
    this.context.subs.delete(sub);
    if (message.reason === "no_such_stream" || message.reason === "stream_closed") return this.context.streams.end(sub.stream);
    const why = endReason(message);
    for (const view of this.context.viewsOf(sub)) {
      if (sub.mode === "lossless") view.refused(why, now);
      else view.plan.failed(sub.mode, why, message.reason === "no_codec", now);
    }
  }

  /** The server's answer to a report. */
  private reported(message: Stats, now: number): void {
    const { subs, clock } = this.context;
    const sub = subs.get(message.sub);
    if (sub === undefined) return;
    clock.echo(message.echo, message.time, now);
    sub.stats = message;
    sub.codec = message.codec ?? sub.codec;
    const times = sub.sentTimes(clock, now);
    for (const view of this.context.viewsOf(sub)) {
      view.plan.sent(sub.mode, times, message.published_fps, message.rested_ms ?? 0, now);
      if (view.shows(sub)) this.context.emit({ type: "view_stats", view: view.id, stats: view.statsOf(sub, clock, now) });
    }
  }

  private handleView(input: ViewInput, now: number): void {
    const { views, retries } = this.context;
    if (input.type === "view_open") {
      const { view, stream, mode, visible } = input;
      views.set(view, new SessionView(view, stream, mode, visible, this.options.capabilities, retries));
      return;
    }
    const view = views.get(input.view);
    if (view === undefined) return;
    switch (input.type) {
      case "view_close":
        views.delete(input.view);
        return;
      case "view_mode":
        return view.setMode(input.mode, now);
      case "view_stream":
        return view.setStream(input.stream);
      case "view_visible":
        return view.setVisible(input.visible, now);
      case "view_input":
        return view.queue(input.event, now);
      default:
        input satisfies never;
    }
  }

  /** After every input: socket, subscriptions, peer and statuses follow what the views need by now. */
  private settle(now: number): void {
    const { socket, subs, views } = this.context;
    const command = socket.tick(subs.all.length > 0, now);
    if (command !== undefined) this.context.emit(command);
    for (const view of views.values()) this.settleView(view, now);
    if (socket.phase === "ready") this.reconciler.run(now);
    this.peer.attach();
    for (const sub of subs.all) this.settleSub(sub, now);
    for (const view of views.values()) this.flushView(view, now);
    this.emitServerStatus(now);
    this.wake = this.nextWake(now);
  }

  private settleView(view: SessionView, now: number): void {
    const missing = this.missingFor(view, now);
    if (missing === undefined) view.begin(this.context.streams.get(view.stream)?.id, now);
    else view.plan.pause(missing);
    view.plan.tick(now);
  }

  /** What a view needs before it can subscribe to anything. */
  private missingFor({ stream }: SessionView, now: number): Reason | undefined {
    const { socket, streams } = this.context;
    if (socket.phase !== "ready") return socket.reason(now);
    if (streams.has(stream)) return undefined;
    return streams.all.length === 0 ? { code: "no_stream" } : { code: "stream_missing", detail: stream };
  }

  private settleSub(sub: Subscription, now: number): void {
    sub.setVisible(this.context.viewsOf(sub).some((view) => view.visible), now);
    const report = sub.reportIfDue(now);
    if (report !== undefined) this.context.send(report);
  }

  private flushView(view: SessionView, now: number): void {
    const { subs, socket, streams } = this.context;
    const sub = subs.ofView(view.id, view.plan.showing);
    const events = view.flush(sub !== undefined, now);
    if (sub !== undefined) for (const event of events) this.context.send({ type: "input", sub: sub.sub, event });
    const status = view.statusIfNew(socket, sub, streams.get(view.stream));
    if (status !== undefined) this.context.emit({ type: "view_status", view: view.id, status });
  }

  private emitServerStatus(now: number): void {
    const status = serverStatus(this.context.socket, this.context.streams.all, now);
    const text = JSON.stringify(status);
    if (text === this.last_status) return;
    this.last_status = text;
    this.context.emit({ type: "server_status", status });
  }

  private nextWake(now: number): number {
    const marks = [this.context.socket.deadline, ...this.context.subs.all.map((sub) => sub.deadline)];
    for (const view of this.context.views.values()) marks.push(view.plan.deadline, view.deadline);
    return Math.min(...marks.map((at) => (at <= now ? now + IDLE_MS : at)));
  }
}
