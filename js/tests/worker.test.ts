// The worker over a transport that is not a WebSocket. Must not know pixels.
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { FromWorker } from "../src/core/ports";
import type { OpenTransport, Transport, TransportEvents } from "../src/core/transport";
import { run } from "../src/worker/worker";

class FakeTransport implements Transport {
  readonly sent: { readonly type: string }[] = [];
  closed: readonly [code: number, reason: string] | undefined;
  constructor(readonly events: TransportEvents) {}
  send(text: string): void {
    this.sent.push(JSON.parse(text) as { readonly type: string });
  }
  close(code: number, reason: string): void {
    if (this.closed !== undefined) return;
    this.closed = [code, reason];
    this.events.closed(code, reason);
  }
}

let transports: FakeTransport[];
let posted: FromWorker[];
let take: ReturnType<typeof run>;

beforeEach(() => {
  vi.useFakeTimers();
  [transports, posted] = [[], []];
  const open: OpenTransport = (_, events) => {
    const transport = new FakeTransport(events);
    transports.push(transport);
    return transport;
  };
  take = run((message) => posted.push(message), open);
  take({ type: "begin", url: "ws://x/ws", token: "t", agent: "a", capabilities: { codecs: [], webcodecs: [] } });
});

afterEach(() => {
  take({ type: "end" });
  vi.useRealTimers();
});

const welcome = JSON.stringify({ type: "welcome", version: 1, server: "s", epoch: "e", time: 0, ice_servers: [] });
const streams = JSON.stringify({ type: "streams", streams: [{ id: 1, name: "camera", width: 4, height: 4, fps: 30 }] });

function ready(): FakeTransport {
  const transport = transports.at(-1) as FakeTransport;
  transport.events.opened();
  transport.events.message(welcome);
  transport.events.message(streams);
  return transport;
}

test("it is ready, opens one transport, and sends hello when that is open", () => {
  expect(posted[0]).toEqual({ type: "ready" });
  expect(transports).toHaveLength(1);
  expect(transports[0]?.sent).toEqual([]);
  transports[0]?.events.opened();
  expect(transports[0]?.sent).toMatchObject([{ type: "hello", token: "t", agent: "a" }]);
});

test("messages are fed, and what the session sends goes out", () => {
  take({ type: "view_open", view: 1, stream: "camera", mode: "lossless", visible: true });
  expect(ready().sent.map(({ type }) => type)).toEqual(["hello", "subscribe"]);
});

test("a message that breaks the contract closes the transport and is logged", () => {
  const transport = ready();
  transport.events.message("{");
  expect(transport.closed).toEqual([4400, "not JSON"]);
  expect(posted.at(-1)?.type === "log" || posted.some(({ type }) => type === "log")).toBe(true);
});

test("bytes that break the contract close it too", () => {
  const transport = ready();
  transport.events.message(new Uint8Array(3));
  expect(transport.closed?.[0]).toBe(4400);
});

test("a transport that closed is opened again after a while", () => {
  ready().events.closed(1006, "");
  expect(transports).toHaveLength(1);
  vi.advanceTimersByTime(300);
  expect(transports).toHaveLength(2);
});

test("the timer reports what is due", () => {
  take({ type: "view_open", view: 1, stream: "camera", mode: "lossless", visible: true });
  const transport = ready();
  vi.advanceTimersByTime(150);
  expect(transport.sent.at(-1)).toMatchObject({ type: "report" });
});

test("the end closes the transport, and nothing is opened again", () => {
  const transport = ready();
  take({ type: "end" });
  expect(transport.closed).toEqual([1000, ""]);
  vi.advanceTimersByTime(60_000);
  expect(transports).toHaveLength(1);
});

test("what a closed transport leads to comes after what closed it, so that the page's last status is the newest", () => {
  const two = ["camera", "depth"].map((name, i) => ({ id: i + 1, name, width: 4, height: 4, fps: 30 }));
  for (const [i, { name }] of two.entries()) take({ type: "view_open", view: i + 1, stream: name, mode: "lossless", visible: true });
  const transport = transports.at(-1) as FakeTransport;
  transport.events.opened();
  transport.events.message(welcome);
  transport.events.message(JSON.stringify({ type: "streams", streams: two }));
  // After five seconds a refused view tries again, and a silent server is given up: in one moment.
  transport.events.message(JSON.stringify({ type: "ended", sub: 2, reason: "limits" }));
  while (transport.closed === undefined) vi.advanceTimersByTime(50);
  const last = posted.filter((message) => message.type === "view_status" && message.view === 2).at(-1);
  expect(transport.closed).toEqual([4000, "silent"]);
  expect(last).toMatchObject({ status: { state: "reconnecting" } });
});
