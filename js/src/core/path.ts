// Whether UDP is worth another try: one memory for all views of a socket, since they share the way.
// Must not know views or peers.

/** After the first failure, the second, and every later one. The last keeps "back on WebRTC within 30 s of UDP's return". */
const RETRY_MS: readonly number[] = [5_000, 10_000, 20_000];
/** Video that lasted so long was no fluke: the next failure counts as the first again. */
const LASTED_MS = 10_000;

export class Path {
  private attempts = 0;
  private retry_at = 0;

  /** When WebRTC may be tried again. */
  get next(): number {
    return this.retry_at;
  }

  /** Several views failing together are one failure. */
  failed(now: number): void {
    if (now < this.retry_at) return;
    this.retry_at = now + (RETRY_MS[Math.min(this.attempts, RETRY_MS.length - 1)] ?? 0);
    this.attempts += 1;
  }

  lasted(ms: number): void {
    if (ms >= LASTED_MS) this.attempts = 0;
  }

  clear(): void {
    this.attempts = 0;
    this.retry_at = 0;
  }
}
