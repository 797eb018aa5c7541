// One view's choice: which subscriptions it wants, which of them it shows, and why, in words.
// Must not know sockets, peers or other views; the session tells it what happened and when.

import type { Path } from "./path";
import type { Codec, Mode, ViewMode } from "./wire";

export type Showing = "none" | Mode;

export interface Want {
  readonly mode: Mode;
  readonly codec?: Codec;
}

/** What this browser can do, best codec first. */
export interface Capabilities {
  readonly codecs: readonly Codec[];
  readonly webcodecs: readonly Codec[];
  /** Forward error correction that its WebRTC understands. */
  readonly repair?: readonly "flexfec-03"[];
}

type Phase =
  | { readonly name: "waiting" }
  | { readonly name: "plain" }
  | { readonly name: "racing"; readonly since: number; offered_at?: number; connected_at?: number; readonly need: number; told: boolean }
  | { readonly name: "video"; readonly since: number; missing_since?: number; still?: { readonly since: number; painted: number } }
  | { readonly name: "backup"; readonly final: boolean };

interface Lane {
  /** When the first frame came through whole. */
  arrived_at: number | undefined;
  decoded: number;
  painted: number;
  last: number;
}

/** An answer slower than this is called "UDP blocked" where the user can see it. */
export const ANSWER_MS = 1000;
/** The race goes on beside the backup for so long after the offer. */
export const RACE_MS = 6000;
const OFFER_MS = 8000;
/** A connection through which frames come but of which none is shown for so long: the codec is at fault. */
const DECODE_MS = 2000;
/** Frames were sent and none has come for so long. */
export const STALL_MS = 1000;
/** After a stall, one frame is no proof yet. */
const NEED_AFTER_STALL = 5;
const STILL_MS = 400;
const STILL_MAX_MS = 8000;
const THIN_WINDOW_MS = 2000;

const NAMES: Readonly<Record<Codec, string>> = { h264_444: "H.264 4:4:4", h264: "H.264", vp8: "VP8" };

export class Plan {
  showing: Showing = "none";
  reason = "";
  private phase: Phase = { name: "waiting" };
  private lanes: Record<Mode, Lane> = { lossless: lane(0), webcodecs: lane(0), webrtc: lane(0) };
  private backup: "lossless" | "webcodecs" = "lossless";
  private codec_at = 0;
  /** What the server took, where the choice was its own. */
  private taken: Codec | undefined;
  /** Video over the WebSocket was tried and cannot be had. */
  private coded_denied = false;
  private still_after = STILL_MS;
  private thin = { since: 0, painted: 0, published: 0, strikes: 0 };

  constructor(
    private mode: ViewMode,
    private readonly able: Capabilities,
    private readonly path: Path,
    private visible: boolean,
  ) {}

  /** The subscriptions this view needs now. */
  get wants(): readonly Want[] {
    switch (this.phase.name) {
      case "waiting":
        return [];
      case "plain":
        return [{ mode: this.plainMode }];
      case "racing":
        return [...this.backupWants, this.videoWant];
      case "video":
        return this.phase.still === undefined ? [this.videoWant] : [this.videoWant, { mode: "lossless" }];
      case "backup":
        return this.backupWants;
    }
  }

  get live(): boolean {
    return this.phase.name !== "waiting";
  }

  /** The stream is there and the socket is ready. */
  begin(now: number): void {
    if (this.live) return;
    this.lanes = { lossless: lane(now), webcodecs: lane(now), webrtc: lane(now) };
    this.backup = "lossless";
    this.thin = { since: now, painted: 0, published: 0, strikes: 0 };
    if (this.mode === "lossless" || this.mode === "webcodecs") this.beginPlain();
    else this.beginRace(now, "Trying WebRTC");
  }

  /** The socket or the stream is gone. The last picture stays. */
  pause(reason: string): void {
    this.phase = { name: "waiting" };
    this.reason = reason;
  }

