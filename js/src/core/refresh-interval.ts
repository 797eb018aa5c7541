// The interval between two refreshes of the screen, measured from their times.
// Must not know what the interval is used for, nor any clock: refreshes are reported to it.

/** Refreshes that the interval is measured over. */
const REFRESHES = 9;
/** The interval is measured again after this long: a window may move to another screen. */
const MEASURE_AGAIN_MS = 15_000;

/** The interval between two refreshes of the screen, measured again from time to time. */
export class RefreshInterval {
  /** Milliseconds; undefined until measured. */
  ms: number | undefined;
  private measured_at = -Infinity;
  private measuring = false;
  private times: number[] = [];

  /** Whether a measurement begins now: if so, call `add` at each refresh for as long as it returns true. */
  isDue(now: number): boolean {
    // A hidden page has no refreshes: one measurement that has not ended is enough.
    if (this.measuring || now - this.measured_at <= MEASURE_AGAIN_MS) return false;
    this.measuring = true;
    this.measured_at = now;
    this.times = [];
    return true;
  }

  /** The time of one refresh. Returns whether the next one is wanted too. */
  add(time: number): boolean {
    this.times.push(time);
    if (this.times.length < REFRESHES) return true;
    this.measuring = false;
    const gap = medianGap(this.times) as number;
    this.ms = gap > 0 ? gap : undefined;
    return false;
  }
}

/** The median of the gaps between times in order; undefined of fewer than two. */
export function medianGap(times: readonly number[]): number | undefined {
  const gaps = times.slice(1).map((time, index) => time - (times[index] ?? time));
  gaps.sort((a, b) => a - b);
  return gaps[gaps.length >> 1];
}
