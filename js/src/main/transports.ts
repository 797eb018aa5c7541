// The transports that only the main thread can open, for each scheme of a server's URL. The worker opens all others.
// Must not know how any of them works. Another one is another file and another entry here.

import { schemeOf } from "../core/address";
import type { Openers } from "../core/transport";
import { Relay } from "./relay";

const OPENERS: Openers = {};

/** What lends the worker a transport for this URL; undefined where the worker opens it itself. `openers`: for tests. */
export function relayFor(url: string, openers: Openers = OPENERS): Relay | undefined {
  const open = openers[schemeOf(url)];
  return open === undefined ? undefined : new Relay(url, open);
}