  setMode(mode: ViewMode, now: number): void {
    if (mode === this.mode) return;
    this.mode = mode;
    this.codec_at = 0;
    if (!this.live) return;
    this.phase = { name: "waiting" };
    this.begin(now);
  }

  setVisible(visible: boolean, now: number): void {
    this.visible = visible;
    this.lanes.webrtc.last = now;
    if (this.phase.name === "video") this.phase.missing_since = undefined;
    this.thin.since = now;
    this.thin.painted = 0;
  }

  /** The server's offer for the video is here: the race has a clock now. */
  offered(codec: Codec | undefined, now: number): void {
    this.taken = codec;
    if (this.phase.name === "racing") this.phase.offered_at ??= now;
  }

  connected(now: number): void {
    if (this.phase.name === "racing") this.phase.connected_at ??= now;
  }

  /** Frames since the last call: decoded for anybody on the subscription, painted in this view. */
  progress(mode: Mode, decoded: number, painted: number, now: number): void {
    const at = this.lanes[mode];
    at.decoded += decoded;
    at.painted += painted;
    if (decoded > 0 || painted > 0) at.last = now;
    if (mode === "webrtc") this.videoProgress(decoded, painted, now);
    else if (painted > 0) this.canvasProgress(mode, painted, now);
  }

  /** The same of the video, of which so many frames came through whole. */
  watched(arrived: number, decoded: number, painted: number, now: number): void {
    if (arrived > 0) this.lanes.webrtc.arrived_at ??= now;
    this.progress("webrtc", decoded, painted, now);
  }

  /** When the newest units of the video were published, by the viewer's clock, how many a second there are, and for how long
   * the newest frame has been the newest. Units alone tell of no motion: a scene at rest is encoded again, to be sharper. */
  sent(mode: Mode, times: readonly number[], published_fps: number, rested: number, now: number): void {
    this.thin.published = published_fps;
    if (mode !== "webrtc" || this.phase.name !== "video") return;
    const { last } = this.lanes.webrtc;
    const missing = times.find((time) => time > last);
    if (missing !== undefined) this.phase.missing_since ??= missing;
    else if (this.visible && this.mode === "auto" && rested > this.still_after) this.phase.still ??= { since: now, painted: 0 };
  }

  /** A subscription of this view ended by the server, or its means failed here. `final`: trying it again is no use. */
  failed(mode: Mode, why: string, final: boolean, now: number): void {
    if (mode === "webrtc") {
      if (!final || !this.nextCodec(why, now)) this.fallBack(`${why} → WebSocket`, final, now);
    } else if (mode === "webcodecs") this.noDecoder(why);
  }

  tick(now: number): void {
    this.tickThin(now);
    switch (this.phase.name) {
      case "racing":
        return this.tickRace(this.phase, now);
      case "video":
        return this.tickVideo(this.phase, now);
      case "backup":
        if (this.mayRace && !this.phase.final && now >= this.path.next) this.beginRace(now, this.reason);
        return;
      default:
    }
  }

  /** When `tick` has something to do next. */
  get deadline(): number {
    switch (this.phase.name) {
      case "racing":
        return this.raceDeadline(this.phase);
      case "video":
        return this.phase.missing_since === undefined ? Infinity : this.phase.missing_since + STALL_MS;
      case "backup":
        return this.mayRace && !this.phase.final ? this.path.next : Infinity;
      default:
        return Infinity;
    }
  }

  private get plainMode(): Mode {
    return this.mode === "webcodecs" && this.able.webcodecs.length > 0 ? "webcodecs" : "lossless";
  }

  private get videoWant(): Want {
    const codec = this.able.codecs[this.codec_at];
    return this.codec_at === 0 || codec === undefined ? { mode: "webrtc" } : { mode: "webrtc", codec };
  }

  /** Which of the codecs is being tried: the server leaves out those that it has not. */
  private get tried(): number {
    return Math.max(this.codec_at, this.taken === undefined ? 0 : this.able.codecs.indexOf(this.taken));
  }

