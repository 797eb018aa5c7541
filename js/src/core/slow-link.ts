// Whether the link is too slow for lossless pictures: less than half of the published frames are shown, in two windows running.
// Must not know what is done about it.

const WINDOW_MS = 2000;
/** So many slow windows in a row. */
const WINDOWS = 2;
/** A stream of fewer frames a second says nothing about the link. */
const MIN_PUBLISHED_FPS = 5;
/** So many frames a second are good enough, whatever is published. */
const ENOUGH_FPS = 20;

export class SlowLink {
  /** Frames a second that the server publishes. */
  published_fps = 0;
  private painted = 0;
  private slow_windows = 0;

  constructor(private since: number) {}

  /** So many frames that came over the WebSocket were painted. */
  add(painted: number): void {
    this.painted += painted;
  }

  /** The view came into sight or went out of it: a new window begins. */
  restart(now: number): void {
    this.since = now;
    this.painted = 0;
  }

  /** The painted frames a second, at the end of a window that makes it certain. `counts`: the view is seen and is shown lossless pictures. */
  tick(counts: boolean, now: number): number | undefined {
    if (now < this.since + WINDOW_MS) return undefined;
    const fps = (this.painted * 1000) / (now - this.since);
    this.slow_windows = counts && this.isSlow(fps) ? this.slow_windows + 1 : 0;
    this.restart(now);
    return this.slow_windows >= WINDOWS ? fps : undefined;
  }

  private isSlow(fps: number): boolean {
    return this.published_fps >= MIN_PUBLISHED_FPS && fps < this.published_fps / 2 && fps < ENOUGH_FPS && fps > 0;
  }
}
