// A session over a transport that only the main thread can open: the worker's program, a real MessageChannel, and a fake channel.
// Must not know pixels.
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { FromWorker, ToWorker } from "../src/core/ports";
import type { OpenTransport, TransportEvents } from "../src/core/transport";
import type { Relay } from "../src/main/relay";
import { relayFor } from "../src/main/transports";
import { run } from "../src/worker/worker";

/** What a new transport is: one function. This one reaches a server that is the test. */
class Channel {
  readonly urls: string[] = [];
  readonly sent: { readonly type: string; readonly token?: string }[] = [];
  readonly closes: (readonly [code: number, reason: string])[] = [];
  events: TransportEvents | undefined;
  readonly open: OpenTransport = (url, events) => {
    this.urls.push(url);
    this.events = events;
    queueMicrotask(() => events.opened());
    return {
      send: (text) => void this.sent.push(JSON.parse(text) as { readonly type: string }),
      close: (code, reason) => {
        this.closes.push([code, reason]);
        events.closed(code, reason);
      },
    };
  };
  types(): readonly string[] {
    return this.sent.map(({ type }) => type);
  }
}

const WELCOME = JSON.stringify({ type: "welcome", version: 1, server: "s", epoch: "e", time: 0, ice_servers: [] });
const STREAMS = JSON.stringify({ type: "streams", streams: [{ id: 1, name: "camera", width: 4, height: 4, fps: 30 }] });

let channel: Channel;
let relay: Relay;
let posted: FromWorker[];
let take: (message: ToWorker) => void;

beforeEach(() => {
  channel = new Channel();
  posted = [];
  relay = relayFor("fake:kernel-7", { "fake:": channel.open }) as Relay;
  take = run((message) => posted.push(message)) as typeof take;
  take({ type: "begin", url: "fake:kernel-7", token: "t", agent: "a", capabilities: { codecs: [], webcodecs: [] }, port: relay.port });
  take({ type: "view_open", view: 1, stream: "camera", mode: "lossless", visible: true });
});

afterEach(() => {
  take({ type: "end" });
  relay.end();
  relay.port.close();
});

async function subscribed(): Promise<void> {
  await vi.waitFor(() => expect(channel.types()).toEqual(["hello"]));
  channel.events?.message(WELCOME);
  channel.events?.message(STREAMS);
  await vi.waitFor(() => expect(channel.types()).toEqual(["hello", "subscribe"]));
}

/** A message that holds one raw gray frame of 4 x 4 pixels, in the middle of a larger buffer. */
function frame(number: number): Uint8Array {
  const message = new Uint8Array(100).subarray(10, 10 + 36 + 16);
  const view = new DataView(message.buffer, message.byteOffset);
  message.set([1, 0, 1, 1]);
  view.setUint32(4, 1, true);
  view.setUint32(8, number, true);
  view.setUint16(12, 4, true);
  view.setUint16(14, 4, true);
  view.setUint32(24, 16, true);
  return message;
}

test("it opens by the URL, and the session says hello over it and subscribes", async () => {
  await subscribed();
  expect(channel.urls).toEqual(["fake:kernel-7"]);
  expect(channel.sent[0]).toMatchObject({ type: "hello", token: "t" });
});

test("units reach the worker whole, which acknowledges them", async () => {
  await subscribed();
  channel.events?.message(frame(5));
  await vi.waitFor(() => expect(channel.sent).toContainEqual({ type: "ack", sub: 1, frame: 5 }));
});

test("bytes that break the contract close it with 4400", async () => {
  await subscribed();
  channel.events?.message(new Uint8Array(3));
  await vi.waitFor(() => expect(channel.closes.map(([code]) => code)).toEqual([4400]));
});

test("when it is lost, the session opens it again", async () => {
  await subscribed();
  channel.events?.closed(1006, "lost");
  await vi.waitFor(() => expect(channel.urls).toHaveLength(2));
  await vi.waitFor(() => expect(channel.types()).toEqual(["hello", "subscribe", "hello"]));
});

test("the end of the session closes it", async () => {
  await subscribed();
  take({ type: "end" });
  await vi.waitFor(() => expect(channel.closes).toEqual([[1000, ""]]));
});

test("a worker that ends without a word leaves no open transport", async () => {
  await subscribed();
  relay.end();
  expect(channel.closes).toEqual([[1000, ""]]);
});

test.each(["ws://x/ws", "wss://x/ws", "/ws"])("%s is left to the worker", (url) => expect(relayFor(url)).toBeUndefined());
