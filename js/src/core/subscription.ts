// One subscription as the viewer counts it: what came, what was shown, what the server reports of it.
// Must not know why a view has it.

import type { CodecName } from "./codecs";
import { Meter } from "./meter";
import type { VideoProgress, ViewStats } from "./ports";
import { rtpAge, type ServerClock } from "./server-clock";
import type { Mode, Report, Stats } from "./wire";

/** Report interval. */
const REPORT_MS = 1000;
/** Report interval for a video about as fast as the screen: when in the refresh cycle its frames are ready soon changes. */
const VSYNC_REPORT_MS = 500;
/** The first report goes out soon: its echo is the first measure of the clocks. */
const FIRST_REPORT_MS = 100;
/** A frame published so shortly after the last one shown may still be on its way. */
const TRANSIT_MS = 50;
/** When video is expected and little comes, the server is asked this soon what it sent. */
const MISSING_REPORT_MS = 300;
/** Fewer frames than this fraction of those sent are little. A still scene gets a few, to sharpen it. */
const MIN_FRAMES_FRACTION = 0.4;

export class Subscription {
  readonly views = new Set<number>();
  codec: CodecName | undefined;
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
  private video: Pick<VideoProgress, "fps" | "latency_ms" | "vsync"> | undefined;
  private report_at: number;
  private reported_at = 0;
  private progressed_at: number;
  private counted_at: number;

  constructor(
    readonly sub: number,
    readonly stream: string,
    readonly mode: Mode,
    readonly asked: CodecName | undefined,
    now: number,
  ) {
    this.report_at = now + FIRST_REPORT_MS;
    this.progressed_at = now;
    this.counted_at = now;
  }

  /** A frame of this subscription was painted on a canvas, `late` milliseconds after it was published. */
  countPainted(late: number | undefined, now: number): void {
    this.decoded += 1;
    this.painted += 1;
    this.meter.add(now, late);
  }

  /** What the main thread counted of a video. */
  countVideo({ decoded, dropped, fps, latency_ms, vsync, views }: VideoProgress, now: number): void {
    const painted = Math.max(0, ...views.map((one) => one.painted));
    this.decoded += decoded;
    this.received += decoded;
    this.painted += painted;
    this.dropped += dropped;
    this.video = { fps, latency_ms, vsync };
    const sent_fps = this.stats === undefined ? 0 : Math.min(this.stats.published_fps, this.stats.sent_fps);
    const expected = (MIN_FRAMES_FRACTION * sent_fps * Math.min(now - this.counted_at, REPORT_MS)) / 1000;
    this.counted_at = now;
    if (Math.max(decoded, painted) > expected) this.progressed_at = now;
  }

  setVisible(visible: boolean, now: number): void {
    if (visible !== this.visible) this.report_at = now;
    this.visible = visible;
  }

  requestKeyframe(now: number): void {
    this.keyframe = true;
    this.report_at = now;
  }

  /** The report to send, if one is due. */
  reportIfDue(now: number): Report | undefined {
    if (now < this.deadline) return undefined;
    const vsync = this.video?.vsync;
    this.report_at = now + (vsync === undefined ? REPORT_MS : VSYNC_REPORT_MS);
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
      ...(vsync === undefined ? {} : { refresh_ms: round(vsync.refresh_ms), slack_ms: round(vsync.slack_ms) }),
    };
    this.keyframe = false;
    // Sent once: the server reacts and shifts the phase.
    if (this.video !== undefined) this.video = { ...this.video, vsync: undefined };
    return report;
  }

  get deadline(): number {
    const expecting = this.mode === "webrtc" && this.visible && this.decoded > 0 && (this.stats?.published_fps ?? 0) > 0;
    return expecting ? Math.min(this.report_at, Math.max(this.progressed_at, this.reported_at) + MISSING_REPORT_MS) : this.report_at;
  }

  /** When the newest units were published, by the viewer's clock, estimated on the early side. */
  sentTimes(clock: ServerClock, now: number): readonly number[] {
    const { stats } = this;
    if (stats === undefined) return [];
    if (stats.frames.length > 0) return stats.frames.map((mark) => mark.time - clock.offset - clock.error - TRANSIT_MS);
    return this.mode === "webrtc" && stats.sent_fps > 1 && stats.published_fps > 1 ? [now - TRANSIT_MS] : [];
  }

  /** How far RTP timestamps are ahead of the server's clock, milliseconds. */
  get rtp_ahead_ms(): number {
    const mark = this.stats?.frames.at(-1);
    return mark === undefined ? 0 : -rtpAge(mark.rtp_timestamp, mark.time);
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
