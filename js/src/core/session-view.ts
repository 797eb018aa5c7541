// One view of a stream, as the session keeps it: its plan, its waiting input, and the status that it last had.
// Must not know the DOM or the socket's messages.

import type { Capabilities } from "./capabilities";
import { canWait, merge, stateKind } from "./input";
import { Plan } from "./plan";
import type { ViewState, ViewStats, ViewStatus } from "./ports";
import type { Reason } from "./reasons";
import type { RetrySchedule } from "./retry-schedule";
import type { ServerClock } from "./server-clock";
import type { SocketState } from "./socket-state";
import type { Subscription } from "./subscription";
import type { RenderviewEvent, StreamInfo, ViewMode } from "./wire";

/** Pointer moves and wheel events are merged for about one refresh of the screen. */
const FLUSH_MS = 16;
/** After the server refused even lossless pictures, the view subscribes again after this long. */
const REFUSED_MS = 5000;

export class SessionView {
  readonly plan: Plan;
  /** Lossless frames that this view was given since it was opened, by the result of their checksum. */
  exact = 0;
  mismatched = 0;
  /** The stream that the view last had. One that comes back under the same name has another. */
  private stream_id: number | undefined;
  private waiting: RenderviewEvent[] = [];
  private flush_at = Infinity;
  /** How the view is: the newest event of its size, visibility and focus. */
  private readonly known = new Map<string, RenderviewEvent>();
  /** The server knows how the view is. */
  private introduced = false;
  private refusal: { readonly until: number; readonly reason: Reason } | undefined;
  private last_status = "";

  constructor(
    readonly id: number,
    public stream: string,
    private mode: ViewMode,
    public visible: boolean,
    capabilities: Capabilities,
    retries: RetrySchedule,
  ) {
    this.plan = new Plan(mode, capabilities, retries, visible);
  }

  /** The stream is there, under this `id`, and the socket is ready. */
  begin(id: number | undefined, now: number): void {
    if (id !== this.stream_id) {
      this.plan.forget();
      this.introduced = false;
    }
    this.stream_id = id;
    if (this.refusal !== undefined && now < this.refusal.until) return this.plan.pause(this.refusal.reason);
    this.refusal = undefined;
    this.plan.begin(now);
  }

  /** The server refused lossless pictures: without them there is nothing to show, and asking again at once would be refused again. */
  refused(reason: Reason, now: number): void {
    this.refusal = { until: now + REFUSED_MS, reason };
  }

  setMode(mode: ViewMode, now: number): void {
    this.mode = mode;
    this.plan.setMode(mode, now);
  }

  setStream(stream: string): void {
    if (stream === this.stream) return;
    this.stream = stream;
    this.introduced = false;
    this.plan.pause({ code: "stream_missing", detail: stream });
    this.plan.showing = "none";
  }

  setVisible(visible: boolean, now: number): void {
    this.visible = visible;
    this.plan.setVisible(visible, now);
  }

  /** Whether the view shows the pictures of `sub`. */
  shows(sub: Subscription): boolean {
    return sub.views.has(this.id) && sub.mode === this.plan.showing;
  }

  /** Another socket follows, to which this is another viewer. */
  disconnected(): void {
    this.introduced = false;
  }

  queue(event: RenderviewEvent, now: number): void {
    const kind = stateKind(event);
    if (kind !== undefined) this.known.set(kind, event);
    const last = this.waiting.at(-1);
    const merged = last === undefined ? undefined : merge(last, event);
    if (merged === undefined) this.waiting.push(event);
    else this.waiting[this.waiting.length - 1] = merged;
    this.flush_at = Math.min(this.flush_at, canWait(event) ? now + FLUSH_MS : now);
  }

  /** The events to send now, in order. `subscribed`: there is a subscription to send them to; without one they are dropped. */
  flush(subscribed: boolean, now: number): readonly RenderviewEvent[] {
    const state = subscribed && !this.introduced ? this.introduce() : [];
    if (now < this.flush_at) return state;
    const events = this.waiting;
    this.waiting = [];
    this.flush_at = Infinity;
    return subscribed ? [...state, ...events] : [];
  }

  private introduce(): readonly RenderviewEvent[] {
    this.introduced = true;
    this.waiting = this.waiting.filter((event) => stateKind(event) === undefined);
    return [...this.known.values()].filter(({ type }) => type !== "focus_out");
  }

  get deadline(): number {
    return Math.min(this.flush_at, this.refusal?.until ?? Infinity);
  }

  /** The status, where it differs from the last one. */
  statusIfNew(socket: SocketState, sub: Subscription | undefined, info: StreamInfo | undefined): ViewStatus | undefined {
    const status: ViewStatus = {
      state: this.state(socket),
      reason: this.plan.reason,
      mode: this.mode,
      showing: this.plan.showing,
      codec: sub?.mode === this.plan.showing ? sub.codec : undefined,
      stream: this.stream,
      size: info === undefined ? undefined : { width: info.width, height: info.height },
      title: info?.title ?? this.stream,
      cursor: info?.cursor ?? "default",
    };
    const text = JSON.stringify(status);
    if (text === this.last_status) return undefined;
    this.last_status = text;
    return status;
  }

  statsOf(sub: Subscription, clock: ServerClock, now: number): ViewStats {
    const { stats } = sub;
    return {
      fps: sub.fps(now),
      latency_ms: sub.latency(now),
      rtt_ms: clock.rtt,
      time: now,
      clock_offset: clock.known ? clock.offset : undefined,
      rtp_ahead_ms: sub.rtp_ahead_ms,
      published_fps: stats?.published_fps ?? 0,
      sent_fps: stats?.sent_fps ?? 0,
      bitrate: stats?.bitrate ?? 0,
      target_bitrate: stats?.target_bitrate ?? 0,
      encode_ms: stats?.encode_ms ?? 0,
      viewers: stats?.viewers ?? 0,
      ...sub.counts,
      exact: this.exact,
      mismatched: this.mismatched,
    };
  }

  private state(socket: SocketState): ViewState {
    if (socket.phase === "failed") return "error";
    if (socket.phase !== "ready") return socket.lost ? "reconnecting" : "connecting";
    return this.plan.active && this.plan.showing !== "none" ? "negotiated" : "open";
  }
}
