// The transport for each kind of server address. Another transport is another file, another kind of address and another entry here.
// Must not know how any of them works.

import type { ServerAddress } from "../core/ports";
import type { OpenTransport } from "./transport";
import { openWebSocket } from "./websocket";

const OPENERS: Readonly<Record<ServerAddress["transport"], OpenTransport>> = { websocket: openWebSocket };

export const openTransport: OpenTransport = (address, events) => OPENERS[address.transport](address, events);
