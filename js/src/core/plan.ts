// One view's choice: which subscriptions it needs, which of them it shows, and why.
// Must not know sockets, peers or other views; the session reports what happened and when.

import type { Capabilities } from "./capabilities";
import { CodecChoice } from "./codec-choice";
import { type CodecName, labelOf } from "./codecs";
import { Race, type Verdict } from "./race";
import type { Fallback, Reason } from "./reasons";
import type { RetrySchedule } from "./retry-schedule";
import { SlowLink } from "./slow-link";
import { StallDetector } from "./stall";
import { StillScene } from "./still-scene";
import type { Mode, ViewMode } from "./wire";

export type Showing = "none" | Mode;

/** A subscription that a view needs. Without a codec, the server chooses it. */
export interface Need {
  readonly mode: Mode;
  readonly codec?: CodecName;
}

type CanvasMode = "lossless" | "webcodecs";

type Phase =
  /** There is no socket or no stream. */
  | { readonly name: "waiting" }
  /** The one mode that was asked for, over the WebSocket. */
  | { readonly name: "plain" }
  /** WebRTC is tried beside the pictures over the WebSocket. */
  | { readonly name: "racing"; readonly race: Race }
  /** WebRTC plays. */
  | { readonly name: "video"; readonly stall: StallDetector }
  /** The WebSocket alone; `final`: WebRTC is not tried again. */
  | { readonly name: "backup"; readonly final: boolean };

const LOSSLESS: Need = { mode: "lossless" };
const WEBCODECS: Need = { mode: "webcodecs" };

export class Plan {
  showing: Showing = "none";
  reason: Reason = { code: "connecting" };
  private phase: Phase = { name: "waiting" };
  /** What carries the pictures while WebRTC does not. */
  private backup: CanvasMode = "lossless";
  /** Frames painted from the WebSocket since it became a source. */
  private painted: Record<CanvasMode, number> = { lossless: 0, webcodecs: 0 }; // mutants: set again by `begin`
  /** Video over the WebSocket was tried and failed. */
  private webcodecs_failed = false;
  private slow_link = new SlowLink(0); // mutants: set again by `begin`
  private readonly still = new StillScene();
  private readonly codecs: CodecChoice;

  constructor(
    private mode: ViewMode,
    private readonly capabilities: Capabilities,
    private readonly retries: RetrySchedule,
    private visible: boolean,
  ) {
    this.codecs = new CodecChoice(capabilities.codecs);
  }

  /** The subscriptions that this view needs now. */
  get needs(): readonly Need[] {
    switch (this.phase.name) {
      case "waiting":
        return [];
      case "plain":
        return [{ mode: this.plainMode }];
      case "racing":
        return [...this.backupNeeds, this.videoNeed];
      case "video":
        return this.still.active ? [this.videoNeed, LOSSLESS] : [this.videoNeed];
      case "backup":
        return this.backupNeeds;
    }
  }

  get active(): boolean {
    return this.phase.name !== "waiting";
  }

  /** The stream is there and the socket is ready. */
  begin(now: number): void {
    if (this.active) return;
    this.backup = "lossless";
    this.painted = { lossless: 0, webcodecs: 0 };
    this.slow_link = new SlowLink(now);
    if (this.mode === "lossless" || this.mode === "webcodecs") this.beginPlain();
    else this.beginRace({ code: "trying_webrtc" }, now);
  }

  /** The view is of another stream from now on: what failed with the codecs of the one before may work. */
  forget(): void {
    this.codecs.reset();
    this.webcodecs_failed = false;
  }

  /** The socket or the stream is gone. The last picture stays. */
  pause(reason: Reason): void {
    this.phase = { name: "waiting" };
    this.reason = reason;
  }

  setMode(mode: ViewMode, now: number): void {
    if (mode === this.mode) return;
    this.mode = mode;
    this.codecs.reset();
    if (!this.active) return;
    this.pause(this.reason);
    this.begin(now);
  }

  setVisible(visible: boolean, now: number): void {
    this.visible = visible;
    if (this.phase.name === "video") this.phase.stall.progress(now);
    this.slow_link.restart(now);
  }

