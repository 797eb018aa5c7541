// The transport for each scheme of a server's URL. Another transport is another file and another entry here.
// Must not know how any of them works.

import { schemeOf } from "../core/address";
import type { Openers, OpenTransport } from "../core/transport";
import { openWebSocket } from "./websocket";

const OPENERS: Openers = { "ws:": openWebSocket, "wss:": openWebSocket };

/** Opens the transport for the URL's scheme. A relative URL and those of http and https are for a WebSocket, too. */
export const openTransport: OpenTransport = (url, events) => (OPENERS[schemeOf(url)] ?? openWebSocket)(url, events);
