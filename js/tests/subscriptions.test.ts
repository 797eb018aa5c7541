// Which subscriptions there are, and for which views. Must not know why.
import { expect, test } from "vitest";
import { shareNeeds, Subscriptions } from "../src/core/subscriptions";

const need = (view: number, mode: "webrtc" | "lossless" | "webcodecs", stream = "camera", codec?: "vp8") => ({ view, stream, mode, codec });

test("views with the same need share a subscription; another codec, mode or stream is another subscription", () => {
  const needs = shareNeeds([need(1, "lossless"), need(2, "lossless"), need(2, "webrtc"), need(3, "webrtc", "camera", "vp8"), need(4, "lossless", "depth")]);
  expect(needs.map(({ mode, views }) => [mode, views])).toEqual([["lossless", [1, 2]], ["webrtc", [2]], ["webrtc", [3]], ["lossless", [4]]]);
});

test("numbers grow on a socket and begin at 1 on the next", () => {
  const subs = new Subscriptions();
  const [one] = shareNeeds([need(1, "lossless")]);
  if (one === undefined) throw new Error("one need is one subscription");
  const first = subs.add(one, 0);
  subs.delete(first);
  expect(subs.add(one, 0).sub).toBe(first.sub + 1);
  subs.clear();
  expect(subs.add(one, 0).sub).toBe(1);
});

test("subscriptions that no view needs are dropped, and only those", () => {
  const subs = new Subscriptions();
  const needs = shareNeeds([need(1, "lossless"), need(1, "webrtc")]);
  for (const one of needs) subs.add(one, 0);
  const dropped = subs.dropAllBut(shareNeeds([need(9, "webrtc")]));
  expect(dropped.map((sub) => sub.mode)).toEqual(["lossless"]);
  expect(subs.all.map((sub) => sub.mode)).toEqual(["webrtc"]);
});

test("units belong to a subscription by stream and kind, never to one over WebRTC", () => {
  const subs = new Subscriptions();
  for (const one of shareNeeds([need(1, "webrtc"), need(1, "lossless"), need(2, "webcodecs", "depth")])) subs.add(one, 0);
  expect(subs.carrier("camera", true)?.mode).toBe("lossless");
  expect(subs.carrier("camera", false)).toBeUndefined();
  expect(subs.carrier("depth", false)?.mode).toBe("webcodecs");
  expect(subs.carrier(undefined, true)).toBeUndefined();
});

test("input of a view goes to the subscription that it shows, or else to its first", () => {
  const subs = new Subscriptions();
  const [lossless, webrtc, other] = (["lossless", "webrtc"] as const).map((mode) => subs.add({ stream: "camera", mode, codec: undefined, views: [] }, 0)).concat(subs.add({ stream: "depth", mode: "webrtc", codec: undefined, views: [] }, 0));
  lossless?.views.add(1);
  webrtc?.views.add(1);
  other?.views.add(2);
  expect(subs.ofView(1, "webrtc")).toBe(webrtc);
  expect(subs.ofView(1, "lossless")).toBe(lossless);
  expect(subs.ofView(1, "none")).toBe(lossless);
  expect(subs.ofView(3, "webrtc")).toBeUndefined();
});

test("a subscription is found by stream, mode and the codec that was asked for", () => {
  const subs = new Subscriptions();
  const plain = subs.add({ stream: "camera", mode: "webrtc", codec: undefined, views: [] }, 0);
  const asked = subs.add({ stream: "camera", mode: "webrtc", codec: "vp8", views: [] }, 0);
  const find = (stream: string, codec?: string) => subs.find({ stream, mode: "webrtc", codec, views: [] });
  expect(find("camera")).toBe(plain);
  expect(find("camera", "vp8")).toBe(asked);
  expect(find("camera", "h264")).toBeUndefined();
  expect(find("depth")).toBeUndefined();
  expect(subs.get(asked.sub)).toBe(asked);
});
