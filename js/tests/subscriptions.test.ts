// Which subscriptions there are, and whose they are. Must not know why.
import { expect, test } from "vitest";
import { gather, Subscriptions } from "../src/core/subscriptions";

const want = (view: number, mode: "webrtc" | "lossless" | "webcodecs", stream = "camera", codec?: "vp8") => ({ view, stream, mode, codec });

test("two views that want the same thing share it; another codec or stream is another thing", () => {
  const wanted = gather([want(1, "lossless"), want(2, "lossless"), want(2, "webrtc"), want(3, "webrtc", "camera", "vp8"), want(4, "lossless", "depth")]);
  expect(wanted.map(({ mode, views }) => [mode, views])).toEqual([["lossless", [1, 2]], ["webrtc", [2]], ["webrtc", [3]], ["lossless", [4]]]);
});

test("numbers grow on a socket and begin anew on the next", () => {
  const subs = new Subscriptions();
  const [wanted] = gather([want(1, "lossless")]);
  if (wanted === undefined) throw new Error("one wish is one want");
  const first = subs.add(wanted, 0);
  subs.delete(first);
  expect(subs.add(wanted, 0).sub).toBe(first.sub + 1);
  subs.clear();
  expect(subs.add(wanted, 0).sub).toBe(1);
});

test("what nobody wants is dropped, and only that", () => {
  const subs = new Subscriptions();
  const wanted = gather([want(1, "lossless"), want(1, "webrtc")]);
  for (const one of wanted) subs.add(one, 0);
  const dropped = subs.dropAllBut(gather([want(9, "webrtc")]));
  expect(dropped.map((sub) => sub.mode)).toEqual(["lossless"]);
  expect(subs.all.map((sub) => sub.mode)).toEqual(["webrtc"]);
});

test("units are found their subscription by stream and kind, never a WebRTC one", () => {
  const subs = new Subscriptions();
  for (const one of gather([want(1, "webrtc"), want(1, "lossless"), want(2, "webcodecs", "depth")])) subs.add(one, 0);
  expect(subs.carrier("camera", true)?.mode).toBe("lossless");
  expect(subs.carrier("camera", false)).toBeUndefined();
  expect(subs.carrier("depth", false)?.mode).toBe("webcodecs");
  expect(subs.carrier(undefined, true)).toBeUndefined();
});
