// The viewer's machine: told what happened and when, it says what to do. One for each socket, for all views of a page.
// Must not know WebSocket, RTCPeerConnection, timers or the DOM: it is fed, and its effects are carried out elsewhere.

import { Clock } from "./clock";
import { Path } from "./path";
import type { Capabilities } from "./plan";
import type { Effect, PeerEvent, SessionInput, ViewInput } from "./ports";
import { Socket } from "./socket";
import { Subscription } from "./subscription";
import { View } from "./viewing";
import { type Codec, type Ended, type Mode, type Offer, type ServerMessage, type Stats, type StreamInfo, VERSION, type Welcome } from "./wire";

export interface SessionOptions {
  readonly token: string;
  readonly agent: string;
  readonly able: Capabilities;
}

/** A deadline that has passed without anything to do is looked at again after so long. */
const IDLE_MS = 250;

const keyOf = (stream: string, mode: Mode, codec: Codec | undefined): string => `${mode} ${codec ?? ""} ${stream}`;

export class Session {
  private readonly socket = new Socket();
  private readonly clock = new Clock();
  private readonly path = new Path();
  private readonly views = new Map<number, View>();
  private readonly subs = new Map<number, Subscription>();
  private readonly streams = new Map<string, StreamInfo>();
  /** Streams that ended while still listed: the next list decides. */
  private readonly gone = new Set<string>();
  /** Which of the viewer's WebCodecs codecs a stream is at; all its views share the one subscription. */
  private readonly coded = new Map<string, number>();
  private welcome: Welcome | undefined;
  private peer = { id: 0, open: false, connected: false };
  private attached = new Map<number, string>();
  private next_sub = 1;
  private out: Effect[] = [];
  private wake = Infinity;
  private said = "";

  constructor(private readonly options: SessionOptions) {}

  /** When to feed a `tick` at the latest. */
  get deadline(): number {
    return this.wake;
  }

  /** The views on whose canvas a unit of this stream is to be painted. */
  targets(stream: number, lossless: boolean): readonly number[] {
    const sub = this.subOfUnit(stream, lossless);
    return sub === undefined ? [] : [...sub.views];
  }

  feed(input: SessionInput, now: number): readonly Effect[] {
    this.out = [];
    this.handle(input, now);
    this.settle(now);
    return this.out;
  }

  private handle(input: SessionInput, now: number): void {
    switch (input.type) {
      case "start":
        this.out.push(this.socket.open(now));
        return;
      case "stop":
        return this.stop();
      case "tick":
        return;
      case "socket_opened":
        return this.greet(now);
      case "socket_closed":
        return this.lost(input.code, input.reason, input.jitter, now);
      case "message":
        return this.hear(input.message, now);
      case "unit":
        return this.receive(input.stream, input.lossless, input.frame, now);
      case "painted":
        return this.paint(input.stream, input.lossless, input.views, input.time_us, now);
      case "repainted":
        this.views.get(input.view)?.plan.progress("lossless", 0, 1, now);
        return;
      case "dropped":
        return this.count(input.stream, input.lossless, "dropped");
      case "mismatched":
        return this.count(input.stream, true, "mismatched");
      case "keyframe_wanted":
        this.subOfUnit(input.stream, false)?.wantKeyframe(now);
        return;
      case "decoder_failed":
        return this.decoderFailed(input.stream, input.detail, now);
      default:
        return input.type.startsWith("view_") ? this.handleView(input as ViewInput, now) : this.handlePeer(input as PeerEvent, now);
    }
  }

  // The socket

  private greet(now: number): void {
    this.socket.opened(now);
    const { token, agent, able } = this.options;
    this.send({ type: "hello", version: VERSION, token, codecs: able.codecs, webcodecs: able.webcodecs, agent });
  }

  private lost(code: number, reason: string, jitter: number, now: number): void {
    this.forget();
    this.socket.closed(code, reason, jitter, now);
  }

  private stop(): void {
    this.socket.stop();
    this.forget();
    this.views.clear();
    this.out.push({ type: "disconnect", code: 1000, reason: "" });
  }

  /** Nothing of a socket outlives it: subscriptions, peer and streams begin anew on the next. */
  private forget(): void {
    this.subs.clear();
    this.streams.clear();
    this.gone.clear();
    this.closePeer();
    this.next_sub = 1;
    this.peer.id = 0;
  }

  private hear(message: ServerMessage, now: number): void {
    this.socket.heard(now);
    switch (message.type) {
      case "welcome":
        return this.welcomed(message, now);
      case "streams":
        return this.listed(message.streams);
      case "offer":
        return this.offered(message, now);
      case "ended":
        return this.ended(message, now);
      case "stats":
        return this.told(message, now);
      default:
        message satisfies never;
    }
  }