  /** The server's offer for the video has come, in this codec. */
  offered(codec: CodecName | undefined, now: number): void {
    this.codecs.offered(codec);
    if (this.phase.name === "racing") this.phase.race.offered(now);
  }

  connected(now: number): void {
    if (this.phase.name === "racing") this.phase.race.connected(now);
  }

  /** Frames since the last call: decoded for any view of the subscription, painted in this view. */
  progress(mode: Mode, decoded: number, painted: number, now: number): void {
    if (mode === "webrtc") this.videoProgress(decoded, painted, now);
    else if (painted > 0) this.canvasProgress(mode, painted, now);
  }

  /** The same for the video, of which `arrived` frames have come whole. */
  videoArrived(arrived: number, decoded: number, painted: number, now: number): void {
    if (arrived > 0 && this.phase.name === "racing") this.phase.race.arrived(now);
    this.progress("webrtc", decoded, painted, now);
  }

  /**
   * What the server sent of a subscription. `times`: when the newest units were published, by the viewer's clock. `still_ms`: how
   * long ago the newest frame was published. Units alone do not show that a scene moves: a still scene is encoded again, sharper.
   */
  sent(mode: Mode, times: readonly number[], published_fps: number, still_ms: number, now: number): void {
    this.slow_link.published_fps = published_fps;
    if (mode !== "webrtc" || this.phase.name !== "video") return;
    const missing = this.phase.stall.sent(times);
    if (!missing && this.visible && this.mode === "auto") this.still.observe(still_ms, now);
  }

  /** A subscription of this view was ended by the server, or failed here. `final`: the same thing would fail again. */
  failed(mode: Mode, why: Reason, final: boolean, now: number): void {
    if (mode === "webrtc") {
      if (!final || !this.tryNextCodec(why, now)) this.fallBack(why, final, now);
    } else if (mode === "webcodecs") this.giveUpWebcodecs(why);
  }

  tick(now: number): void {
    this.tickSlowLink(now);
    switch (this.phase.name) {
      case "racing":
        return this.tickRace(this.phase.race, now);
      case "video":
        return this.tickVideo(this.phase.stall, now);
      case "backup":
        if (this.mayRace && now >= this.retries.next) this.beginRace(this.reason, now);
        return;
      default:
    }
  }

  /** When `tick` has something to do next. */
  get deadline(): number {
    switch (this.phase.name) {
      case "racing":
        return this.phase.race.deadline;
      case "video":
        return this.phase.stall.deadline;
      case "backup":
        return this.mayRace ? this.retries.next : Infinity;
      default:
        return Infinity;
    }
  }

  private get plainMode(): Mode {
    return this.mode === "webcodecs" && this.capabilities.webcodecs.length > 0 ? "webcodecs" : "lossless";
  }

  private get videoNeed(): Need {
    const codec = this.codecs.asked;
    return codec === undefined ? { mode: "webrtc" } : { mode: "webrtc", codec };
  }

  private get backupNeeds(): readonly Need[] {
    if (this.backup === "lossless") return [LOSSLESS];
    return this.painted.webcodecs > 0 ? [WEBCODECS] : [LOSSLESS, WEBCODECS];
  }

  private get mayRace(): boolean {
    return this.visible && this.phase.name === "backup" && !this.phase.final;
  }

  private beginPlain(): void {
    this.phase = { name: "plain" };
    const denied = this.mode === "webcodecs" && this.plainMode === "lossless";
    if (denied) this.reason = { code: "no_decoder", fallback: LOSSLESS };
    else this.reason = { code: this.mode === "lossless" ? "lossless" : "webcodecs" };
  }

  private beginRace(reason: Reason, now: number): void {
    if (this.capabilities.codecs.length === 0) {
      this.phase = { name: "backup", final: true };
      this.reason = { code: "no_webrtc", fallback: this.backupFallback };
      return;
    }
    this.reason = reason;
    if (!this.visible || now < this.retries.next) {
      this.phase = { name: "backup", final: false };
      return;
    }
    this.codecs.offered(undefined);
    this.phase = { name: "racing", race: new Race(now, reason.fallback !== undefined) };
  }

