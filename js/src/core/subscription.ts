// One subscription as the viewer counts it: what came, what was shown, what the server says of it.
// Must not know views' choices; it keeps books.

import type { Clock } from "./clock";
import { Meter } from "./meter";
import type { VideoProgress, ViewStats } from "./ports";
import type { Codec, Ended, Mode, Report, Stats } from "./wire";

const REPORT_MS = 1000;
/** Of a stream as fast as the screen: where frames stand in its rhythm is soon not true any more. */
const RHYTHM_REPORT_MS = 500;
/** The first report goes out soon: its echo is the first measure of the clocks. */
const FIRST_REPORT_MS = 100;
/** A frame published so shortly after the last one shown may still be on its way. */
const SLACK_MS = 50;
/** With video expected and little coming, the server is asked sooner what it sent. */
const ANXIOUS_MS = 300;
/** Of the frames that are sent: fewer, in the time between two tellings, are little. A scene at rest is sharpened by a few. */
const ENOUGH = 0.4;

/** What an ending means, where the server gives no sentence of its own. */
const END_SENTENCES: Readonly<Record<Ended["reason"], string>> = {
  no_such_stream: "There is no such stream",
  stream_closed: "The stream was closed",
  no_codec: "Server and browser share no video codec",
  peer_failed: "The WebRTC connection failed",
  limits: "The server has no room for more viewers",
  internal: "The server failed at this stream",
};

export class Subscription {
  readonly views = new Set<number>();
  codec: Codec | undefined;
  /** The media section that carries it; undefined until an offer says so. */
  mid: string | undefined;
  stats: Stats | undefined;
  received = 0;
  decoded = 0;
  painted = 0;
  dropped = 0;
  visible = true;
  keyframe = false;
  private readonly meter = new Meter();
  private video: Pick<VideoProgress, "fps" | "latency_ms" | "rhythm"> | undefined;
  private report_at: number;
  private reported_at = 0;
  private progressed_at: number;
  private watched_at: number;

  constructor(
    readonly sub: number,
    readonly stream: string,
    readonly mode: Mode,
    readonly asked: Codec | undefined,
    now: number,
  ) {
    this.report_at = now + FIRST_REPORT_MS;
    this.progressed_at = now;
    this.watched_at = now;
  }

  /** A frame of this subscription was painted on a canvas, `late` milliseconds after it was published. */
  paintedOne(late: number | undefined, now: number): void {
    this.decoded += 1;
    this.painted += 1;
    this.progressed_at = now;
    this.meter.add(now, late);
  }

  /** What the main thread counted of a video. */
  watched({ decoded, dropped, fps, latency_ms, rhythm, views }: VideoProgress, now: number): void {
    const painted = Math.max(0, ...views.map((one) => one.painted));
    this.decoded += decoded;
    this.received += decoded;
    this.painted += painted;
    this.dropped += dropped;
    this.video = { fps, latency_ms, rhythm };
    const sent_fps = Math.min(this.stats?.published_fps ?? 0, this.stats?.sent_fps ?? 0);
    const expected = (ENOUGH * sent_fps * Math.min(now - this.watched_at, REPORT_MS)) / 1000;
    this.watched_at = now;
    if (Math.max(decoded, painted) > expected) this.progressed_at = now;
  }

  setVisible(visible: boolean, now: number): void {
    if (visible !== this.visible) this.report_at = now;
    this.visible = visible;
  }

  wantKeyframe(now: number): void {
    this.keyframe = true;
    this.report_at = now;
  }

  /** The report to send, if one is due. */
  reportIfDue(now: number): Report | undefined {
    if (now < this.deadline) return undefined;
    const rhythm = this.video?.rhythm;
    this.report_at = now + (rhythm === undefined ? REPORT_MS : RHYTHM_REPORT_MS);
    this.reported_at = now;
    const latency = this.latency(now);
    const report: Report = {
      type: "report",
      sub: this.sub,
      time: now,
      visible: this.visible,
      decoded: this.decoded,
      painted: this.painted,
      fps: round(this.fps(now)),
      ...(latency === undefined ? {} : { latency_ms: round(latency) }),
      ...(this.keyframe ? { keyframe: true } : {}),
      ...(rhythm === undefined ? {} : { refresh_ms: round(rhythm.refresh_ms), slack_ms: round(rhythm.slack_ms) }),
    };
    this.keyframe = false;
    // Told once: what is done about it changes it.
    if (this.video !== undefined) this.video = { ...this.video, rhythm: undefined };
    return report;
  }

  get deadline(): number {
    const anxious = this.mode === "webrtc" && this.visible && this.decoded > 0 && (this.stats?.published_fps ?? 0) > 0;
    return anxious ? Math.min(this.report_at, Math.max(this.progressed_at, this.reported_at) + ANXIOUS_MS) : this.report_at;
  }

  /** When the newest units were published, by the viewer's clock, less what that may be wrong. */
  sentTimes(clock: Clock, now: number): readonly number[] {
    const { stats } = this;
    if (stats === undefined) return [];
    if (stats.frames.length > 0) return stats.frames.map((mark) => mark.time - clock.offset - clock.error - SLACK_MS);
    return this.mode === "webrtc" && stats.sent_fps > 1 && stats.published_fps > 1 ? [now - SLACK_MS] : [];
  }

  get counts(): Pick<ViewStats, "received" | "decoded" | "painted" | "dropped"> {
    const { received, decoded, painted, dropped } = this;
    return { received, decoded, painted, dropped };
  }

  fps(now: number): number {
    return this.video?.fps ?? this.meter.rate(now);
  }

  latency(now: number): number | undefined {
    return this.video === undefined ? this.meter.median(now) : this.video.latency_ms;
  }
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

/** Why a subscription ended, as a sentence for a person: the server's own, if it gave one. */
export function endSentence({ reason, detail }: Ended): string {
  const text = detail ?? END_SENTENCES[reason];
  return text.charAt(0).toUpperCase() + text.slice(1);
}
