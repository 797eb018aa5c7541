// One episode of the viewer's session: its views, its browser, its server and the clock do anything, in any order.
// Must not know how many episodes there are.

import type { Effect, SessionInput, ViewStatus } from "../../src/core/ports";
import { FINAL_CLOSES } from "../../src/core/reasons";
import { Session } from "../../src/core/session";
import { fault } from "../../src/core/validate";
import type { CodecName, Offer, ServerMessage, StreamInfo, Subscribe, ViewerMessage, ViewMode } from "../../src/core/wire";
import { SHAPES } from "../../src/core/wire.gen";
import type { Random } from "./random";

const STREAMS: readonly StreamInfo[] = [
  { id: 1, name: "a", width: 64, height: 48, fps: 30 },
  { id: 2, name: "b", width: 64, height: 48, fps: 30 },
  { id: 3, name: "a", width: 32, height: 32, fps: 30, title: "another" },
];
const LISTS: readonly (readonly StreamInfo[])[] = [[STREAMS[0] as StreamInfo], STREAMS.slice(0, 2), [], [STREAMS[2] as StreamInfo], STREAMS.slice(1)];
const MODES: readonly ViewMode[] = ["auto", "auto", "auto", "webrtc", "webcodecs", "lossless"];
const CODECS: readonly (readonly CodecName[])[] = [["h264", "vp8"], ["vp8"], []];
const CLOSES = [1006, 1001, 1006, 4429, 4408, 4000, 1006, 4401];
const STEPS_MS = [0, 1, 16, 100, 250, 1000, 3000, 6000, 20_000];
const MAX_VIEWS = 4;
/** So long a viewer that behaves, on a server that works, may take to its picture. */
const PATIENT_MS = 12_000;

interface Made extends Subscribe {
  /** The server has said that it ended. */
  ended: boolean;
}

class Broken extends Error {}

function claim(condition: boolean, why: string): asserts condition {
  if (!condition) throw new Broken(why);
}

/** The socket, as the browser has it. */
type Socket = "none" | "opening" | "open";

export class Episode {
  readonly session: Session;
  now = 1_000_000;
  readonly log: string[] = [];
  private socket: Socket = "none";
  private greeted = false;
  private listed = false;
  /** The session hung up a moment ago. */
  private hanging_up = false;
  /** The server refuses this viewer for good. */
  private failed = false;
  private stopped = false;
  private streams: readonly StreamInfo[] = [];
  private subs = new Map<number, Made>();
  private highest = 0;
  private readonly views = new Map<number, ViewStatus | undefined>();
  private next_view = 1;
  private peer: number | undefined;
  private peers = 0;
  private offers = 0;
  private offer: Offer | undefined;
  private readonly attached = new Set<number>();
  private frame = 0;
  /** From now on the server and the browser do what they should. */
  private helpful = false;
  private todo: SessionInput[] = [];

  constructor(private readonly random: Random) {
    this.session = new Session({ token: "t", agent: "test", capabilities: { codecs: random.pick(CODECS), webcodecs: random.pick(CODECS) } });
  }

  /** Throws where something is wrong; the last lines of `log` say how it came about. */
  play(steps: number): void {
    this.feed({ type: "start" });
    for (let i = 0; i < steps; i++) this.step();
    this.behave();
    this.stop();
  }

  // What happens

  private feed(input: SessionInput): void {
    this.log.push(`${this.now} ${JSON.stringify(input)}`);
    if (input.type === "socket_opened") this.socket = "open";
    this.hanging_up = false;
    for (const effect of this.session.feed(input, this.now)) this.carryOut(effect);
    claim(this.session.deadline > this.now, "the next wake-up is later than now");
    const [next, ...rest] = this.todo;
    this.todo = rest;
    if (next !== undefined) this.feed(next);
  }

  private step(): void {
    const { random } = this;
    const kind = random.below(12);
    if (kind <= 2) this.viewDoes();
    else if (kind <= 5) this.serverDoes();
    else if (kind <= 8) this.browserDoes();
    else if (kind === 9) this.socketDoes();
    else this.pass(random.pick(STEPS_MS));
  }

  private pass(ms: number): void {
    const end = this.now + ms;
    // A tick may also come too early, or long after it is due.
    if (this.random.chance(0.2)) this.now = end;
    for (let i = 0; this.session.deadline <= end && i < 1000; i++) {
      this.now = Math.max(this.now, this.session.deadline);
      this.feed({ type: "tick" });
      claim(i < 999, "time passes between ticks");
    }
    this.now = Math.max(this.now, end);
    this.feed({ type: "tick" });
  }

