// The WebSocket as a transport. The only file that knows WebSocket objects.
// Must not know messages, nor the session.

import type { Transport, TransportEvents } from "../core/transport";

export function openWebSocket(url: string, events: TransportEvents): Transport {
  const socket = new WebSocket(url);
  socket.binaryType = "arraybuffer";
  let open = true;
  const closed = (code: number, reason: string): void => {
    if (!open) return;
    open = false;
    events.closed(code, reason);
  };
  socket.onopen = () => {
    if (open) events.opened();
  };
  socket.onmessage = ({ data }: MessageEvent<string | ArrayBuffer>) => {
    if (open) events.message(typeof data === "string" ? data : new Uint8Array(data));
  };
  socket.onclose = ({ code, reason }) => closed(code, reason);
  return {
    send: (text) => {
      if (socket.readyState === WebSocket.OPEN) socket.send(text);
    },
    close: (code, reason) => {
      socket.close(code, reason);
      closed(code, reason);
    },
  };
}
