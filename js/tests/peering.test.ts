// Commands for the peer connection. Must not know SDP.
import { expect, test } from "vitest";
import { Peering } from "../src/core/peering";

test("a view is attached once, moved when its section changes, detached when it wants none", () => {
  const peering = new Peering();
  peering.offered(3);
  expect(peering.attach(new Map([[1, "0"]]))).toEqual([{ type: "peer_attach", peer: 3, mid: "0", view: 1 }]);
  expect(peering.attach(new Map([[1, "0"]]))).toEqual([]);
  expect(peering.attach(new Map([[1, "1"]]))).toEqual([{ type: "peer_attach", peer: 3, mid: "1", view: 1 }]);
  expect(peering.attach(new Map())).toEqual([{ type: "peer_detach", view: 1 }]);
});

test("closing detaches everybody and is said once", () => {
  const peering = new Peering();
  peering.offered(1);
  peering.attach(new Map([[1, "0"]]));
  expect(peering.close()).toEqual([{ type: "peer_detach", view: 1 }, { type: "peer_close", peer: 1 }]);
  expect(peering.close()).toEqual([]);
  expect(peering.isMine(1)).toBe(false);
});

test("an offer of another number is another connection, not connected yet", () => {
  const peering = new Peering();
  peering.offered(1);
  peering.connected = true;
  peering.offered(1);
  expect(peering.connected).toBe(true);
  peering.offered(2);
  expect(peering.connected).toBe(false);
  expect(peering.isMine(1)).toBe(false);
});
