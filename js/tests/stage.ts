// A session under test: time moves by hand, the server is a list of messages, the browser a list of events.
// Must not know what any test expects.

import type { Effect, SessionInput, ViewStatus } from "../src/core/ports";
import { Session } from "../src/core/session";
import type { CodecName, FrameMark, Offer, ServerMessage, Stats, StreamInfo, Subscribe, ViewerMessage } from "../src/core/wire";

export const CAMERA: StreamInfo = { id: 1, name: "camera", width: 640, height: 480, fps: 30 };
export const DEPTH: StreamInfo = { id: 2, name: "depth", width: 64, height: 48, fps: 30 };

export class Stage {
  now = 1_000_000;
  readonly effects: Effect[] = [];
  readonly session: Session;
  private frame = 0;

  constructor(codecs: readonly CodecName[] = ["h264", "vp8"], webcodecs: readonly CodecName[] = ["h264", "vp8"]) {
    this.session = new Session({ token: "t", agent: "test", capabilities: { codecs, webcodecs } });
  }

  feed(input: SessionInput): readonly Effect[] {
    const effects = this.session.feed(input, this.now);
    this.effects.push(...effects);
    return effects;
  }

  receive(message: ServerMessage): readonly Effect[] {
    return this.feed({ type: "message", message });
  }

  /** Socket up, token right, these streams listed. */
  ready(streams: readonly StreamInfo[] = [CAMERA], epoch = "e1"): this {
    if (!this.effects.some((effect) => effect.type === "connect")) this.feed({ type: "start" });
    this.feed({ type: "socket_opened" });
    this.receive({ type: "welcome", version: 1, server: "s", epoch, time: this.now, ice_servers: [] });
    this.receive({ type: "streams", streams });
    return this;
  }

  open(view: number, mode: "auto" | "webrtc" | "webcodecs" | "lossless" = "auto", stream = "camera"): this {
    this.feed({ type: "view_open", view, stream, mode, visible: true });
    return this;
  }

  /** Lets time pass, waking the session whenever it asks for it. */
  pass(ms: number): this {
    const end = this.now + ms;
    while (this.session.deadline <= end) {
      this.now = Math.max(this.now, this.session.deadline);
      this.feed({ type: "tick" });
    }
    this.now = end;
    this.feed({ type: "tick" });
    return this;
  }

  /** One lossless frame arrives and is painted. */
  lossless(views: readonly number[] = [1], stream = 1): this {
    this.frame += 1;
    this.feed({ type: "unit", stream, lossless: true, frame: this.frame });
    this.feed({ type: "painted", stream, lossless: true, views, time_us: this.now * 1000 });
    return this;
  }

  offer(track: Partial<Offer> & { readonly sub: number; readonly codec?: CodecName }): this {
    const { sub, codec = "h264", peer = 1, offer = 1 } = track;
    this.receive({ type: "offer", peer, offer, sdp: "v=0", tracks: [{ sub, mid: "0", codec }] });
    return this;
  }

  connected(peer = 1): this {
    this.feed({ type: "peer_connected", peer });
    return this;
  }

  /** Frames of the one video were decoded and painted. */
  video(frames: number, view = 1, peer = 1): this {
    const video = { mid: "0", arrived: frames, decoded: frames, fps: 30, latency_ms: 20, dropped: 0, views: [{ view, painted: frames }] };
    this.feed({ type: "peer_progress", peer, videos: [video] });
    return this;
  }

  stats(sub: number, more: Partial<Stats> = {}): this {
    const frames: readonly FrameMark[] = more.frames ?? [];
    const base = { published_fps: 30, sent_fps: 30, encode_ms: 1, bitrate: 1e6, target_bitrate: 2e6, viewers: 1 };
    this.receive({ type: "stats", sub, time: this.now, echo: this.now, ...base, ...more, frames });
    return this;
  }

  /** The messages of one kind that were sent to the server. */
  sent<T extends ViewerMessage["type"]>(type: T): readonly Extract<ViewerMessage, { readonly type: T }>[] {
    const messages = this.effects.flatMap((effect) => (effect.type === "send" ? [effect.message] : []));
    return messages.filter((message): message is Extract<ViewerMessage, { readonly type: T }> => message.type === type);
  }

  /** The subscriptions that the viewer has made and not ended. */
  get subscribed(): readonly Subscribe[] {
    const ended = new Set(this.sent("unsubscribe").map((message) => message.sub));
    return this.sent("subscribe").filter((message) => !ended.has(message.sub));
  }

  of(type: Effect["type"]): readonly Effect[] {
    return this.effects.filter((effect) => effect.type === type);
  }

  status(view = 1): ViewStatus | undefined {
    return this.effects.flatMap((effect) => (effect.type === "view_status" && effect.view === view ? [effect.status] : [])).at(-1);
  }

  /** Drops the effects so far. */
  clear(): this {
    this.effects.length = 0;
    return this;
  }
}
