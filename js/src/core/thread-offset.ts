// How far this thread's clock is ahead of another thread's, from messages that carry the other's time.
// Must not know threads or read a clock: both start their clocks by the wall clock, which may have been set in between.

/** A message waits where this thread is busy, so the quickest of a few says most. Few: the difference may change while the machine sleeps. */
const MAX_SAMPLES = 4;

export class ThreadOffset {
  private samples: number[] = [];

  /** A message of `sent`, by the other's clock, was received at `received`, by ours. */
  message(sent: number, received: number): void {
    this.samples = [...this.samples.slice(1 - MAX_SAMPLES), received - sent];
  }

  /** Milliseconds; zero before the first message. */
  get ms(): number {
    return this.samples.length === 0 ? 0 : Math.min(...this.samples);
  }
}
