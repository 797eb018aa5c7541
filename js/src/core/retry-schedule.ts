// When WebRTC may be tried again after it failed. All views of a socket share one schedule, since they share one network path.
// Must not know views or peers.

/** The wait after the first failure, the second, and every later one. The last keeps "back on WebRTC within 30 s of UDP's return". */
const RETRY_MS: readonly number[] = [5_000, 10_000, 20_000];
/** After video that lasted this long, the next failure counts as the first. */
const LASTED_MS = 10_000;

export class RetrySchedule {
  private failures = 0;
  private retry_at = 0;

  /** WebRTC may be tried from this time on. */
  get next(): number {
    return this.retry_at;
  }

  /** Several views that fail together are one failure. */
  failed(now: number): void {
    if (now < this.retry_at) return;
    this.retry_at = now + (RETRY_MS[Math.min(this.failures, RETRY_MS.length - 1)] as number);
    this.failures += 1;
  }

  /** Video has been shown for `ms`. */
  lasted(ms: number): void {
    if (ms >= LASTED_MS) this.failures = 0;
  }

  clear(): void {
    this.failures = 0;
    this.retry_at = 0;
  }
}
