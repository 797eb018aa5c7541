// The streams that a server lists. Must not know subscriptions.
import { expect, test } from "vitest";
import { StreamList } from "../src/core/stream-list";
import { CAMERA, DEPTH } from "./stage";

test("a stream that ended cannot be subscribed to until the next list names it", () => {
  const streams = new StreamList();
  streams.replace([CAMERA, DEPTH]);
  streams.end("camera");
  expect(streams.has("camera")).toBe(false);
  expect(streams.get("camera")).toEqual(CAMERA);
  expect(streams.has("depth")).toBe(true);
  streams.replace([CAMERA]);
  expect(streams.has("camera")).toBe(true);
  expect(streams.has("depth")).toBe(false);
});

test("a stream is found by the number that its units carry", () => {
  const streams = new StreamList();
  streams.replace([CAMERA, DEPTH]);
  expect(streams.nameOf(2)).toBe("depth");
  expect(streams.nameOf(9)).toBeUndefined();
});
