// How many of the waiting pictures are taken in one refresh of the screen. Two that meet in one refresh are shown one after
// the other: frames come a few milliseconds early or late, and at the screen's own rate that would drop one in twenty.
// Must not know pictures or clocks.

/** After so many refreshes in a row with a picture left over, take all: the pictures lag behind. */
const LAGGING_REFRESHES = 5;

export class Cadence {
  private lagging = 0;

  /** How many of `waiting` pictures to take, oldest first; the last one taken is shown. None waits for more than one refresh. */
  take(waiting: number): number {
    const leaves_one = waiting === 2 && this.lagging < LAGGING_REFRESHES;
    this.lagging = leaves_one ? this.lagging + 1 : 0;
    return leaves_one ? 1 : waiting;
  }
}