  private viewDoes(): void {
    const { random } = this;
    const open = [...this.views.keys()];
    const kind = random.below(7);
    if (kind <= 1 && open.length < MAX_VIEWS) return this.openView(random.pick(["a", "b", "a", "gone"]), random.pick(MODES), random.chance(0.8));
    const view = open.length > 0 ? random.pick(open) : 99;
    if (kind === 2) {
      this.views.delete(view);
      return this.feed({ type: "view_close", view });
    }
    if (kind === 3) return this.feed({ type: "view_mode", view, mode: random.pick(MODES) });
    if (kind === 4) return this.feed({ type: "view_stream", view, stream: random.pick(["a", "b", "gone"]) });
    if (kind === 5) return this.feed({ type: "view_visible", view, visible: random.chance(0.5) });
    this.feed({ type: "view_input", view, event: { type: random.pick(["pointer_move", "show", "key_down", "resize"] as const), timestamp: this.now / 1000, x: 1, y: 2 } });
  }

  private openView(stream: string, mode: ViewMode, visible: boolean): void {
    const view = this.next_view++;
    this.views.set(view, undefined);
    this.feed({ type: "view_open", view, stream, mode, visible });
  }

  private serverDoes(): void {
    if (this.socket !== "open" || !this.greeted) return this.feed({ type: "tick" });
    const { random } = this;
    const kind = random.below(8);
    if (kind === 0 || !this.listed) this.list(random.pick(LISTS));
    else if (kind === 1) this.end(random.pick([...this.subs.keys(), 99]));
    else if (kind <= 4) this.makeOffer();
    else if (kind === 5) this.receive({ type: "welcome", version: 1, server: "s", epoch: random.pick(["e1", "e2"]), time: this.now, ice_servers: [] });
    else this.stats(random.pick([...this.subs.keys(), 99]));
  }

  private list(streams: readonly StreamInfo[]): void {
    this.streams = streams;
    this.listed = true;
    this.receive({ type: "streams", streams });
  }

  private end(sub: number): void {
    const made = this.subs.get(sub);
    if (made !== undefined) made.ended = true;
    const reason = this.random.pick(["peer_failed", "limits", "no_codec", "internal", "stream_closed", "no_such_stream"] as const);
    this.receive({ type: "ended", sub, reason, detail: "why" });
  }

  private makeOffer(): void {
    const videos = [...this.subs.values()].filter((sub) => sub.mode === "webrtc" && !sub.ended);
    if (videos.length === 0 && !this.random.chance(0.2)) return;
    if (this.peers === 0 || this.random.chance(0.2)) this.peers += 1;
    this.offers += 1;
    const tracks = videos.map(({ sub }, i) => ({ sub, mid: String(i), codec: "h264" }) as const);
    this.offer = { type: "offer", peer: this.peers, offer: this.offers, sdp: "v=0", tracks };
    this.receive(this.offer);
  }

  private stats(sub: number): void {
    const { now } = this;
    const still = !this.helpful && this.random.chance(0.3);
    const frames = still ? [] : [{ frame: this.frame, rtp_timestamp: Math.floor(now * 90) % 2 ** 32, time: now - 5 }];
    const numbers = { published_fps: still ? 0 : 30, sent_fps: still ? 0 : 30, encode_ms: 1, bitrate: 1e6, target_bitrate: 2e6, viewers: 1 };
    this.receive({ type: "stats", sub, time: now, echo: now, ...numbers, frames });
  }

  private receive(message: ServerMessage): void {
    claim(fault(SHAPES, "ServerMessage", message) === undefined, "the server of this episode keeps the contract");
    this.feed({ type: "message", message });
  }

