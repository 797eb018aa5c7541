// Subscriptions follow the needs of the views. Must not know why a view needs one.
import { describe, expect, test } from "vitest";
import { CAMERA, DEPTH, Stage } from "./stage";

describe("a need", () => {
  test("is one subscription, however many views have it", () => {
    const stage = new Stage().open(1, "lossless").open(2, "lossless").ready();
    expect(stage.sent("subscribe")).toEqual([{ type: "subscribe", sub: 1, stream: "camera", mode: "lossless" }]);
  });
  test("that is gone ends the subscription, and the same need later is a new one", () => {
    const stage = new Stage().open(1, "lossless").ready();
    stage.feed({ type: "view_close", view: 1 });
    expect(stage.sent("unsubscribe")).toEqual([{ type: "unsubscribe", sub: 1 }]);
    stage.open(2, "lossless");
    expect(stage.sent("subscribe").at(-1)).toMatchObject({ sub: 2 });
  });
  test("of another stream changes when the view does", () => {
    const stage = new Stage().open(1, "lossless").ready([CAMERA, DEPTH]).lossless();
    stage.feed({ type: "view_stream", view: 1, stream: "depth" });
    expect(stage.sent("unsubscribe")).toEqual([{ type: "unsubscribe", sub: 1 }]);
    expect(stage.sent("subscribe").at(-1)).toMatchObject({ sub: 2, stream: "depth" });
    expect(stage.status()).toMatchObject({ stream: "depth", showing: "none" });
  });
  test("is not met before the socket is ready", () => {
    const stage = new Stage().open(1, "lossless");
    stage.feed({ type: "start" });
    stage.feed({ type: "socket_opened" });
    expect(stage.sent("subscribe")).toEqual([]);
  });
});

describe("a view that joins", () => {
  test("lossless pictures is painted the one that is there, and only it", () => {
    const stage = new Stage().open(1, "lossless").ready().lossless().clear().open(2, "lossless");
    expect(stage.of("repaint")).toEqual([{ type: "repaint", view: 2, stream: 1 }]);
  });
  test("before the first picture waits for it", () => {
    const stage = new Stage().open(1, "lossless").ready().clear().open(2, "lossless");
    expect(stage.of("repaint")).toEqual([]);
  });
  test("coded pictures gets a keyframe", () => {
    const stage = new Stage().open(1, "webcodecs").ready().pass(200);
    stage.feed({ type: "unit", stream: 1, lossless: false, frame: 1 });
    stage.clear().open(2, "webcodecs");
    expect(stage.sent("report")).toMatchObject([{ keyframe: true }]);
    expect(stage.of("repaint")).toEqual([]);
  });
});

test("a decoder begins anew with each subscription of coded pictures, and with no other", () => {
  const stage = new Stage().open(1, "webcodecs").open(2, "lossless").ready();
  expect(stage.of("decoder_reset")).toEqual([{ type: "decoder_reset", stream: 1 }]);
});

test("the peer connection ends with the last video", () => {
  const stage = new Stage().open(1).ready().offer({ sub: 2 });
  stage.feed({ type: "view_mode", view: 1, mode: "lossless" });
  expect(stage.of("peer_close")).toEqual([{ type: "peer_close", peer: 1 }]);
});
