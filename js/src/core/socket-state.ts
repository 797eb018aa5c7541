// The state of the one socket: opening, ready or closed; when to try again, and when a silent one is dead.
// Must not know WebSocket objects, nor the contents of messages.

import { closeReason, FINAL_CLOSES, type Reason } from "./reasons";
import type { ServerStatus } from "./ports";
import type { StreamInfo } from "./wire";

/** `signaling/README.md` has the states of an open socket; `idle` and `failed` are ours: not begun, and not to be tried again. */
type Phase = "idle" | "opening" | "admitting" | "ready" | "closed" | "failed";

const BACKOFF_MS = 250;
/** The longest wait at first: a server that starts again, or a link that returns, is back on the screen within 5 s. */
const SOON_BACKOFF_MS = 1000;
/** How long that holds, from the first failure on. */
const SOON_MS = 120_000;
/** The longest wait later, and where the server said why it closed: it is not to be asked so often. */
const MAX_BACKOFF_MS = 8000;
/** The server answers `hello` within this time, or the socket is given up. */
const OPEN_MS = 10_000;
/** The same for every second connection that opens. On a path that returns, one that began before sends its next packet 4 s later. */
const SHORT_OPEN_MS = 5000;
/** The server answers every report, and reports are due once a second: a socket silent for this long is dead. */
const SILENCE_MS = 5000;
/** The same while WebRTC frames arrive: the server is up, and TCP alone may need this long on a path with much loss. */
const SILENCE_WITH_VIDEO_MS = 12_000;
/** WebRTC frames count as arriving for this long after the newest one. */
const VIDEO_RECENT_MS = 1500;
/** A timer so late means that the machine slept: the socket may be dead without having been closed. */
const SLEPT_MS = 4000;
/** After sleep, a socket that works delivers a message within this time. */
const PROOF_AFTER_SLEEP_MS = 1500;
/** A server that has been away for so long is not merely restarting. */
const GONE_MS = 10_000;
/** A page that never had the server calls it silent from this attempt on. */
const NO_ANSWER_ATTEMPTS = 3;

/** The viewer's own close code for a server that does not answer. */
const CLOSE_SILENT = 4000;

export type SocketCommand = { readonly type: "connect" } | { readonly type: "disconnect"; readonly code: number; readonly reason: string };

export class SocketState {
  phase: Phase = "idle";
  /** What the server said when it closed the last socket; undefined once the next one is ready. */
  private fault: Reason | undefined;
  private attempts = 0;
  private opened_at = 0;
  /** When the first of these attempts failed. */
  private failing_since: number | undefined;
  private until = Infinity;
  private received_at = 0;
  private video_at = -Infinity;
  private ticked_at: number | undefined;
  private lost_at: number | undefined;

  open(now: number): SocketCommand {
    this.phase = "opening";
    this.opened_at = now;
    this.until = now + (this.attempts % 2 === 1 ? SHORT_OPEN_MS : OPEN_MS);
    return { type: "connect" };
  }

  stop(): void {
    this.phase = "idle";
    this.until = Infinity;
  }

  opened(now: number): void {
    this.phase = "admitting";
    this.until = now + OPEN_MS;
  }

  /** The streams are known: only now can the viewer subscribe. Later lists change nothing here. */
  listed(now: number): void {
    if (this.phase !== "admitting") return;
    this.phase = "ready";
    this.attempts = 0;
    this.failing_since = undefined;
    this.fault = undefined;
    this.until = Infinity;
    this.received_at = now;
  }

  /** A message came. */
  received(now: number): void {
    this.received_at = now;
    if (this.phase === "ready") this.until = Infinity;
  }

  /** Frames came over WebRTC. */
  videoReceived(now: number): void {
    this.video_at = now;
  }

  /** `jitter`: a random number in [0, 1). */
  closed(code: number, reason: string, jitter: number, now: number): void {
    if (this.phase === "idle") return;
    // An attempt that took long has waited already.
    const from = this.phase === "ready" ? now : this.opened_at;
    if (this.phase === "ready") this.lost_at = now;
    this.failing_since ??= now;
    const final = code in FINAL_CLOSES;
    this.phase = final ? "failed" : "closed";
    this.fault = closeReason(code, reason);
    // Spread between half of the step and all of it: the viewers of a server that returns do not all connect at once.
    const spread = 0.5 + jitter / 2;
    const soon = this.fault === undefined && now - this.failing_since < SOON_MS;
    const step = Math.min(soon ? SOON_BACKOFF_MS : MAX_BACKOFF_MS, BACKOFF_MS * 2 ** this.attempts);
    this.until = final ? Infinity : Math.max(now + BACKOFF_MS * spread, from + step * spread);
    this.attempts += 1;
  }

  /** `reporting`: answers are expected, since reports are being sent. */
  tick(reporting: boolean, now: number): SocketCommand | undefined {
    const slept = this.ticked_at !== undefined && now - this.ticked_at > SLEPT_MS;
    this.ticked_at = now;
    if (this.phase === "closed" && (now >= this.until || slept)) return this.open(now);
    if (this.phase === "ready") return this.tickReady(reporting, slept, now);
    if (now < this.until) return undefined;
    return this.phase === "opening" || this.phase === "admitting" ? { type: "disconnect", code: CLOSE_SILENT, reason: "no answer" } : undefined;
  }

  get deadline(): number {
    // Silence is looked for at each report, which is often enough.
    return this.until;
  }

  /** Why there is no open socket, for a view that has nothing better to show. */
  reason(now: number): Reason {
    if (this.fault !== undefined) return this.fault;
    if (this.lost_at === undefined) return { code: this.attempts < NO_ANSWER_ATTEMPTS ? "connecting" : "no_answer" };
    return { code: now - this.lost_at > GONE_MS ? "server_gone" : "connection_lost" };
  }

  /** It was ready before. */
  get lost(): boolean {
    return this.lost_at !== undefined;
  }

  private tickReady(reporting: boolean, slept: boolean, now: number): SocketCommand | undefined {
    if (!reporting) return undefined;
    if (slept) {
      this.received_at = now;
      this.until = now + PROOF_AFTER_SLEEP_MS;
      return undefined;
    }
    const silent = now >= this.received_at + (now < this.video_at + VIDEO_RECENT_MS ? SILENCE_WITH_VIDEO_MS : SILENCE_MS);
    return silent || now >= this.until ? { type: "disconnect", code: CLOSE_SILENT, reason: "silent" } : undefined;
  }
}

/** Where the socket stands, for a page that looks at the server and not at one view. */
export function serverStatus(socket: SocketState, streams: readonly StreamInfo[], now: number): ServerStatus {
  if (socket.phase === "ready") return { state: "open", reason: undefined, streams };
  const state = socket.lost ? "reconnecting" : "connecting";
  return { state: socket.phase === "failed" ? "error" : state, reason: socket.reason(now), streams };
}