  private videoProgress(decoded: number, painted: number, now: number): void {
    const { phase } = this;
    if (phase.name === "video" && decoded + painted > 0) phase.stall.progress(now);
    if (phase.name !== "racing") return;
    phase.race.progress(decoded, painted);
    if (!phase.race.isWon(this.visible)) return;
    this.phase = { name: "video", stall: new StallDetector(now) };
    this.still.clear();
    this.showing = "webrtc";
    this.reason = { code: "webrtc" };
  }

  private canvasProgress(mode: CanvasMode, painted: number, now: number): void {
    this.painted[mode] += painted;
    if (this.phase.name === "video") return this.stillProgress(painted, now);
    if (mode === "lossless" && this.backup === "webcodecs" && this.painted.webcodecs > 0) return;
    this.showing = mode;
    this.slow_link.add(painted);
  }

  private stillProgress(painted: number, now: number): void {
    const change = this.still.painted(painted, now);
    if (change === undefined) return; // mutants: the video is shown already
    this.showing = change === "exact" ? "lossless" : "webrtc";
    this.reason = { code: change === "exact" ? "exact_still" : "webrtc" };
  }

  private tickRace(race: Race, now: number): void {
    if (race.reportBlocked(now)) this.reason = { code: "udp_blocked", fallback: this.backupFallback };
    const verdict = race.verdict(this.visible && this.painted[this.backup] > 0, now);
    if (verdict !== undefined) this.endRace(verdict, now);
  }

  private endRace(verdict: Verdict, now: number): void {
    if (verdict === "not_decoded") return this.blameCodec(now);
    // A race that was blocked, or that came after a stall, has said so already.
    const said = verdict === "blocked" || verdict === "stalled";
    this.fallBack(said ? this.reason : { code: verdict }, false, now);
  }

  private blameCodec(now: number): void {
    const codec = this.codecs.current;
    const why: Reason = { code: "not_decoded", detail: codec === undefined ? "the video" : labelOf(codec) };
    if (!this.tryNextCodec(why, now)) this.fallBack(why, false, now);
  }

  private tryNextCodec(why: Reason, now: number): boolean {
    const codec = this.codecs.next();
    if (codec === undefined) return false;
    this.beginRace({ ...why, fallback: { mode: "webrtc", codec } }, now);
    return true;
  }

  private tickVideo(stall: StallDetector, now: number): void {
    this.retries.lasted(now - stall.since);
    if (!this.visible || !stall.isStalled(now)) return;
    // The video's subscription stays for a while: after a short gap the picture is back at once.
    this.painted.lossless = 0;
    this.phase = { name: "racing", race: Race.afterStall(now) };
    this.reason = { code: "stalled", fallback: this.backupFallback };
  }

  private fallBack(why: Reason, final: boolean, now: number): void {
    // What failed for good is this stream's codecs, and not the path that other views use as well.
    if (!final) this.retries.failed(now);
    this.codecs.reset();
    if (this.phase.name === "video") this.painted.lossless = 0;
    this.phase = { name: "backup", final };
    this.reason = { ...why, fallback: this.backupFallback };
  }

  private giveUpWebcodecs(why: Reason): void {
    this.backup = "lossless";
    this.webcodecs_failed = true;
    if (this.mode === "webcodecs") this.phase = { name: "backup", final: true };
    this.reason = { ...why, fallback: LOSSLESS };
  }

  private tickSlowLink(now: number): void {
    const uses_lossless = this.phase.name === "backup" || this.phase.name === "racing";
    const fps = this.slow_link.tick(uses_lossless && this.visible, now);
    if (fps === undefined || this.backup === "webcodecs" || this.webcodecs_failed || this.capabilities.webcodecs.length === 0) return;
    this.backup = "webcodecs";
    this.reason = { code: "slow_link", detail: `${fps.toFixed(0)} of ${this.slow_link.published_fps.toFixed(0)} fps`, fallback: WEBCODECS };
  }

  private get backupFallback(): Fallback {
    return { mode: this.backup };
  }
}
