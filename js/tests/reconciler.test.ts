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
    expect(stage.session.targets(1, true)).toEqual([]);
    stage.open(2, "lossless");
    expect(stage.sent("subscribe").at(-1)).toMatchObject({ sub: 2 });
  });
  test("that one of several views gives up leaves the others their subscription", () => {
    const stage = new Stage().open(1, "lossless").open(2, "lossless").ready();
    stage.feed({ type: "view_close", view: 1 });
    expect(stage.session.targets(1, true)).toEqual([2]);
    expect(stage.sent("unsubscribe")).toEqual([]);
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
    stage.pass(3000);
    expect(stage.of("repaint")).toHaveLength(1);
    expect(stage.sent("report").filter(({ keyframe }) => keyframe)).toEqual([]);
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
    stage.pass(3000);
    expect(stage.sent("report").filter(({ keyframe }) => keyframe)).toHaveLength(1);
  });
  test("a video whose offer has come takes its time from there", () => {
    const stage = new Stage().open(1).ready().lossless().offer({ sub: 2 });
    for (let i = 0; i < 4; i++) stage.stats(1).pass(1000);
    stage.open(2).pass(999);
    expect(stage.status(2)?.reason).toEqual({ code: "trying_webrtc" });
    stage.pass(1);
    expect(stage.status(2)?.reason.code).toBe("udp_blocked");
  });
  test("a video without an offer has no time yet", () => {
    const stage = new Stage().open(1).ready().lossless().open(2).pass(4000);
    expect(stage.status(2)?.reason).toEqual({ code: "trying_webrtc" });
  });
});

test("a decoder is reset with each subscription of coded pictures, and with no other", () => {
  const stage = new Stage().open(1, "lossless").open(2, "webcodecs", "depth").ready([CAMERA, DEPTH]);
  expect(stage.of("decoder_reset")).toEqual([{ type: "decoder_reset", stream: 2 }]);
});

test("the peer connection ends with the last video", () => {
  const stage = new Stage().open(1).ready().offer({ sub: 2 });
  stage.feed({ type: "view_mode", view: 1, mode: "lossless" });
  expect(stage.of("peer_close")).toEqual([{ type: "peer_close", peer: 1 }]);
});