  private browserDoes(): void {
    const { random } = this;
    const stream = random.pick([1, 2, 3]);
    const lossless = random.chance(0.6);
    const views = this.session.targets(stream, lossless);
    const peer = Math.max(1, (this.peer ?? 1) + random.pick([0, 0, 0, 0, -1, 1]));
    switch (random.below(11)) {
      case 0:
      case 1:
        this.frame += 1;
        return this.feed({ type: "unit", stream, lossless, frame: this.frame });
      case 2:
        return this.feed({ type: "painted", stream, lossless, views, time_us: this.now * 1000 });
      case 3:
        return this.feed({ type: "repainted", view: random.pick([...this.views.keys(), 99]) });
      case 4:
        return this.feed(random.chance(0.5) ? { type: "dropped", stream, lossless } : { type: "mismatched", stream });
      case 5:
        return this.feed(random.chance(0.5) ? { type: "decoder_failed", stream, detail: "d" } : { type: "keyframe_wanted", stream, lossless });
      case 6:
        return this.feed({ type: "peer_answer", peer, offer: this.offer?.offer ?? 1, sdp: "v=1" });
      case 7:
        return this.feed({ type: "peer_candidate", peer, candidate: "c", sdp_mid: "0" });
      case 8:
        return this.feed({ type: "peer_connected", peer });
      case 9:
        return this.feed({ type: "peer_failed", peer, detail: random.pick(["", "d"]) });
      default:
        return this.progress(peer, random.pick([0, 1, 30]));
    }
  }

  private progress(peer: number, frames: number): void {
    const views = [...this.attached].map((view) => ({ view, painted: frames }));
    const mids = this.offer?.tracks.map(({ mid }) => mid) ?? ["0"];
    const videos = mids.map((mid) => ({ mid, arrived: frames, decoded: frames, fps: 30, latency_ms: 20, dropped: 0, views }));
    this.feed({ type: "peer_progress", peer, videos });
  }

  private socketDoes(): void {
    const { random } = this;
    if (this.socket === "opening" && random.chance(0.8)) return this.opened();
    if (this.socket !== "none" && random.chance(0.4)) this.closed(random.pick(CLOSES));
  }

  private opened(): void {
    this.greeted = this.listed = false;
    this.feed({ type: "socket_opened" });
  }

  private closed(code: number): void {
    this.socket = "none";
    this.reset();
    this.feed({ type: "socket_closed", code, reason: "", jitter: this.random.next() });
    if (code in FINAL_CLOSES) this.failed = true;
  }

  // What the session asks for

  private carryOut(effect: Effect): void {
    this.log.push(`${this.now}   > ${JSON.stringify(effect)}`);
    switch (effect.type) {
      case "connect":
        claim(this.socket === "none" && !this.stopped, "one socket at a time, and none after the end");
        this.socket = "opening";
        if (this.helpful) this.todo.push({ type: "socket_opened" });
        return;
      case "disconnect":
        return this.hangUp(effect.code);
      case "send":
        return this.sent(effect.message);
      case "view_status":
        claim(this.views.has(effect.view), "a view that is closed has no status");
        this.views.set(effect.view, effect.status);
        return;
      case "peer_offer":
      case "peer_attach":
      case "peer_detach":
      case "peer_close":
        return this.carryOutPeer(effect);
      default:
        return;
    }
  }

  /** What else is to be sent now goes nowhere; the browser says at once that the socket is closed. */
  private hangUp(code: number): void {
    const was_open = this.socket !== "none";
    this.hanging_up = true;
    this.socket = "none";
    this.reset();
    if (was_open && !this.stopped) this.todo.unshift({ type: "socket_closed", code, reason: "", jitter: 0.5 });
  }

  private reset(): void {
    this.greeted = this.listed = false;
    this.subs.clear();
    this.highest = 0;
    this.offer = undefined;
  }

  private carryOutPeer(effect: Extract<Effect, { readonly type: "peer_offer" | "peer_attach" | "peer_detach" | "peer_close" }>): void {
    switch (effect.type) {
      case "peer_offer":
        this.peer = effect.peer;
        if (this.helpful) this.connectPeer(effect.peer, effect.offer);
        return;
      case "peer_attach":
        claim(this.peer === effect.peer, "only a connection that is open shows videos");
        claim(this.views.has(effect.view), "a view that is closed shows nothing");
        this.attached.add(effect.view);
        return;
      case "peer_detach":
        claim(this.attached.delete(effect.view), "what is detached was attached");
        return;
      case "peer_close":
        claim(this.peer === effect.peer, "what is closed was open");
        this.peer = undefined;
        this.attached.clear();
    }
  }

  private connectPeer(peer: number, offer: number): void {
    this.todo.push({ type: "peer_answer", peer, offer, sdp: "v=1" }, { type: "peer_connected", peer });
  }

