// Video that plays: whether frames that the server sent fail to appear.
// Must not know how the two sides' clocks are compared; all times are the viewer's.

/** Frames were sent, and none has come for this long. */
export const STALL_MS = 1000;

export class StallDetector {
  private last: number;
  /** When the oldest frame that should have come was published. */
  private missing_since: number | undefined;

  constructor(readonly since: number) {
    this.last = since;
  }

  /** A frame was decoded or painted; or the view came into sight or went out of it, and what a hidden tab does not paint is not missing. */
  progress(now: number): void {
    this.last = now;
    this.missing_since = undefined;
  }

  /** When the newest frames that the server sent were published. Returns whether one of them has not come. */
  sent(times: readonly number[]): boolean {
    const missing = times.find((time) => time > this.last);
    if (missing !== undefined) this.missing_since ??= missing;
    return missing !== undefined;
  }

  isStalled(now: number): boolean {
    return now >= this.deadline;
  }

  get deadline(): number {
    return this.missing_since === undefined ? Infinity : this.missing_since + STALL_MS;
  }
}
