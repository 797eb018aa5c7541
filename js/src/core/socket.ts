// The state of the one socket: opening, ready or closed; when to try again, and when a silent one is dead.
// Must not know WebSocket objects, nor what the messages say.

import type { ServerStatus } from "./ports";
import type { StreamInfo } from "./wire";

type Phase = "idle" | "opening" | "greeting" | "ready" | "closed" | "failed";

const BACKOFF_MS = 250;
const BACKOFF_MAX_MS = 8000;
const OPEN_MS = 10_000;
/** The server answers every report; reports are due once a second. */
const SILENCE_MS = 5000;
/** Likewise while frames come beside it: the server lives, and on a way that loses much TCP alone takes so long. */
const PATIENCE_MS = 12_000;
const BESIDE_MS = 1500;
/** A timer so late means that the machine slept: the socket may be long dead without having said so. */
const SLEPT_MS = 4000;
const WAKE_MS = 1500;

/** Trying again cannot help: a person must do something. */
const FATAL: Readonly<Record<number, string>> = {
  4400: "The server did not understand this page. Reload it; if that does not help, page and server are of different versions.",
  4401: "The server refused the token. Re-run the cell, or open the address that framewire printed.",
  4403: "The server does not accept viewers from this page's origin.",
  4426: "This page and the server speak different versions. Reload the page.",
};

export type SocketCommand = { readonly type: "connect" } | { readonly type: "disconnect"; readonly code: number; readonly reason: string };

export class Socket {
  phase: Phase = "idle";
  /** A sentence for a person, where `phase` is failed. */
  fault = "";
  private attempts = 0;
  private until = Infinity;
  private heard_at = 0;
  private beside_at = -Infinity;
  private fed_at: number | undefined;
  private lost_at: number | undefined;

  open(now: number): SocketCommand {
    this.phase = "opening";
    this.until = now + OPEN_MS;
    return { type: "connect" };
  }

  stop(): void {
    this.phase = "idle";
    this.until = Infinity;
  }

  opened(now: number): void {
    this.phase = "greeting";
    this.until = now + OPEN_MS;
  }

  /** The streams are known: only now can anything be asked for. Later lists change nothing here. */
  listed(now: number): void {
    if (this.phase !== "greeting") return;
    this.phase = "ready";
    this.attempts = 0;
    this.until = Infinity;
    this.heard_at = now;
  }

  heard(now: number): void {
    this.heard_at = now;
    if (this.phase === "ready") this.until = Infinity;
  }

  /** Frames came over a connection of its own. */
  heardBeside(now: number): void {
    this.beside_at = now;
  }

  closed(code: number, reason: string, jitter: number, now: number): void {
    if (this.phase === "idle") return;
    if (this.phase === "ready") this.lost_at = now;
    const fault = FATAL[code];
    this.phase = fault === undefined ? "closed" : "failed";
    this.fault = fault === undefined ? reason : fault;
    // Full spread between half and whole of the step: viewers of a server that returns do not knock together.
    const step = Math.min(BACKOFF_MAX_MS, BACKOFF_MS * 2 ** this.attempts);
    this.until = fault === undefined ? now + step * (0.5 + jitter / 2) : Infinity;
    this.attempts += 1;
  }

  /** `due`: answers are expected, since reports are being sent. */
  tick(due: boolean, now: number): SocketCommand | undefined {
    const slept = this.fed_at !== undefined && now - this.fed_at > SLEPT_MS;
    this.fed_at = now;
    if (this.phase === "closed" && (now >= this.until || slept)) return this.open(now);
    if (this.phase === "ready") return this.tickReady(due, slept, now);
    if (now < this.until) return undefined;
    return this.phase === "opening" || this.phase === "greeting" ? { type: "disconnect", code: 4000, reason: "no answer" } : undefined;
  }

  get deadline(): number {
    // Silence is looked for at each report, which is often enough.
    return this.until;
  }

  /** One sentence on where the socket stands, for a view that has nothing better to say. */
  sentence(now: number): string {
    if (this.phase === "failed") return this.fault;
    if (this.lost_at === undefined) return this.attempts < 3 ? "Connecting" : "The server does not answer; still trying";
    if (now - this.lost_at > 10_000) return "The server is gone (was the kernel restarted?). Re-run the cell; still trying";
    return "Connection lost; reconnecting";
  }

  /** It was ready once, and is not the first any more. */
  get lost(): boolean {
    return this.lost_at !== undefined;
  }

  private tickReady(due: boolean, slept: boolean, now: number): SocketCommand | undefined {
    if (!due) return undefined;
    if (slept) {
      this.heard_at = now;
      this.until = now + WAKE_MS;
      return undefined;
    }
    const silent = now >= this.heard_at + (now < this.beside_at + BESIDE_MS ? PATIENCE_MS : SILENCE_MS);
    return silent || now >= this.until ? { type: "disconnect", code: 4000, reason: "silent" } : undefined;
  }
}

/** Where the socket stands, for whoever looks at the page and not at one view. */
export function serverStatus(socket: Socket, streams: readonly StreamInfo[], now: number): ServerStatus {
  const ready = socket.phase === "ready";
  const down = socket.lost ? "reconnecting" : "connecting";
  const state = ready ? "open" : socket.phase === "failed" ? "error" : down;
  return { state, reason: ready ? "" : socket.sentence(now), streams };
}
