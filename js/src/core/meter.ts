// How many a second, and how late: over the last second or two.
// Must not know what is counted.

const WINDOW_MS = 1500;
const KEEP = 256;

export class Meter {
  private marks: { readonly at: number; readonly late: number | undefined }[] = [];

  add(at: number, late?: number): void {
    this.marks.push({ at, late });
    if (this.marks.length > KEEP) this.marks.shift();
  }

  clear(): void {
    this.marks = [];
  }

  /** Events a second, lately. */
  rate(now: number): number {
    const lately = this.marks.filter((mark) => mark.at > now - WINDOW_MS);
    const first = lately[0];
    const last = lately.at(-1);
    if (first === undefined || last === undefined || lately.length < 2) return 0;
    // Until the window is full, the time between the first and last mark is the better measure.
    const covered = Math.max(last.at - first.at, (this.marks[0]?.at ?? now) <= now - WINDOW_MS ? WINDOW_MS : 0);
    return covered > 0 ? ((lately.length - 1) * 1000) / covered : 0;
  }

  /** Median lateness in milliseconds, lately. */
  median(now: number): number | undefined {
    const late = this.marks.flatMap((mark) => (mark.at > now - WINDOW_MS && mark.late !== undefined ? [mark.late] : []));
    late.sort((a, b) => a - b);
    return late[late.length >> 1];
  }
}
