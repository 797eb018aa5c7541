// The counts of one subscription and its reports. Must not know why views have it.
import { expect, test } from "vitest";
import { Subscription } from "../src/core/subscription";

const open = (mode: "webrtc" | "lossless" = "lossless"): Subscription => new Subscription(1, "camera", mode, undefined, 0);

test("the first report is early, the next ones a second apart", () => {
  const sub = open();
  const times: number[] = [];
  for (let now = 0; now <= 3200; now += 50) if (sub.reportIfDue(now) !== undefined) times.push(now);
  expect(times).toEqual([100, 1100, 2100, 3100]);
});

test("a report counts the painted frames and has their median latency", () => {
  const sub = open();
  for (let i = 1; i <= 30; i++) sub.countPainted(12, i * 33);
  expect(sub.reportIfDue(1000)).toMatchObject({ decoded: 30, painted: 30, latency_ms: 12, visible: true });
});

test("hiding is reported at once", () => {
  const sub = open();
  sub.reportIfDue(100);
  sub.setVisible(false, 300);
  expect(sub.reportIfDue(300)).toMatchObject({ visible: false });
  expect(sub.reportIfDue(301)).toBeUndefined();
});

test("a keyframe is requested at once, and once", () => {
  const sub = open();
  sub.reportIfDue(100);
  sub.requestKeyframe(200);
  expect(sub.reportIfDue(200)?.keyframe).toBe(true);
  expect(sub.reportIfDue(1200)?.keyframe).toBeUndefined();
});

test("a video that should have new frames and has none is reported sooner", () => {
  const sub = open("webrtc");
  sub.reportIfDue(100);
  sub.stats = { type: "stats", sub: 1, time: 0, echo: 0, published_fps: 30, sent_fps: 30, encode_ms: 1, bitrate: 1, target_bitrate: 1, viewers: 1, frames: [] };
  sub.countVideo({ mid: "0", arrived: 5, decoded: 5, dropped: 0, fps: 30, latency_ms: 9, views: [{ view: 1, painted: 5 }] }, 300);
  expect(sub.deadline).toBe(600);
  sub.stats = { ...sub.stats, published_fps: 0 };
  expect(sub.deadline).toBe(1100);
});

test("a scene that became still is reported sooner, though it is encoded again from time to time", () => {
  const sub = open("webrtc");
  const stats = { type: "stats", sub: 1, time: 1000, echo: 0, published_fps: 30, sent_fps: 30, encode_ms: 1, bitrate: 1, target_bitrate: 1, viewers: 1 } as const;
  sub.stats = { ...stats, frames: [] };
  const count = (decoded: number, now: number) =>
    sub.countVideo({ mid: "0", arrived: decoded, decoded, dropped: 0, fps: 30, latency_ms: 9, views: [{ view: 1, painted: decoded }] }, now);
  expect(sub.reportIfDue(100)).toBeDefined();
  count(7, 250);
  expect(sub.deadline).toBe(550);
  count(2, 500);
  expect(sub.deadline).toBe(550);
  count(4, 750);
  expect(sub.deadline).toBe(1050);
});

test("the vsync phase of a fast video is reported, and twice as often", () => {
  const sub = open("webrtc");
  const progress = { mid: "0", arrived: 15, decoded: 15, dropped: 0, fps: 60, latency_ms: 9, views: [{ view: 1, painted: 15 }] };
  sub.countVideo({ ...progress, vsync: { refresh_ms: 16.67, slack_ms: 3.14 } }, 90);
  expect(sub.reportIfDue(100)).toMatchObject({ refresh_ms: 16.7, slack_ms: 3.1 });
  expect(sub.deadline).toBe(600);
  sub.countVideo(progress, 590);
  expect(sub.reportIfDue(600)).not.toHaveProperty("slack_ms");
  expect(sub.deadline).toBe(1600);
});
