// What a transport between the worker and the server does: types only.
// Must not know messages, nor the session.

/** What happens on a transport, in order. Nothing happens before the call that opens it has returned, nor after `closed`. */
export interface TransportEvents {
  opened(): void;
  /** One whole message, text or bytes. */
  message(data: string | Uint8Array): void;
  closed(code: number, reason: string): void;
}

/** One connection to the server, from its opening to its close. */
export interface Transport {
  /** Sends one text message; drops it where the transport is not open. */
  send(text: string): void;
  /** Closes the connection, and reports `closed` at once: a dead network never answers a close. */
  close(code: number, reason: string): void;
}

export type OpenTransport = (url: string, events: TransportEvents) => Transport;
