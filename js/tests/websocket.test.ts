// The WebSocket as a transport. Must not know messages.
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { openWebSocket } from "../src/worker/websocket";

class FakeWebSocket {
  static readonly OPEN = 1;
  static last: FakeWebSocket;
  readyState = 0;
  binaryType = "blob";
  readonly sent: string[] = [];
  readonly closes: unknown[] = [];
  onopen: () => void = () => undefined;
  onmessage: (event: { data: unknown }) => void = () => undefined;
  onclose: (event: { code: number; reason: string }) => void = () => undefined;
  constructor(readonly url: string) {
    FakeWebSocket.last = this;
  }
  send(text: string): void {
    this.sent.push(text);
  }
  close(code: number, reason: string): void {
    this.closes.push([code, reason]);
  }
}

beforeEach(() => vi.stubGlobal("WebSocket", FakeWebSocket));
afterEach(() => vi.unstubAllGlobals());

function open() {
  const events = { opened: vi.fn(), message: vi.fn(), closed: vi.fn() };
  const transport = openWebSocket("ws://x/ws", events);
  return { events, transport, socket: FakeWebSocket.last };
}

test("it is opened at its address, for whole buffers", () => {
  const { socket, events } = open();
  expect(socket.url).toBe("ws://x/ws");
  expect(socket.binaryType).toBe("arraybuffer");
  socket.onopen();
  expect(events.opened).toHaveBeenCalledOnce();
});

test("text stays text, and buffers become bytes", () => {
  const { socket, events } = open();
  socket.onmessage({ data: "text" });
  socket.onmessage({ data: Uint8Array.of(1, 2).buffer });
  expect(events.message.mock.calls).toEqual([["text"], [Uint8Array.of(1, 2)]]);
});

test("what is sent while it is not open is dropped", () => {
  const { socket, transport } = open();
  transport.send("early");
  socket.readyState = FakeWebSocket.OPEN;
  transport.send("text");
  expect(socket.sent).toEqual(["text"]);
});

test("its close is reported once, with code and reason", () => {
  const { socket, events } = open();
  socket.onclose({ code: 4401, reason: "no" });
  socket.onclose({ code: 1006, reason: "" });
  expect(events.closed.mock.calls).toEqual([[4401, "no"]]);
});

test("closing it is reported at once, and nothing after that", () => {
  const { socket, events, transport } = open();
  transport.close(4000, "silent");
  expect(socket.closes).toEqual([[4000, "silent"]]);
  expect(events.closed.mock.calls).toEqual([[4000, "silent"]]);
  socket.onopen();
  socket.onmessage({ data: "late" });
  socket.onclose({ code: 1006, reason: "" });
  expect(events.opened).not.toHaveBeenCalled();
  expect(events.message).not.toHaveBeenCalled();
  expect(events.closed).toHaveBeenCalledOnce();
});
