// The viewer's machine: told what happened and when, it says what to do. One for each socket, for all views of a page.
// Must not know WebSocket, RTCPeerConnection, timers or the DOM: it is fed, and its effects are carried out elsewhere.

import { Clock } from "./clock";
import { Path } from "./path";
import { Peering } from "./peering";
import type { Capabilities } from "./plan";
import type { Effect, PeerEvent, SessionInput, VideoProgress, ViewInput } from "./ports";
import { serverStatus, Socket } from "./socket";
import { Streams } from "./streams";
import { endSentence, type Subscription } from "./subscription";
import { gather, Subscriptions, type Wanted } from "./subscriptions";
import { View } from "./viewing";
import { type Codec, type Ended, type Offer, type ServerMessage, type Stats, VERSION, type ViewerMessage, type Welcome } from "./wire";

export interface SessionOptions {
  readonly token: string;
  readonly agent: string;
  readonly able: Capabilities;
}

/** A deadline that has passed without anything to do is looked at again after so long. */
const IDLE_MS = 250;

export class Session {
  private readonly socket = new Socket();
  private readonly clock = new Clock();
  private readonly path = new Path();
  private readonly peering = new Peering();
  private readonly subs = new Subscriptions();
  private readonly views = new Map<number, View>();
  private readonly streams = new Streams();
  /** Which of the viewer's WebCodecs codecs a stream is at; all its views share the one subscription. The first is the server's choice. */
  private readonly coded = new Map<string, number>();
  private welcome: Welcome | undefined;
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
    return [...(this.carrier(stream, lossless)?.views ?? [])];
  }

  /** Takes one thing that happened at `now` (milliseconds since the Unix epoch); carry out the effects in order. */
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
        this.forget();
        return this.socket.closed(input.code, input.reason, input.jitter, now);
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
        return this.dropped(input.stream, input.lossless);
      case "mismatched":
        return this.mismatched(input.stream);
      case "keyframe_wanted":
        this.carrier(input.stream, input.lossless)?.wantKeyframe(now);
        return;
      case "decoder_failed":
        return this.decoderFailed(input.stream, input.detail, now);
      case "peer_answer":
      case "peer_candidate":
      case "peer_connected":
      case "peer_failed":
      case "peer_progress":
        return this.handlePeer(input, now);
      default:
        return this.handleView(input, now);
    }
  }

  private greet(now: number): void {
    this.socket.opened(now);
    const { token, agent, able } = this.options;
    this.send({ type: "hello", version: VERSION, token, codecs: able.codecs, webcodecs: able.webcodecs, ...(able.repair?.length && { repair: able.repair }), agent });
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
    this.streams.list([]);
    this.out.push(...this.peering.close());
  }

  private hear(message: ServerMessage, now: number): void {
    this.socket.heard(now);
    switch (message.type) {
      case "welcome":
        return this.welcomed(message);
      case "streams":
        this.streams.list(message.streams);
        return this.socket.listed(now);
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

  private welcomed(message: Welcome): void {
    if (this.welcome?.epoch !== message.epoch) {
      this.path.clear();
      this.clock.clear();
      this.coded.clear();
    }
    this.welcome = message;
  }

  private offered(message: Offer, now: number): void {
    this.peering.offered(message.peer);
    const { peer, offer, sdp } = message;
    this.out.push({ type: "peer_offer", peer, offer, sdp, ice_servers: this.welcome?.ice_servers ?? [] });
    for (const { sub: id, mid, codec } of message.tracks) {
      const sub = this.subs.get(id);
      if (sub === undefined) continue;
      sub.mid = mid;
      sub.codec = codec;
      this.tellOffered(sub, this.viewsOf(sub), now);
    }
  }

  private tellOffered(sub: Subscription, views: readonly View[], now: number): void {
    for (const { plan } of views) {
      plan.offered(sub.codec, now);
      if (this.peering.connected) plan.connected(now);
    }
  }

  private ended(message: Ended, now: number): void {
    const sub = this.subs.get(message.sub);
    if (sub === undefined) return;
    this.subs.delete(sub);
    const why = endSentence(message);
    if (message.reason === "no_such_stream" || message.reason === "stream_closed") {
      this.streams.end(sub.stream);
      return;
    }
    for (const view of this.viewsOf(sub)) {
      if (sub.mode === "lossless") view.rest(why, now);
      else view.plan.failed(sub.mode, why, message.reason === "no_codec", now);
    }
  }

  private told(message: Stats, now: number): void {
    const sub = this.subs.get(message.sub);
    if (sub === undefined) return;
    this.clock.echo(message.echo, message.time, now);
    sub.stats = message;
    sub.codec = message.codec ?? sub.codec;
    const times = sub.sentTimes(this.clock, now);
    for (const view of this.viewsOf(sub)) {
      view.plan.sent(sub.mode, times, message.published_fps, message.rested_ms ?? 0, now);
      if (view.shows(sub)) this.out.push({ type: "view_stats", view: view.id, stats: view.statsOf(sub, this.clock, now) });
    }
  }

  private receive(stream: number, lossless: boolean, frame: number, now: number): void {
    this.socket.heard(now);
    const sub = this.carrier(stream, lossless);
    if (sub === undefined) return;
    sub.received += 1;
    // The credit goes back on receipt: a hidden tab does not paint, and must not starve.
    this.send({ type: "ack", sub: sub.sub, frame });
  }

  private paint(stream: number, lossless: boolean, views: readonly number[], time_us: number, now: number): void {
    const sub = this.carrier(stream, lossless);
    if (sub === undefined) return;
    sub.paintedOne(this.clock.known ? now + this.clock.offset - time_us / 1000 : undefined, now);
    for (const view of views.flatMap((id) => this.views.get(id) ?? [])) {
      if (lossless) view.exact += 1;
      view.plan.progress(sub.mode, 1, 1, now);
    }
  }

  private dropped(stream: number, lossless: boolean): void {
    const sub = this.carrier(stream, lossless);
    if (sub !== undefined) sub.dropped += 1;
  }

  private mismatched(stream: number): void {
    const sub = this.carrier(stream, true);
    if (sub !== undefined) for (const view of this.viewsOf(sub)) view.mismatched += 1;
  }

  private decoderFailed(stream: number, detail: string, now: number): void {
    const sub = this.carrier(stream, false);
    if (sub === undefined) return;
    const { webcodecs } = this.options.able;
    const next = 1 + Math.max(this.coded.get(sub.stream) ?? 0, sub.codec === undefined ? 0 : webcodecs.indexOf(sub.codec));
    if (next < webcodecs.length) this.coded.set(sub.stream, next);
    else for (const view of this.viewsOf(sub)) view.plan.failed("webcodecs", `The video decoder failed (${detail})`, true, now);
  }

  private carrier(stream: number, lossless: boolean): Subscription | undefined {
    return this.subs.carrier(this.streams.nameOf(stream), lossless);
  }

  private viewsOf(sub: Subscription): readonly View[] {
    return [...sub.views].flatMap((id) => this.views.get(id) ?? []);
  }

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

  private handlePeer(input: PeerEvent, now: number): void {
    if (!this.peering.isMine(input.peer)) return;
    const views = this.subs.videos.flatMap((sub) => this.viewsOf(sub));
    switch (input.type) {
      case "peer_answer":
        return this.send({ type: "answer", peer: input.peer, offer: input.offer, sdp: input.sdp });
      case "peer_candidate":
        return this.send({ type: "candidate", peer: input.peer, candidate: input.candidate, sdp_mid: input.sdp_mid });
      case "peer_connected":
        this.peering.connected = true;
        for (const { plan } of views) plan.connected(now);
        return;
      case "peer_failed":
        for (const { plan } of views) plan.failed("webrtc", input.detail, false, now);
        return;
      case "peer_progress":
        for (const video of input.videos) this.watched(video, now);
        return;
      default:
        input satisfies never;
    }
  }

  private watched(video: VideoProgress, now: number): void {
    const sub = this.subs.videos.find((one) => one.mid === video.mid);
    if (sub === undefined) return;
    if (video.arrived > 0) this.socket.heardBeside(now);
    sub.watched(video, now);
    for (const view of this.viewsOf(sub)) {
      const painted = video.views.find((one) => one.view === view.id)?.painted ?? 0;
      view.plan.watched(video.arrived, video.decoded, painted, now);
    }
  }

  /** After every input: what the views want by now is made so. */
  private settle(now: number): void {
    const command = this.socket.tick(this.subs.all.length > 0, now);
    if (command !== undefined) this.out.push(command);
    for (const view of this.views.values()) this.settleView(view, now);
    if (this.socket.phase === "ready") this.reconcile(now);
    this.attach();
    for (const sub of this.subs.all) this.settleSub(sub, now);
    for (const view of this.views.values()) this.tellView(view, now);
    this.tellServer(now);
    this.wake = this.nextWake(now);
  }

  private settleView(view: View, now: number): void {
    if (this.socket.phase !== "ready") view.plan.pause(this.socket.sentence(now));
    else if (!this.streams.has(view.stream)) view.plan.pause(this.streams.all.length === 0 ? "No stream yet" : `Stream "${view.stream}" is not there`);
    else view.begin(now);
    view.plan.tick(now);
  }

  private reconcile(now: number): void {
    const wanted = gather([...this.views.values()].flatMap((view) => this.wishesOf(view)));
    for (const { sub } of this.subs.dropAllBut(wanted)) this.send({ type: "unsubscribe", sub });
    for (const one of wanted) this.share(this.subs.find(one) ?? this.subscribe(one, now), one.views, now);
    if (this.subs.videos.length === 0) this.out.push(...this.peering.close());
  }

  private wishesOf(view: View): readonly { view: number; stream: string; mode: Wanted["mode"]; codec: Codec | undefined }[] {
    const { id, stream } = view;
    const at = this.coded.get(stream);
    const coded = at === undefined ? undefined : this.options.able.webcodecs[at];
    return view.plan.wants.map(({ mode, codec }) => ({ view: id, stream, mode, codec: mode === "webcodecs" ? coded : codec }));
  }

  private subscribe(wanted: Wanted, now: number): Subscription {
    const { stream, mode, codec } = wanted;
    const sub = this.subs.add(wanted, now);
    this.send({ type: "subscribe", sub: sub.sub, stream, mode, ...(codec === undefined ? {} : { codec }) });
    const id = this.streams.get(stream)?.id;
    if (mode === "webcodecs" && id !== undefined) this.out.push({ type: "decoder_reset", stream: id });
    return sub;
  }

  private share(sub: Subscription, views: readonly number[], now: number): void {
    const joined = views.filter((id) => !sub.views.has(id));
    sub.views.clear();
    for (const id of views) sub.views.add(id);
    if (joined.length === 0) return;
    this.welcomeLate(sub, joined, now);
    if (sub.mid !== undefined) this.tellOffered(sub, joined.flatMap((id) => this.views.get(id) ?? []), now);
  }

  /** Who joins a subscription that has pictures already must not wait for the next: the scene may be still. */
  private welcomeLate(sub: Subscription, joined: readonly number[], now: number): void {
    const stream = this.streams.get(sub.stream)?.id;
    if (sub.received === 0 || stream === undefined) return;
    if (sub.mode === "webcodecs") sub.wantKeyframe(now);
    if (sub.mode === "lossless") for (const view of joined) this.out.push({ type: "repaint", view, stream });
  }

  private attach(): void {
    const wanted = new Map<number, string>();
    for (const { mid, views } of this.subs.videos) if (mid !== undefined) for (const view of views) wanted.set(view, mid);
    this.out.push(...this.peering.attach(wanted));
  }

  private settleSub(sub: Subscription, now: number): void {
    sub.setVisible(this.viewsOf(sub).some((view) => view.visible), now);
    const report = sub.reportIfDue(now);
    if (report !== undefined) this.send(report);
  }

  private tellView(view: View, now: number): void {
    const sub = this.subs.ofView(view.id, view.plan.showing);
    for (const event of view.flush(now)) if (sub !== undefined) this.send({ type: "input", sub: sub.sub, event });
    const status = view.statusIfNew(this.socket, sub, this.streams.get(view.stream));
    if (status !== undefined) this.out.push({ type: "view_status", view: view.id, status });
  }

  private tellServer(now: number): void {
    const status = serverStatus(this.socket, this.streams.all, now);
    const said = JSON.stringify(status);
    if (said === this.said) return;
    this.said = said;
    this.out.push({ type: "server_status", status });
  }

  private nextWake(now: number): number {
    const marks = [this.socket.deadline, ...this.subs.all.map((sub) => sub.deadline)];
    for (const view of this.views.values()) marks.push(view.plan.deadline, view.deadline);
    return Math.min(...marks.map((at) => (at <= now ? now + IDLE_MS : at)));
  }

  private send(message: ViewerMessage): void {
    this.out.push({ type: "send", message });
  }
}