  private get backupWants(): readonly Want[] {
    if (this.backup === "lossless") return [{ mode: "lossless" }];
    return this.lanes.webcodecs.painted > 0 ? [{ mode: "webcodecs" }] : [{ mode: "lossless" }, { mode: "webcodecs" }];
  }

  private get mayRace(): boolean {
    return this.visible && (this.mode === "auto" || this.mode === "webrtc");
  }

  private beginPlain(): void {
    this.phase = { name: "plain" };
    const denied = this.mode === "webcodecs" && this.plainMode === "lossless";
    if (denied) this.reason = "No video decoder on this page (it needs https or localhost) → lossless";
    else this.reason = this.mode === "lossless" ? "Lossless: every pixel as published" : "Video over the WebSocket, as asked";
  }

  private noDecoder(why: string): void {
    this.backup = "lossless";
    this.coded_denied = true;
    if (this.mode === "webcodecs") this.phase = { name: "backup", final: true };
    this.say(`${why} → lossless`);
  }

  private beginRace(now: number, reason: string): void {
    if (this.able.codecs.length === 0) return this.stayDown("This browser has no WebRTC → WebSocket");
    this.reason = reason;
    if (!this.visible || now < this.path.next) {
      this.phase = { name: "backup", final: false };
      return;
    }
    this.lanes.webrtc = lane(now);
    this.taken = undefined;
    this.phase = { name: "racing", since: now, need: 1, told: reason.includes("→") };
  }

  private stayDown(reason: string): void {
    this.phase = { name: "backup", final: true };
    this.say(reason);
  }

  private videoProgress(decoded: number, painted: number, now: number): void {
    const { phase } = this;
    if (phase.name === "video" && decoded + painted > 0) phase.missing_since = undefined;
    if (phase.name !== "racing") return;
    const seen = this.visible ? this.lanes.webrtc.painted : this.lanes.webrtc.decoded;
    if (seen < phase.need) return;
    this.phase = { name: "video", since: now };
    this.showing = "webrtc";
    this.reason = "WebRTC";
  }

  private canvasProgress(mode: "lossless" | "webcodecs", painted: number, now: number): void {
    if (this.phase.name === "video") return this.stillProgress(this.phase, painted, now);
    if (mode === "lossless" && this.backup === "webcodecs" && this.lanes.webcodecs.painted > 0) return;
    this.showing = mode;
    this.thin.painted += painted;
  }

  /** The first exact frame on a still scene is shown; the second says that the scene moves again. */
  private stillProgress(phase: Phase & { name: "video" }, painted: number, now: number): void {
    if (phase.still === undefined) return;
    phase.still.painted += painted;
    if (phase.still.painted === 1) {
      this.showing = "lossless";
      this.reason = "Still: the exact picture over the WebSocket";
      return;
    }
    // A scene that moves again soon is no still scene: wait longer before the next exact picture.
    this.still_after = now - phase.still.since < 3000 ? Math.min(2 * this.still_after, STILL_MAX_MS) : STILL_MS;
    phase.still = undefined;
    this.showing = "webrtc";
    this.reason = "WebRTC";
  }

  private tickRace(phase: Phase & { name: "racing" }, now: number): void {
    const begun = phase.offered_at;
    const blocked = begun !== undefined && phase.connected_at === undefined && now >= begun + ANSWER_MS;
    if (blocked && !phase.told) {
      phase.told = true;
      this.say("UDP blocked: no answer in 1.0 s → WebSocket");
    }
    if (now >= this.verdictAt(phase) && this.showsNothing(phase)) return this.showedNothing(now);
    if (begun === undefined && now >= phase.since + OFFER_MS) this.fallBack("The server made no offer → WebSocket", false, now);
    else if (blocked && now >= begun + RACE_MS) this.fallBack(this.reason, false, now);
    else if (phase.need > 1 && now >= phase.since + RACE_MS) this.fallBack(this.reason, false, now);
  }

  /** Only where the backup shows something is there a frame that the video could have shown. */
  private showsNothing(phase: Phase & { name: "racing" }): boolean {
    if (phase.connected_at === undefined || this.lanes.webrtc.decoded > 0) return false;
    return phase.need === 1 && this.visible && this.lanes[this.backup].painted > 0;
  }

