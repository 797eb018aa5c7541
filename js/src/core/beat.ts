// Where in the screen's rhythm frames get ready: how long before the refresh that shows them, on the average round the clock.
// Must not know videos, frames or what the answer is for; all times are milliseconds of one clock.

/** Fewer frames tell nothing, and neither do such as come whenever: the length of their mean, from 0 (anyhow) to 1 (all alike). */
const ENOUGH = 6;
const ALIKE = 0.5;

export class Beat {
  private x = 0;
  private y = 0;
  private count = 0;

  /** A frame that was ready at `ready` was shown by the refresh at `shown`; there is one every `refresh`. */
  add(ready: number, shown: number, refresh: number): void {
    const angle = (2 * Math.PI * (shown - ready)) / refresh;
    this.x += Math.cos(angle);
    this.y += Math.sin(angle);
    this.count += 1;
  }

  /** The slack since the last call, in [0, 1) of a refresh. A mean of plain times would be wrong where it matters: half of them
   * just before a refresh and half just behind it are half a refresh on average. */
  take(): number | undefined {
    const { x, y, count } = this;
    this.x = this.y = this.count = 0;
    // Times that a browser does not tell are no numbers, and compare with nothing.
    if (count < ENOUGH || !(Math.hypot(x, y) >= ALIKE * count)) return undefined;
    return (Math.atan2(y, x) / (2 * Math.PI) + 1) % 1;
  }
}

/** The median of the gaps between times in order; undefined of fewer than two. */
export function medianGap(times: readonly number[]): number | undefined {
  const gaps = times.slice(1).map((time, index) => time - (times[index] ?? time));
  gaps.sort((a, b) => a - b);
  return gaps[gaps.length >> 1];
}
