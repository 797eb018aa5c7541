// Which transport a URL leads to. Must not know what a transport does.
import { afterEach, expect, test, vi } from "vitest";
import { openTransport } from "../src/worker/transports";

afterEach(() => vi.unstubAllGlobals());

test.each(["ws://x/ws", "WSS://x/ws", "https://x/ws", "/ws"])("%s is a WebSocket", (url) => {
  const opened: string[] = [];
  vi.stubGlobal("WebSocket", class { constructor(given: string) { opened.push(given); } });
  openTransport(url, { opened: vi.fn(), message: vi.fn(), closed: vi.fn() });
  expect(opened).toEqual([url]);
});
