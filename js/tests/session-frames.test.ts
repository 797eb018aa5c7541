// The session's bookkeeping of frames over the WebSocket. Must not know pixels.
import { describe, expect, test } from "vitest";
import { Stage } from "./stage";

const lossless = (): Stage => new Stage().open(1, "lossless").open(2, "lossless").ready().pass(200).clear();
const statsOf = (stage: Stage, view: number) => {
  stage.clear().stats(1);
  return stage.of("view_stats").flatMap((effect) => (effect.type === "view_stats" && effect.view === view ? [effect.stats] : []))[0];
};

describe("a unit", () => {
  test("is acknowledged on the subscription that carries its stream in its kind", () => {
    const stage = new Stage().open(1, "lossless").open(2, "webcodecs").ready();
    stage.feed({ type: "unit", stream: 1, lossless: false, frame: 3 });
    stage.feed({ type: "unit", stream: 1, lossless: true, frame: 4 });
    expect(stage.sent("ack")).toEqual([{ type: "ack", sub: 2, frame: 3 }, { type: "ack", sub: 1, frame: 4 }]);
  });
  test("of a stream that is not listed is not acknowledged", () => {
    const stage = lossless();
    stage.feed({ type: "unit", stream: 9, lossless: true, frame: 3 });
    expect(stage.sent("ack")).toEqual([]);
  });
  test("shows that the server is there", () => {
    const stage = lossless();
    for (let i = 0; i < 10; i++) {
      stage.feed({ type: "unit", stream: 1, lossless: true, frame: i });
      stage.pass(1000);
    }
    expect(stage.of("disconnect")).toEqual([]);
  });
});

describe("counts", () => {
  test("of checked frames are by view, all others by subscription", () => {
    const stage = lossless().lossless([1]).lossless([1, 2]);
    stage.feed({ type: "dropped", stream: 1, lossless: true });
    expect(statsOf(stage, 1)).toMatchObject({ exact: 2, mismatched: 0, received: 2, painted: 2, decoded: 2, dropped: 1 });
    expect(statsOf(stage, 2)).toMatchObject({ exact: 1, painted: 2 });
  });
  test("of wrong frames are for all views of the stream", () => {
    const stage = lossless().lossless([1, 2]);
    stage.feed({ type: "mismatched", stream: 1 });
    expect(statsOf(stage, 1)).toMatchObject({ mismatched: 1 });
    expect(statsOf(stage, 2)).toMatchObject({ mismatched: 1 });
  });
  test("of coded frames hold no checked ones", () => {
    const stage = new Stage().open(1, "webcodecs").ready();
    stage.feed({ type: "painted", stream: 1, lossless: false, views: [1], time_us: 0 });
    expect(statsOf(stage, 1)).toMatchObject({ exact: 0, painted: 1 });
  });
});

test("the decoder that failed for one stream is not blamed for another", () => {
  const stage = new Stage().open(1, "webcodecs").ready([{ id: 1, name: "camera", width: 8, height: 8, fps: 30 }, { id: 2, name: "depth", width: 8, height: 8, fps: 30 }]);
  stage.feed({ type: "decoder_failed", stream: 1, detail: "no" });
  stage.open(2, "webcodecs", "depth");
  expect(stage.sent("subscribe").at(-2)).toMatchObject({ stream: "camera", codec: "vp8" });
  expect(stage.sent("subscribe").at(-1)).not.toHaveProperty("codec");
});

test("what comes after the end of a subscription is ignored", () => {
  const stage = lossless();
  for (const view of [1, 2]) stage.feed({ type: "view_close", view });
  stage.clear();
  for (const kind of [true, false]) {
    stage.feed({ type: "painted", stream: 1, lossless: kind, views: [1], time_us: 0 });
    stage.feed({ type: "dropped", stream: 1, lossless: kind });
    stage.feed({ type: "keyframe_wanted", stream: 1, lossless: kind });
  }
  stage.feed({ type: "repainted", view: 1 });
  stage.feed({ type: "mismatched", stream: 1 });
  stage.feed({ type: "decoder_failed", stream: 1, detail: "no" });
  expect(stage.effects).toEqual([]);
});

test("a still scene under video is exact at once where another view has the lossless picture", () => {
  const stage = new Stage().open(1, "lossless").ready().lossless([1]).open(2);
  const video = stage.sent("subscribe").find(({ mode }) => mode === "webrtc")?.sub ?? 0;
  stage.offer({ sub: video }).connected().video(1, 2);
  expect(stage.status(2)?.showing).toBe("webrtc");
  stage.clear().stats(video, { rested_ms: 900 });
  expect(stage.of("repaint")).toEqual([{ type: "repaint", view: 2, stream: 1 }]);
  stage.feed({ type: "repainted", view: 2 });
  expect(stage.status(2)).toMatchObject({ showing: "lossless", reason: { code: "exact_still" } });
});

test("each painted frame counts once for the speed of the link", () => {
  const stage = new Stage([], ["vp8"]).open(1).ready();
  for (let i = 0; i < 40; i++) {
    if (i % 8 === 0) stage.stats(1);
    stage.lossless().pass(125);
  }
  expect(stage.status()?.reason).toEqual({ code: "slow_link", detail: "8 of 30 fps", fallback: { mode: "webcodecs" } });
});
