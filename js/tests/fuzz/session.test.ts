// Many episodes of the viewer's session, the same in each run. Must not know what happens in one.
import { expect, test } from "vitest";
import { Episode } from "./episode";
import { Random, SCALE, SEED } from "./random";

/** Of an episode that fails, this much of what led to it. */
const LAST_LINES = 40;

function played(seed: number): string | undefined {
  const random = new Random(seed);
  const episode = new Episode(random);
  try {
    episode.play(10 + random.below(70));
    return undefined;
  } catch (error) {
    return `seed ${seed}: ${String(error)}\n${error instanceof Error ? error.stack : ""}\n${episode.log.slice(-LAST_LINES).join("\n")}`;
  }
}

test("whatever happens, the session keeps the contract, and a page that waits has its picture", { timeout: 3_600_000 }, () => {
  const first = SEED * 1_000_000;
  for (let seed = first; seed < first + 1000 * SCALE; seed++) expect(played(seed)).toBeUndefined();
});
