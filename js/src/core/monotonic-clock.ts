// A clock that never runs backwards and still counts the time that the machine sleeps, made of two clocks that each do one of the two.
// Must not read either: they are arguments, both in milliseconds since the Unix epoch.

/** If the wall clock is ahead by more than this, the machine slept, and the browser's monotonic clock stood still. */
const SLEPT_MS = 2000;

export class MonotonicClock {
  private skew = 0;

  /** The time, from what the browser's monotonic clock and its wall clock say now. */
  at(monotonic: number, wall: number): number {
    const now = monotonic + this.skew;
    if (wall - now > SLEPT_MS) this.skew += wall - now;
    return monotonic + this.skew;
  }
}
