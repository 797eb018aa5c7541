// The videos of a peer connection and the views that show them: what is counted, which view is timed, and when a report is due.
// Must not know RTCPeerConnection, video elements or any clock: shells report what happened and when.

import { Meter } from "./meter";
import type { VideoProgress } from "./ports";
import { rtpAge } from "./server-clock";
import { VsyncSlack } from "./vsync-slack";

/** From so many frames a second on, it matters when in the screen's interval a frame is ready. */
const VSYNC_MIN_FPS = 40;

/** The browser's totals of one video since its connection began. */
export interface VideoTotals {
  readonly arrived: number;
  readonly decoded: number;
  readonly dropped: number;
}

/** One painted frame, in milliseconds of one clock, which need not be the session's. */
export interface PaintedFrame {
  /** When the frame was ready. */
  readonly ready_at: number;
  /** The refresh that showed it. */
  readonly shown_at: number;
  /** From now to when it is seen: the browser reports a frame a little before that. */
  readonly ahead_ms: number;
  readonly rtp_timestamp: number | undefined;
}

interface Video {
  readonly meter: Meter;
  readonly slack: VsyncSlack;
  /** About as fast as a screen. */
  fast: boolean;
  totals: VideoTotals;
}

interface TrackedView {
  mid: string | undefined;
  /** Milliseconds to add to this thread's clock to have that of RTP timestamps; undefined until measured. */
  clock_offset: number | undefined;
  /** Frames painted since the last report. */
  painted: number;
  /** Frames painted since the view got this video. */
  total: number;
}

export class VideoTracks {
  private readonly videos = new Map<string, Video>();
  private readonly tracked = new Map<number, TrackedView>();

  addView(view: number): void {
    this.tracked.set(view, { mid: undefined, clock_offset: undefined, painted: 0, total: 0 }); // mutants: the counts begin when a video is attached
  }

  removeView(view: number): void {
    this.tracked.delete(view);
  }

  /** The view shows this media section from now on, and its counts begin at zero. */
  attach(view: number, mid: string): void {
    const entry = this.tracked.get(view);
    if (entry === undefined) return;
    entry.mid = mid;
    entry.painted = 0;
    entry.total = 0;
  }

  detach(view: number): void {
    const entry = this.tracked.get(view);
    if (entry !== undefined) entry.mid = undefined;
  }

  /** `offset`: milliseconds to add to this thread's clock to have that of the view's RTP timestamps; undefined while unknown. */
  setClock(view: number, offset: number | undefined): void {
    const entry = this.tracked.get(view);
    if (entry !== undefined) entry.clock_offset = offset;
  }

  midOf(view: number): string | undefined {
    return this.tracked.get(view)?.mid;
  }

  viewsOf(mid: string): readonly number[] {
    return [...this.tracked].flatMap(([view, entry]) => (entry.mid === mid ? [view] : []));
  }

  /** The media section has a new track. */
  addVideo(mid: string): void {
    this.videos.set(mid, { meter: new Meter(), slack: new VsyncSlack(), fast: false, totals: { arrived: 0, decoded: 0, dropped: 0 } });
  }

  /** The connection is closed. The views stay. */
  clear(): void {
    this.videos.clear();
  }

  /**
   * A view painted a frame. `refresh_ms` gives the screen's interval, and is only asked for a fast video.
   * Returns whether to report at once: the first frame of a view decides the race.
   */
  painted(view: number, frame: PaintedFrame, now: number, refresh_ms: () => number | undefined): boolean {
    const entry = this.tracked.get(view);
    const video = entry?.mid === undefined ? undefined : this.videos.get(entry.mid);
    if (entry === undefined || video === undefined) return false;
    entry.painted += 1;
    entry.total += 1;
    if (this.timedView(entry.mid) === view) this.time(video, frame, latenessOf(frame, now, entry.clock_offset), now, refresh_ms);
    return entry.total === 1;
  }

  /** The frames that a view has painted in all, from a browser that does not report each of them. */
  countPainted(view: number, total: number): void {
    const entry = this.tracked.get(view);
    if (entry === undefined) return;
    entry.painted += Math.max(0, total - entry.total);
    entry.total = total;
  }

  /** What happened since the last call, of each video with any activity. `totals`: the browser's, by media section. */
  report(totals: ReadonlyMap<string, VideoTotals>, now: number, refresh_ms: () => number | undefined): readonly VideoProgress[] {
    return [...this.videos].flatMap(([mid, video]) => this.progressOf(mid, video, totals.get(mid), now, refresh_ms) ?? []);
  }

  private progressOf(
    mid: string,
    video: Video,
    totals: VideoTotals | undefined,
    now: number,
    refresh_ms: () => number | undefined,
  ): VideoProgress | undefined {
    const { arrived, decoded, dropped } = takeTotals(video, totals);
    const views = this.takePainted(mid);
    const fps = video.meter.rate(now);
    const slack = video.slack.take();
    video.fast = fps >= VSYNC_MIN_FPS;
    const refresh = video.fast ? refresh_ms() : undefined;
    const vsync = slack === undefined || refresh === undefined ? undefined : { refresh_ms: refresh, slack_ms: slack * refresh };
    if (arrived + decoded === 0 && views.every((one) => one.painted === 0) && fps === 0) return undefined;
    return { mid, arrived, decoded, dropped, fps, latency_ms: video.meter.median(now), vsync, views };
  }

  /** Of several views of one video, the first one is timed. */
  private timedView(mid: string | undefined): number | undefined {
    for (const [view, entry] of this.tracked) if (entry.mid === mid) return view;
    return undefined;
  }

  private time({ meter, slack, fast }: Video, frame: PaintedFrame, late: number | undefined, now: number, refresh_ms: () => number | undefined): void {
    meter.add(now, late);
    const refresh = fast ? refresh_ms() : undefined;
    if (refresh !== undefined) slack.add(frame.ready_at, frame.shown_at, refresh);
  }

  /** The frames that each view of the video has painted since the last call. */
  private takePainted(mid: string): VideoProgress["views"] {
    const taken: { readonly view: number; readonly painted: number }[] = [];
    for (const [view, entry] of this.tracked) {
      if (entry.mid !== mid) continue;
      taken.push({ view, painted: entry.painted });
      entry.painted = 0;
    }
    return taken;
  }
}

function latenessOf({ rtp_timestamp, ahead_ms }: PaintedFrame, now: number, clock_offset: number | undefined): number | undefined {
  if (clock_offset === undefined || rtp_timestamp === undefined) return undefined;
  return rtpAge(rtp_timestamp, now + Math.max(0, ahead_ms) + clock_offset);
}

/** The growth of the totals since the last call. A browser that starts counting again counts nothing twice. */
function takeTotals(video: Video, totals: VideoTotals | undefined): VideoTotals {
  const before = video.totals;
  const growth = (total: number | undefined, last: number): number => Math.max(0, (total ?? 0) - last);
  const arrived = growth(totals?.arrived, before.arrived);
  const decoded = growth(totals?.decoded, before.decoded);
  const dropped = growth(totals?.dropped, before.dropped);
  video.totals = { arrived: before.arrived + arrived, decoded: before.decoded + decoded, dropped: before.dropped + dropped };
  return { arrived, decoded, dropped };
}
