// Which streams there are. Must not know subscriptions.
import { expect, test } from "vitest";
import { Streams } from "../src/core/streams";
import { CAMERA, DEPTH } from "./stage";

test("a stream that ended is not there, though still listed, until the next list", () => {
  const streams = new Streams();
  streams.list([CAMERA, DEPTH]);
  streams.end("camera");
  expect(streams.has("camera")).toBe(false);
  expect(streams.get("camera")).toEqual(CAMERA);
  expect(streams.has("depth")).toBe(true);
  streams.list([CAMERA]);
  expect(streams.has("camera")).toBe(true);
  expect(streams.has("depth")).toBe(false);
});

test("units name their stream by number", () => {
  const streams = new Streams();
  streams.list([CAMERA, DEPTH]);
  expect(streams.nameOf(2)).toBe("depth");
  expect(streams.nameOf(9)).toBeUndefined();
});
