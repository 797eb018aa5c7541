// The screen's next refresh: what is painted in it is what it shows; painted before, it may be painted over unseen.
// Must not know what is painted.

/** A page that is not looked at has no refreshes; nothing waits longer for one. */
const PATIENCE_MS = 40;

interface Screen {
  requestAnimationFrame?(then: () => void): number;
}

export class Refresh {
  private count = 0;
  private settled = 0;

  /** `then` is called in each refresh that somebody waits for. */
  constructor(private readonly then: () => void) {}

  /** There is something to paint. */
  wait(): void {
    if (this.count !== this.settled) return;
    this.count += 1;
    const mine = this.count;
    const screen = globalThis as Screen;
    // A thread that knows no refreshes takes the next turn, so that frames already received come first.
    const timer = setTimeout(() => this.over(mine), screen.requestAnimationFrame === undefined ? 0 : PATIENCE_MS);
    screen.requestAnimationFrame?.(() => {
      clearTimeout(timer);
      this.over(mine);
    });
  }

  private over(which: number): void {
    if (which !== this.count || which === this.settled) return;
    this.settled = which;
    this.then();
  }
}
