// What carries the messages between a session and its server: types only.
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

/** The openers of transports, by the scheme of the server's URL: "wss:". */
export type Openers = Readonly<Record<string, OpenTransport>>;

/** What the worker asks of a transport on the main thread. `id` counts the connections, as messages of two may cross. */
export type RelayCommand =
  | { readonly type: "open"; readonly id: number }
  | { readonly type: "send"; readonly id: number; readonly text: string }
  | { readonly type: "close"; readonly id: number; readonly code: number; readonly reason: string };

/** What happens on a transport of the main thread. */
export type RelayEvent =
  | { readonly type: "opened"; readonly id: number }
  | { readonly type: "message"; readonly id: number; readonly data: string | Uint8Array }
  | { readonly type: "closed"; readonly id: number; readonly code: number; readonly reason: string };
