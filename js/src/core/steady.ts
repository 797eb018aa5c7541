// A clock that never runs back and still notices sleep, made of two that each do one of the two.
// Must not read either: they are arguments, both in milliseconds since the Unix epoch.

/** The wall clock ahead by more than this: the machine slept, and the monotonic clock stood still. */
const SLEPT_MS = 2000;

export class Steady {
  private skew = 0;

  at(monotonic: number, wall: number): number {
    const now = monotonic + this.skew;
    if (wall - now > SLEPT_MS) this.skew += wall - now;
    return monotonic + this.skew;
  }
}
