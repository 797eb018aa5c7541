// A transport on the main thread, as the worker uses it: over a MessagePort. `main/relay.ts` is at the other end.
// Must not know messages, nor what carries them.

import type { OpenTransport, RelayCommand, RelayEvent, TransportEvents } from "../core/transport";

/** Opens the transport that the main thread has for the server's URL, as often as it is called. */
export function portTransport(port: MessagePort): OpenTransport {
  let id = 0;
  let events: TransportEvents | undefined;
  const post = (command: RelayCommand): void => port.postMessage(command);
  const closed = (code: number, reason: string): void => {
    const open = events;
    events = undefined;
    open?.closed(code, reason);
  };
  port.onmessage = ({ data }: MessageEvent<RelayEvent>) => {
    if (data.id !== id) return;
    if (data.type === "opened") events?.opened();
    else if (data.type === "message") events?.message(data.data);
    else closed(data.code, data.reason);
  };
  return (_, given) => {
    id += 1;
    const mine = id;
    events = given;
    post({ type: "open", id });
    return {
      send: (text) => post({ type: "send", id: mine, text }),
      close: (code, reason) => {
        if (mine !== id || events === undefined) return;
        post({ type: "close", id, code, reason });
        closed(code, reason);
      },
    };
  };
}
