// A page's connection over a transport of the main thread: a scheme in the table is all that it needs. Must not know the DOM.
import { afterEach, expect, test, vi } from "vitest";
import type { FromWorker, ServerStatus } from "../src/core/ports";
import type { OpenTransport, TransportEvents } from "../src/core/transport";
import { connect } from "../src/main/page-connection";
import type { Thread } from "../src/main/thread";
import { run } from "../src/worker/worker";

const channel = vi.hoisted(() => ({ sent: [] as string[], closes: [] as number[], events: undefined as TransportEvents | undefined }));

const open: OpenTransport = (_, events) => {
  channel.events = events;
  queueMicrotask(() => events.opened());
  return {
    send: (text) => void channel.sent.push((JSON.parse(text) as { readonly type: string }).type),
    close: (code, reason) => {
      channel.closes.push(code);
      events.closed(code, reason);
    },
  };
};

vi.mock("../src/main/transports", async (original) => {
  const { relayFor } = await original<typeof import("../src/main/transports")>();
  return { relayFor: (url: string) => relayFor(url, { "fake:": open }) };
});
vi.mock("../src/main/capabilities", () => ({ capabilities: async () => ({ codecs: [], webcodecs: [] }) }));
vi.mock("../src/main/thread", () => ({
  startThread: async (receive: (message: FromWorker<Blob>) => void): Promise<Thread> => {
    const take = run((message) => queueMicrotask(() => receive(message)));
    return { post: (message) => take(message as Parameters<typeof take>[0]), end: () => undefined };
  },
}));

afterEach(() => vi.unstubAllGlobals());

test("a URL of a scheme of the main thread is served over its transport, and the last view closes it", async () => {
  vi.stubGlobal("navigator", { userAgent: "test" });
  const connection = connect("fake:kernel-7", "t");
  let status: ServerStatus | undefined;
  connection.onStatus((given) => {
    status = given;
  });
  await vi.waitFor(() => expect(channel.sent).toEqual(["hello"]));
  channel.events?.message(JSON.stringify({ type: "welcome", version: 1, server: "s", epoch: "e", time: 0, ice_servers: [] }));
  channel.events?.message(JSON.stringify({ type: "streams", streams: [{ id: 1, name: "camera", width: 4, height: 4, fps: 30 }] }));
  await vi.waitFor(() => expect(status?.state).toBe("open"));
  connection.release();
  await vi.waitFor(() => expect(channel.closes).toEqual([1000]));
});
