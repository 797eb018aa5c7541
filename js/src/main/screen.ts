// The screen's refreshes, for the machine that measures their interval.
// Must not know what the interval is used for.

import { RefreshInterval } from "../core/refresh-interval";

const interval = new RefreshInterval();

/** Milliseconds between two refreshes of the screen; undefined until measured. Measures again when that is due. */
export function screenRefresh(): number | undefined {
  if (interval.isDue(performance.now())) requestAnimationFrame(look);
  return interval.ms;
}

function look(time: number): void {
  if (interval.add(time)) requestAnimationFrame(look);
}
