// A clock that never runs backwards and still counts the time that the machine sleeps, made of two clocks that each do one of the two.
// Must not read either: they are arguments, both in milliseconds since the Unix epoch.

/** If the wall clock advanced by so much more than the browser's monotonic clock, the machine slept, and that clock stood still. */
const SLEPT_MS = 2000;

export class MonotonicClock {
  private skew = 0;
  /** The wall clock less the monotonic one, at the last call. A wall clock that was set back is no sleep in the other direction. */
  private ahead = 0;

  /** The time, from what the browser's monotonic clock and its wall clock say now. */
  at(monotonic: number, wall: number): number {
    const gained = wall - monotonic - this.ahead;
    this.ahead += gained;
    if (gained > SLEPT_MS) this.skew += gained;
    return monotonic + this.skew;
  }
}
