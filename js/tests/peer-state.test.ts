// The commands for the peer connection. Must not know SDP.
import { expect, test } from "vitest";
import { PeerState } from "../src/core/peer-state";

test("a view is attached once, moved when its media section changes, and detached when it has none", () => {
  const peer = new PeerState();
  peer.offered(3);
  expect(peer.attach(new Map([[1, "0"]]))).toEqual([{ type: "peer_attach", peer: 3, mid: "0", view: 1 }]);
  expect(peer.attach(new Map([[1, "0"]]))).toEqual([]);
  expect(peer.attach(new Map([[1, "1"]]))).toEqual([{ type: "peer_attach", peer: 3, mid: "1", view: 1 }]);
  expect(peer.attach(new Map())).toEqual([{ type: "peer_detach", view: 1 }]);
});

test("closing detaches all views and is commanded once", () => {
  const peer = new PeerState();
  peer.offered(1);
  peer.attach(new Map([[1, "0"]]));
  expect(peer.close()).toEqual([{ type: "peer_detach", view: 1 }, { type: "peer_close", peer: 1 }]);
  expect(peer.close()).toEqual([]);
  peer.connected = true;
  peer.close();
  expect(peer.connected).toBe(false);
  expect(peer.isCurrent(1)).toBe(false);
});

test("an offer of another number is another connection, not connected yet", () => {
  const peer = new PeerState();
  peer.offered(1);
  peer.connected = true;
  peer.offered(1);
  expect(peer.connected).toBe(true);
  peer.offered(2);
  expect(peer.connected).toBe(false);
  expect(peer.isCurrent(1)).toBe(false);
});

test("before any offer there is no connection, and none to close", () => {
  const peer = new PeerState();
  expect(peer.connected).toBe(false);
  expect(peer.isCurrent(0)).toBe(false);
  expect(peer.close()).toEqual([]);
});
