// How many of the pictures that wait are taken in one refresh of the screen. Two that meet in one are shown one after
// the other: frames come a few milliseconds early or late, and at the screen's own pace that would cost one in twenty.
// Must not know pictures or clocks.

/** Refreshes in a row that left a picture for the next one: so long, and it is no accident but a lag. */
const LAGGING = 5;

export class Cadence {
  private late = 0;

  /** Of so many that wait, oldest first; the last that is taken is shown. None waits for more than one refresh. */
  take(waiting: number): number {
    const leaves = waiting === 2 && this.late < LAGGING;
    this.late = leaves ? this.late + 1 : 0;
    return leaves ? 1 : waiting;
  }
}