  private sent(message: ViewerMessage): void {
    if (this.hanging_up) return;
    claim(this.socket === "open", `${message.type} is sent while no socket is open`);
    claim(fault(SHAPES, "ViewerMessage", message) === undefined, `${message.type} keeps the contract: ${fault(SHAPES, "ViewerMessage", message)}`);
    claim(this.greeted === (message.type !== "hello"), "hello comes first, and once");
    switch (message.type) {
      case "hello":
        this.greeted = true;
        if (this.helpful) this.todo.push(...this.welcome());
        return;
      case "subscribe":
        return this.subscribed(message);
      case "unsubscribe":
        claim(this.subs.delete(message.sub), "what is unsubscribed is subscribed");
        return;
      case "ack":
      case "report":
      case "input": {
        claim(this.subs.get(message.sub)?.ended === false, `${message.type} is about a subscription that has not ended`);
        return;
      }
      default:
        claim(message.peer <= this.peers || this.helpful, `${message.type} is about a peer that the server made`);
    }
  }

  private welcome(): readonly SessionInput[] {
    const streams = LISTS[1] as readonly StreamInfo[];
    this.streams = streams;
    this.listed = true;
    return [
      { type: "message", message: { type: "welcome", version: 1, server: "s", epoch: "e9", time: this.now, ice_servers: [] } },
      { type: "message", message: { type: "streams", streams } },
    ];
  }

  private subscribed(message: Subscribe): void {
    claim(this.listed, "nothing is subscribed before the streams are listed");
    claim(message.sub > this.highest, "numbers of subscriptions grow");
    this.highest = message.sub;
    const same = [...this.subs.values()].filter((sub) => !sub.ended && sub.stream === message.stream && sub.mode === message.mode);
    claim(message.mode === "webrtc" || same.length === 0, `${message.mode} of a stream is subscribed once`);
    this.subs.set(message.sub, { ...message, ended: false });
    claim([...this.subs.values()].filter((sub) => !sub.ended).length <= 64, "no more subscriptions than a server allows");
  }

  // The end

  /** From here on all works: every view of a stream that there is has its picture. */
  private behave(): void {
    this.helpful = true;
    this.todo = [];
    if (this.failed) return;
    if (this.socket !== "none") this.closed(1006);
    this.openView("a", "auto", true);
    const end = this.now + PATIENT_MS;
    while (this.now < end && !this.satisfied()) {
      this.pass(200);
      this.work();
    }
    claim(this.satisfied(), `a view without its picture: ${JSON.stringify([...this.views.entries()])}`);
  }

  /** What the server and the browser do by themselves every moment. */
  private work(): void {
    const videos = [...this.subs.values()].filter((sub) => sub.mode === "webrtc" && !sub.ended);
    const offered = new Set(this.offer?.tracks.map(({ sub }) => sub));
    if (videos.some(({ sub }) => !offered.has(sub))) this.makeOffer();
    for (const { sub, stream, mode } of [...this.subs.values()]) {
      if (!this.subs.has(sub)) continue;
      this.stats(sub);
      const id = this.streams.find(({ name }) => name === stream)?.id;
      if (id === undefined || mode === "webrtc") continue;
      const lossless = mode === "lossless";
      this.frame += 1;
      this.feed({ type: "unit", stream: id, lossless, frame: this.frame });
      this.feed({ type: "painted", stream: id, lossless, views: this.session.targets(id, lossless), time_us: this.now * 1000 });
    }
    if (this.peer !== undefined) this.progress(this.peer, 6);
  }

  private satisfied(): boolean {
    return [...this.views.values()].every((status) => status !== undefined && (status.showing !== "none" || !this.possible(status)));
  }

  /** Whether there is anything to show: the stream, and a codec where the view insists on video. */
  private possible({ stream, mode }: ViewStatus): boolean {
    return stream !== "gone" && (mode === "auto" || mode === "lossless");
  }

  private stop(): void {
    this.stopped = true;
    this.feed({ type: "stop" });
    this.views.clear();
    claim(this.peer === undefined, "the connection ends with the session");
    const after: readonly SessionInput[] = [
      { type: "tick" }, { type: "unit", stream: 1, lossless: true, frame: 1 }, { type: "peer_connected", peer: 1 },
      { type: "socket_closed", code: 1000, reason: "", jitter: 0.1 }, { type: "tick" },
    ];
    for (const input of after) {
      this.now += 10_000;
      const effects = this.session.feed(input, this.now).filter(({ type }) => type !== "server_status");
      claim(effects.length === 0, `after the end: ${JSON.stringify(effects)}`);
    }
  }
}