  /** What comes through whole shall be decoded soon; on a way that loses much, the first takes its time. */
  private verdictAt(phase: Phase & { name: "racing" }): number {
    const { arrived_at } = this.lanes.webrtc;
    return arrived_at === undefined ? (phase.connected_at ?? Infinity) + RACE_MS : arrived_at + DECODE_MS;
  }

  private showedNothing(now: number): void {
    if (this.lanes.webrtc.arrived_at !== undefined) return this.badCodec(now);
    this.fallBack("WebRTC connects, but no frame comes through → WebSocket", false, now);
  }

  private badCodec(now: number): void {
    const codec = this.able.codecs[this.tried];
    const name = codec === undefined ? "video" : (NAMES[codec] ?? codec);
    const why = `WebRTC connects, but ${name} does not decode here`;
    if (!this.nextCodec(why, now)) this.fallBack(`${why} → WebSocket`, false, now);
  }

  private nextCodec(why: string, now: number): boolean {
    const at = this.tried + 1;
    const next = this.able.codecs[at];
    if (next === undefined) return false;
    this.codec_at = at;
    this.beginRace(now, `${why} → ${NAMES[next] ?? next}`);
    return true;
  }

  private raceDeadline(phase: Phase & { name: "racing" }): number {
    const marks = [phase.since + (phase.need > 1 ? RACE_MS : OFFER_MS)];
    if (phase.offered_at !== undefined) marks[0] = phase.offered_at + (phase.told ? RACE_MS : ANSWER_MS);
    if (phase.connected_at !== undefined) marks[0] = phase.need > 1 ? phase.since + RACE_MS : this.verdictAt(phase);
    return Math.min(...marks);
  }

  private tickVideo(phase: Phase & { name: "video" }, now: number): void {
    this.path.lasted(now - phase.since);
    if (!this.visible || phase.missing_since === undefined || now < phase.missing_since + STALL_MS) return;
    // The video subscription stays for a while: a short gap heals by itself, and then the picture is back at once.
    this.say("WebRTC stalled: nothing for 1.0 s → WebSocket");
    this.lanes.webrtc = lane(now);
    this.lanes.lossless = lane(now);
    this.phase = { name: "racing", since: now, offered_at: now, connected_at: now, need: NEED_AFTER_STALL, told: true };
  }

  private fallBack(why: string, final: boolean, now: number): void {
    this.path.failed(now);
    this.codec_at = 0;
    if (this.phase.name === "video") this.lanes.lossless = lane(now);
    this.phase = { name: "backup", final };
    this.say(why);
  }

  private say(why: string): void {
    const asked = this.mode === "webrtc" && !why.startsWith("Not WebRTC");
    this.reason = asked ? `Not WebRTC, though asked for. ${why}` : why;
  }

  /** Lossless that shows less than half of what is published, twice running, is too much for the link. */
  private tickThin(now: number): void {
    const { thin } = this;
    if (now < thin.since + THIN_WINDOW_MS) return;
    const seconds = (now - thin.since) / 1000;
    const fps = thin.painted / seconds;
    const slow = thin.published >= 5 && fps < thin.published / 2 && fps < 20 && thin.painted > 0;
    const usesLossless = this.phase.name === "backup" || this.phase.name === "racing";
    const next = slow && usesLossless && this.visible ? thin.strikes + 1 : 0;
    this.thin = { since: now, painted: 0, published: thin.published, strikes: next };
    if (next < 2 || this.backup === "webcodecs" || this.coded_denied || this.able.webcodecs.length === 0) return;
    this.backup = "webcodecs";
    this.lanes.webcodecs = lane(now);
    this.say(`Link too thin for lossless: ${fps.toFixed(0)} of ${thin.published.toFixed(0)} fps → video over the WebSocket`);
  }
}

function lane(now: number): Lane {
  return { arrived_at: undefined, decoded: 0, painted: 0, last: now };
}
