// A scene that is still under video: when to fetch the exact picture, and when the scene moves again.
// Must not know subscriptions.

/** No newer frame was published for this long: the scene is still. */
const STILL_MS = 400;
/** The wait doubles up to this for a scene that is never still for long. */
const MAX_STILL_MS = 8000;
/** A scene that moves again within this time was not really still. */
const BRIEF_MS = 3000;

export class StillScene {
  private wait = STILL_MS;
  private exact: { readonly since: number; painted: number } | undefined;

  /** Whether the exact picture is being fetched or shown. */
  get active(): boolean {
    return this.exact !== undefined;
  }

  /** No newer frame has been published for `still_ms`. */
  observe(still_ms: number, now: number): void {
    if (still_ms > this.wait) this.exact ??= { since: now, painted: 0 };
  }

  /** So many exact pictures were painted: the first one is the still scene, the second one says that it moves again. */
  painted(count: number, now: number): "exact" | "moving" | undefined {
    if (this.exact === undefined) return undefined;
    this.exact.painted += count;
    if (this.exact.painted === 1) return "exact";
    this.wait = now - this.exact.since < BRIEF_MS ? Math.min(2 * this.wait, MAX_STILL_MS) : STILL_MS;
    this.exact = undefined;
    return "moving";
  }

  /** The video is over; how long to wait the next time is kept. */
  clear(): void {
    this.exact = undefined;
  }
}
