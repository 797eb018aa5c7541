// The phase of video frames against the screen's refreshes: how long before the refresh that shows it a frame is ready, on average.
// Must not know videos, or what the phase is used for. All times are milliseconds of one clock.

/** Fewer frames say nothing about the phase. */
const MIN_FRAMES = 6;
/** Nor do frames whose phases are spread: the length of their mean vector, from 0 (spread evenly) to 1 (all alike). */
const MIN_CONCENTRATION = 0.5;

export class VsyncPhase {
  private x = 0;
  private y = 0;
  private count = 0;

  /** A frame that was ready at `ready` was shown by the refresh at `shown`; refreshes are `refresh` apart. */
  add(ready: number, shown: number, refresh: number): void {
    const angle = (2 * Math.PI * (shown - ready)) / refresh;
    this.x += Math.cos(angle);
    this.y += Math.sin(angle);
    this.count += 1;
  }

  /**
   * The mean slack of the frames since the last call, in [0, 1) of a refresh; undefined where they say nothing.
   * The mean is circular. A plain mean is wrong where it matters: of frames that are ready just before and just after
   * a refresh it is half a refresh.
   */
  take(): number | undefined {
    const { x, y, count } = this;
    this.x = this.y = this.count = 0;
    // A browser that does not give a time gives NaN, for which no comparison is true.
    if (count < MIN_FRAMES || !(Math.hypot(x, y) >= MIN_CONCENTRATION * count)) return undefined;
    return (Math.atan2(y, x) / (2 * Math.PI) + 1) % 1; // mutants: any whole number of turns may be added
  }
}

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
