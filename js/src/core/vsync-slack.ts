// The slack of video frames: how long before the refresh that shows it a frame is ready, on average.
// Must not know videos, or what the slack is used for. All times are milliseconds of one clock.

/** Fewer frames have no mean slack. */
const MIN_FRAMES = 6;
/** Nor have frames at spread phases of the refresh cycle: the length of their mean vector, from 0 (spread evenly) to 1 (all alike). */
const MIN_CONCENTRATION = 0.5;

export class VsyncSlack {
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
