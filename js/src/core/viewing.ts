// One view of a stream: its plan, its waiting input, and what was last said of it.
// Must not know the DOM or the socket.

import type { Clock } from "./clock";
import { canWait, merge } from "./input";
import type { Path } from "./path";
import { type Capabilities, Plan } from "./plan";
import type { ViewState, ViewStats, ViewStatus } from "./ports";
import type { Socket } from "./socket";
import type { Subscription } from "./subscription";
import type { InputEvent, StreamInfo, ViewMode } from "./wire";

/** Moves and wheels are gathered for about a display frame. */
const FLUSH_MS = 16;
/** After the server refused even the plain pictures, it is asked again after so long. */
const REST_MS = 5000;

export class View {
  readonly plan: Plan;
  /** Lossless frames that this view was given since it began, by what their checksum said. */
  exact = 0;
  mismatched = 0;
  private waiting: InputEvent[] = [];
  private flush_at = Infinity;
  private rest_until = -Infinity;
  private rest_reason = "";
  private said = "";

  constructor(
    readonly id: number,
    public stream: string,
    private mode: ViewMode,
    public visible: boolean,
    able: Capabilities,
    path: Path,
  ) {
    this.plan = new Plan(mode, able, path, visible);
  }

  begin(now: number): void {
    if (now < this.rest_until) return this.plan.pause(this.rest_reason);
    this.rest_until = -Infinity;
    this.plan.begin(now);
  }

  rest(reason: string, now: number): void {
    this.rest_until = now + REST_MS;
    this.rest_reason = reason;
  }

  setMode(mode: ViewMode, now: number): void {
    this.mode = mode;
    this.plan.setMode(mode, now);
  }

  setStream(stream: string): void {
    if (stream === this.stream) return;
    this.stream = stream;
    this.plan.pause("");
    this.plan.showing = "none";
  }

  setVisible(visible: boolean, now: number): void {
    this.visible = visible;
    this.plan.setVisible(visible, now);
  }

  /** Whether the picture seen is the one of `sub`. */
  shows(sub: Subscription): boolean {
    return sub.views.has(this.id) && sub.mode === this.plan.showing;
  }

  queue(event: InputEvent, now: number): void {
    const last = this.waiting.at(-1);
    const merged = last === undefined ? undefined : merge(last, event);
    if (merged === undefined) this.waiting.push(event);
    else this.waiting[this.waiting.length - 1] = merged;
    this.flush_at = Math.min(this.flush_at, canWait(event) ? now + FLUSH_MS : now);
  }

  /** The events to send now, in order. */
  flush(now: number): readonly InputEvent[] {
    if (now < this.flush_at) return [];
    const events = this.waiting;
    this.waiting = [];
    this.flush_at = Infinity;
    return events;
  }

  get deadline(): number {
    return this.rest_until > 0 ? Math.min(this.flush_at, this.rest_until) : this.flush_at;
  }

  statusIfNew(socket: Socket, sub: Subscription | undefined, info: StreamInfo | undefined): ViewStatus | undefined {
    const status: ViewStatus = {
      state: this.state(socket),
      reason: this.plan.reason,
      mode: this.mode,
      showing: this.plan.showing,
      codec: sub?.mode === this.plan.showing ? sub.codec : undefined,
      stream: this.stream,
      size: info === undefined ? undefined : { width: info.width, height: info.height },
    };
    const said = JSON.stringify(status);
    if (said === this.said) return undefined;
    this.said = said;
    return status;
  }

  statsOf(sub: Subscription, clock: Clock, now: number): ViewStats {
    const { stats } = sub;
    return {
      fps: sub.fps(now),
      latency_ms: sub.latency(now),
      rtt_ms: clock.rtt,
      clock_offset: clock.known ? clock.offset : undefined,
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

  private state(socket: Socket): ViewState {
    if (socket.phase === "failed") return "error";
    if (socket.phase !== "ready") return socket.lost ? "reconnecting" : "connecting";
    return this.plan.live && this.plan.showing !== "none" ? "negotiated" : "open";
  }
}
