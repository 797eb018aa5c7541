// The screen's next refresh: a picture painted twice between two of them was painted once for nobody.
// Must not know what is painted.

/** A page that is not looked at has no refreshes; nothing waits longer for one. */
const PATIENCE_MS = 40;

interface Screen {
  requestAnimationFrame?(then: () => void): number;
}

export class Refresh {
  private count = 0;
  private settled = 0;

  /** `then` is called after each refresh that somebody waited for. */
  constructor(private readonly then: () => void) {}

  /** Whether what was painted last may not have been seen yet. */
  get waiting(): boolean {
    return this.count !== this.settled;
  }

  /** Something was painted. */
  wait(): void {
    const screen = globalThis as Screen;
    if (this.waiting || screen.requestAnimationFrame === undefined) return;
    this.count += 1;
    const mine = this.count;
    const timer = setTimeout(() => this.over(mine), PATIENCE_MS);
    screen.requestAnimationFrame(() => {
      clearTimeout(timer);
      this.over(mine);
    });
  }

  private over(which: number): void {
    if (which !== this.count || !this.waiting) return;
    this.settled = which;
    this.then();
  }
}
