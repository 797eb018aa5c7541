// Events a second, and how late they are, over the last second or two.
// Must not know what is counted.

const WINDOW_MS = 1500;
const MAX_MARKS = 256;

interface Mark {
  readonly at: number;
  readonly late: number | undefined;
}

export class Meter {
  private marks: Mark[] = [];

  /** One event at `at`, `late` milliseconds after it was due, where that is known. */
  add(at: number, late?: number): void {
    this.marks.push({ at, late });
    if (this.marks.length > MAX_MARKS) this.marks.shift();
  }

  clear(): void {
    this.marks = [];
  }

  /** Events a second in the window. */
  rate(now: number): number {
    const recent = this.marks.filter((mark) => mark.at > now - WINDOW_MS);
    if (recent.length === 0) return 0;
    // Until the window is full, the time between the first and last mark is the better measure.
    const full = (this.marks[0] as Mark).at <= now - WINDOW_MS;
    const covered = full ? WINDOW_MS : (recent.at(-1) as Mark).at - (recent[0] as Mark).at;
    return covered > 0 ? ((recent.length - 1) * 1000) / covered : 0;
  }

  /** The median lateness in the window, milliseconds. */
  median(now: number): number | undefined {
    const late = this.marks.flatMap((mark) => (mark.at > now - WINDOW_MS && mark.late !== undefined ? [mark.late] : []));
    late.sort((a, b) => a - b);
    return late[late.length >> 1];
  }
}
