// Waits for the screen's next refresh: of the pictures painted between two refreshes, only the last is ever seen.
// Must not know what is painted.

/** A page that is not visible has no refreshes; nothing waits longer than this for one. */
const MAX_WAIT_MS = 40;

interface Screen {
  requestAnimationFrame?(then: () => void): number;
}

export class Refresh {
  private asked = 0;
  private done = 0;

  /** `then` is called in the next refresh after a call of `wait`. */
  constructor(private readonly then: () => void) {}

  /** There is something to paint. */
  wait(): void {
    if (this.asked !== this.done) return;
    this.asked += 1;
    const mine = this.asked;
    const screen = globalThis as Screen;
    // Without refreshes, it is the event loop's next turn, so that messages that have arrived come first.
    const timer = setTimeout(() => this.finish(mine), screen.requestAnimationFrame === undefined ? 0 : MAX_WAIT_MS);
    screen.requestAnimationFrame?.(() => {
      clearTimeout(timer);
      this.finish(mine);
    });
  }

  private finish(which: number): void {
    if (which !== this.asked || which === this.done) return;
    this.done = which;
    this.then();
  }
}