  private welcomed(message: Welcome, now: number): void {
    if (this.welcome?.epoch !== message.epoch) {
      this.path.clear();
      this.clock.clear();
      this.coded.clear();
    }
    this.welcome = message;
    this.socket.welcomed(now);
  }

  private listed(streams: readonly StreamInfo[]): void {
    this.streams.clear();
    this.gone.clear();
    for (const stream of streams) this.streams.set(stream.name, stream);
  }

  // Subscriptions

  private ended(message: Ended, now: number): void {
    const sub = this.subs.get(message.sub);
    if (sub === undefined) return;
    this.subs.delete(message.sub);
    if (message.reason === "no_such_stream" || message.reason === "stream_closed") {
      this.gone.add(sub.stream);
      return;
    }
    const why = `${message.detail ?? END_SENTENCES[message.reason]} → WebSocket`;
    for (const view of this.viewsOf(sub)) view.plan.failed(sub.mode, why, message.reason === "no_codec", now);
    if (sub.mode === "lossless") for (const view of this.viewsOf(sub)) view.rest(message.detail ?? END_SENTENCES[message.reason], now);
  }

  private told(message: Stats, now: number): void {
    const sub = this.subs.get(message.sub);
    if (sub === undefined) return;
    this.clock.echo(message.echo, message.time, now);
    sub.stats = message;
    sub.codec = message.codec ?? sub.codec;
    const times = this.sentTimes(message, sub, now);
    for (const view of this.viewsOf(sub)) {
      view.plan.sent(sub.mode, times, message.published_fps, now);
      if (view.shows(sub)) this.out.push({ type: "view_stats", view: view.id, stats: view.statsOf(sub, this.clock, now) });
    }
  }

  /** Publish times of the units the server sent lately, by this clock, less what this clock may be wrong. */
  private sentTimes(message: Stats, sub: Subscription, now: number): readonly number[] {
    const slack = this.clock.offset + this.clock.error + SLACK_MS;
    if (message.frames.length > 0) return message.frames.map((mark) => mark.time - slack);
    return sub.mode === "webrtc" && message.sent_fps > 1 && message.published_fps > 1 ? [now - SLACK_MS] : [];
  }

  private receive(stream: number, lossless: boolean, frame: number, now: number): void {
    this.socket.heard(now);
    const sub = this.subOfUnit(stream, lossless);
    if (sub === undefined) return;
    sub.received += 1;
    // The credit goes back on receipt: a hidden tab does not paint, and must not starve.
    this.send({ type: "ack", sub: sub.sub, frame });
  }

  private paint(stream: number, lossless: boolean, views: readonly number[], time_us: number, now: number): void {
    const sub = this.subOfUnit(stream, lossless);
    if (sub === undefined) return;
    sub.paintedOne(this.clock.known ? now + this.clock.offset - time_us / 1000 : undefined, now);
    if (lossless) sub.exact += 1;
    for (const id of views) this.views.get(id)?.plan.progress(sub.mode, 1, 1, now);
  }

  private count(stream: number, lossless: boolean, what: "dropped" | "mismatched"): void {
    const sub = this.subOfUnit(stream, lossless);
    if (sub !== undefined) sub[what] += 1;
  }

  private decoderFailed(stream: number, detail: string, now: number): void {
    const sub = this.subOfUnit(stream, false);
    if (sub === undefined) return;
    const next = (this.coded.get(sub.stream) ?? 0) + 1;
    if (next < this.options.able.webcodecs.length) this.coded.set(sub.stream, next);
    else for (const view of this.viewsOf(sub)) view.plan.failed("webcodecs", `The video decoder failed (${detail})`, true, now);
  }

  private subOfUnit(stream: number, lossless: boolean): Subscription | undefined {
    for (const sub of this.subs.values()) {
      if (sub.mode === (lossless ? "lossless" : "webcodecs") && this.streams.get(sub.stream)?.id === stream) return sub;
    }
    return undefined;
  }

  private viewsOf(sub: Subscription): readonly View[] {
    return [...sub.views].flatMap((id) => this.views.get(id) ?? []);
  }

  // Views

  private handleView(input: ViewInput, now: number): void {
    if (input.type === "view_open") {
      const { view, stream, mode, visible } = input;
      this.views.set(view, new View(view, stream, mode, visible, this.options.able, this.path));
      return;
    }
    const view = this.views.get(input.view);
    if (view === undefined) return;
    switch (input.type) {
      case "view_close":
        this.views.delete(input.view);
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

  // The peer

  private offered(message: Offer, now: number): void {
    if (message.peer !== this.peer.id) this.peer = { id: message.peer, open: true, connected: false };
    const { peer, offer, sdp } = message;
    this.out.push({ type: "peer_offer", peer, offer, sdp, ice_servers: this.welcome?.ice_servers ?? [] });
    for (const track of message.tracks) this.carried(track.sub, track.mid, track.codec, now);
  }

  private carried(id: number, mid: string, codec: Codec, now: number): void {
    const sub = this.subs.get(id);
    if (sub === undefined) return;
    sub.mid = mid;
    sub.codec = codec;
    for (const view of this.viewsOf(sub)) {
      view.plan.offered(now);
      if (this.peer.connected) view.plan.connected(now);
    }
  }

  private handlePeer(input: PeerEvent, now: number): void {
    if (input.peer !== this.peer.id || !this.peer.open) return;
    switch (input.type) {
      case "peer_answer":
        return this.send({ type: "answer", peer: input.peer, offer: input.offer, sdp: input.sdp });
      case "peer_candidate":
        return this.send({ type: "candidate", peer: input.peer, candidate: input.candidate, sdp_mid: input.sdp_mid });
      case "peer_connected":
        this.peer.connected = true;
        for (const sub of this.videos()) for (const view of this.viewsOf(sub)) view.plan.connected(now);
        return;
      case "peer_failed":
        for (const sub of this.videos()) for (const view of this.viewsOf(sub)) view.plan.failed("webrtc", `${input.detail} → WebSocket`, false, now);
        return;
      case "peer_progress":
        for (const video of input.videos) this.watched(video, now);
        return;
      default:
        input satisfies never;
    }
  }

  private watched(video: Extract<PeerEvent, { type: "peer_progress" }>["videos"][number], now: number): void {
    const sub = this.videos().find((one) => one.mid === video.mid);
    if (sub === undefined) return;
    const most = Math.max(0, ...video.views.map((one) => one.painted));
    sub.watched(video.decoded, most, video.dropped, video.fps, video.latency_ms, now);
    for (const view of this.viewsOf(sub)) {
      const painted = video.views.find((one) => one.view === view.id)?.painted ?? 0;
      view.plan.progress("webrtc", video.decoded, painted, now);
    }
  }

  private videos(): readonly Subscription[] {
    return [...this.subs.values()].filter((sub) => sub.mode === "webrtc");
  }

  private closePeer(): void {
    if (this.peer.open) this.out.push({ type: "peer_close", peer: this.peer.id });
    this.peer.open = false;
    this.peer.connected = false;
    this.attached.clear();
  }

  // After every input: what the views want now is made so

  private settle(now: number): void {
    const command = this.socket.tick(this.subs.size > 0, now);
    if (command !== undefined) this.out.push(command);
    for (const view of this.views.values()) this.settleView(view, now);
    if (this.socket.phase === "ready") this.reconcile(now);
    this.attach();
    for (const sub of this.subs.values()) this.settleSub(sub, now);
    for (const view of this.views.values()) this.flush(view, now);
    this.tellServer(now);
    this.wake = this.nextWake(now);
  }

  private settleView(view: View, now: number): void {
    const listed = this.streams.has(view.stream) && !this.gone.has(view.stream);
    if (this.socket.phase !== "ready") view.plan.pause(this.socket.sentence(now));
    else if (!listed) view.plan.pause(this.streams.size === 0 ? "No stream yet" : `Stream "${view.stream}" is not there`);
    else view.begin(now);
    view.plan.tick(now);
  }

  private reconcile(now: number): void {
    const wanted = new Map<string, { readonly stream: string; readonly mode: Mode; readonly codec: Codec | undefined; readonly views: number[] }>();
    for (const view of this.views.values()) {
      for (const want of view.plan.wants) {
        const codec = want.mode === "webcodecs" ? this.options.able.webcodecs[this.coded.get(view.stream) ?? 0] : want.codec;
        const key = keyOf(view.stream, want.mode, codec);
        const entry = wanted.get(key) ?? { stream: view.stream, mode: want.mode, codec, views: [] };
        entry.views.push(view.id);
        wanted.set(key, entry);
      }
    }
    this.dropUnwanted(new Set(wanted.keys()));
    for (const [key, { stream, mode, codec, views }] of wanted) {
      const live = [...this.subs.values()].find((sub) => keyOf(sub.stream, sub.mode, sub.asked) === key);
      this.share(live ?? this.subscribe(stream, mode, codec, now), views, now);
    }
    if (this.peer.open && this.videos().length === 0) this.closePeer();
  }

  private dropUnwanted(wanted: ReadonlySet<string>): void {
    for (const sub of [...this.subs.values()]) {
      if (wanted.has(keyOf(sub.stream, sub.mode, sub.asked))) continue;
      this.subs.delete(sub.sub);
      this.send({ type: "unsubscribe", sub: sub.sub });
    }
  }

  private subscribe(stream: string, mode: Mode, codec: Codec | undefined, now: number): Subscription {
    const sub = new Subscription(this.next_sub++, stream, mode, codec, now);
    this.subs.set(sub.sub, sub);
    this.send({ type: "subscribe", sub: sub.sub, stream, mode, ...(codec === undefined ? {} : { codec }) });
    const id = this.streams.get(stream)?.id;
    if (mode === "webcodecs" && id !== undefined) this.out.push({ type: "decoder_reset", stream: id });
    return sub;
  }

  private share(sub: Subscription, views: readonly number[], now: number): void {
    const joined = views.filter((id) => !sub.views.has(id));
    sub.views.clear();
    for (const id of views) sub.views.add(id);
    this.welcomeLate(sub, joined, now);
    if (sub.mid === undefined) return;
    for (const id of joined) {
      this.views.get(id)?.plan.offered(now);
      if (this.peer.connected) this.views.get(id)?.plan.connected(now);
    }
  }

  /** Who joins a subscription that has pictures already must not wait for the next: the scene may be still. */
  private welcomeLate(sub: Subscription, joined: readonly number[], now: number): void {
    const stream = this.streams.get(sub.stream)?.id;
    if (sub.received === 0 || joined.length === 0 || stream === undefined) return;
    if (sub.mode === "webcodecs") sub.wantKeyframe(now);
    if (sub.mode === "lossless") for (const view of joined) this.out.push({ type: "repaint", view, stream });
  }

  /** Which view shows which media section, told to the main thread only where it changes. */
  private attach(): void {
    const wanted = new Map<number, string>();
    for (const sub of this.videos()) if (sub.mid !== undefined) for (const view of sub.views) wanted.set(view, sub.mid);
    for (const view of this.attached.keys()) if (!wanted.has(view)) this.out.push({ type: "peer_detach", view });
    for (const [view, mid] of wanted) {
      if (this.attached.get(view) !== mid) this.out.push({ type: "peer_attach", peer: this.peer.id, mid, view });
    }
    this.attached = wanted;
  }

  private settleSub(sub: Subscription, now: number): void {
    sub.setVisible(this.viewsOf(sub).some((view) => view.visible), now);
    const report = sub.reportIfDue(now);
    if (report !== undefined) this.send(report);
  }

  private flush(view: View, now: number): void {
    const sub = [...this.subs.values()].find((one) => view.shows(one)) ?? [...this.subs.values()].find((one) => one.views.has(view.id));
    for (const event of view.flush(now)) if (sub !== undefined) this.send({ type: "input", sub: sub.sub, event });
    const status = view.statusIfNew(this.socket, sub, this.streams);
    if (status !== undefined) this.out.push({ type: "view_status", view: view.id, status });
  }

  private tellServer(now: number): void {
    const { phase, lost } = this.socket;
    const down = lost ? "reconnecting" : "connecting";
    const state = phase === "ready" ? "open" : phase === "failed" ? "error" : down;
    const status = { state, reason: phase === "ready" ? "" : this.socket.sentence(now), streams: [...this.streams.values()] } as const;
    const said = JSON.stringify(status);
    if (said === this.said) return;
    this.said = said;
    this.out.push({ type: "server_status", status });
  }

  private nextWake(now: number): number {
    const soon = (at: number): number => (at <= now ? now + IDLE_MS : at);
    const marks = [soon(this.socket.deadline)];
    for (const sub of this.subs.values()) marks.push(soon(sub.deadline));
    for (const view of this.views.values()) marks.push(soon(view.plan.deadline), soon(view.deadline));
    return Math.min(...marks);
  }

  private send(message: Extract<Effect, { type: "send" }>["message"]): void {
    this.out.push({ type: "send", message });
  }
}

const SLACK_MS = 50;

const END_SENTENCES: Readonly<Record<Ended["reason"], string>> = {
  no_such_stream: "There is no such stream",
  stream_closed: "The stream was closed",
  no_codec: "Server and browser share no video codec",
  peer_failed: "The WebRTC connection failed",
  limits: "The server has no room for more viewers",
  internal: "The server failed at this stream",
};
