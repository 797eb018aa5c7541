// The counts of one subscription and its reports. Must not know why views have it.
import { describe, expect, test } from "vitest";
import type { VideoProgress } from "../src/core/ports";
import { ServerClock } from "../src/core/server-clock";
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
  expect(sub.reportIfDue(600)).not.toHaveProperty("slack_ms");
  sub.countVideo({ ...progress, vsync: { refresh_ms: 16.67, slack_ms: 3.14 } }, 1580);
  expect(sub.reportIfDue(1600)).toHaveProperty("slack_ms");
  sub.countVideo(progress, 2090);
  expect(sub.reportIfDue(2100)).not.toHaveProperty("slack_ms");
  expect(sub.deadline).toBe(3100);
});

const STATS = { type: "stats", sub: 1, time: 0, echo: 0, published_fps: 30, sent_fps: 30, encode_ms: 1, bitrate: 1, target_bitrate: 1, viewers: 1, frames: [] } as const;
const progress = (more: Partial<VideoProgress> = {}): VideoProgress => ({ mid: "0", arrived: 0, decoded: 0, dropped: 0, fps: 30, latency_ms: 9, views: [], ...more });

describe("counts", () => {
  test("of a canvas are one for each painted frame", () => {
    const sub = open();
    sub.countPainted(12, 100);
    sub.countPainted(undefined, 200);
    expect(sub.counts).toEqual({ received: 0, decoded: 2, painted: 2, dropped: 0 });
    expect(sub.fps(200)).toBeCloseTo(10);
    expect(sub.latency(200)).toBe(12);
  });
  test("of a video are those of the main thread, painted where it was painted most", () => {
    const sub = open("webrtc");
    sub.countVideo(progress({ arrived: 9, decoded: 7, dropped: 2, views: [{ view: 1, painted: 3 }, { view: 2, painted: 5 }] }), 250);
    sub.countVideo(progress({ decoded: 1, fps: 25, latency_ms: undefined }), 500);
    expect(sub.counts).toEqual({ received: 8, decoded: 8, painted: 5, dropped: 2 });
    expect(sub.fps(500)).toBe(25);
    expect(sub.latency(500)).toBeUndefined();
  });
});

test("a report is rounded to tenths, and leaves out what is unknown", () => {
  const sub = open("webrtc");
  sub.countVideo(progress({ fps: 29.97, latency_ms: undefined }), 50);
  const report = sub.reportIfDue(100);
  expect(report).toMatchObject({ sub: 1, time: 100, fps: 30, visible: true });
  expect(report).not.toHaveProperty("latency_ms");
  expect(report).not.toHaveProperty("keyframe");
  expect(report).not.toHaveProperty("slack_ms");
});

test("the same visibility again changes nothing", () => {
  const sub = open();
  sub.reportIfDue(100);
  sub.setVisible(true, 300);
  expect(sub.deadline).toBe(1100);
});

describe("frames that are expected are reported sooner", () => {
  const video = (more: Partial<VideoProgress> = {}): Subscription => {
    const sub = open("webrtc");
    sub.stats = { ...STATS };
    sub.countVideo(progress({ decoded: 5, views: [{ view: 1, painted: 5 }], ...more }), 90);
    sub.reportIfDue(100);
    return sub;
  };
  test("300 ms after the last report or progress", () => {
    const sub = video();
    expect(sub.deadline).toBe(400);
    sub.countVideo(progress({ decoded: 20 }), 250);
    expect(sub.deadline).toBe(550);
    expect(sub.reportIfDue(549)).toBeUndefined();
    expect(sub.reportIfDue(550)).toBeDefined();
    expect(sub.deadline).toBe(850);
  });
  test("from the beginning of the subscription on", () => {
    const sub = new Subscription(1, "camera", "webrtc", undefined, 10_000);
    sub.stats = { ...STATS };
    sub.countVideo(progress({ decoded: 1 }), 10_250);
    sub.reportIfDue(10_100);
    expect(sub.deadline).toBe(10_400);
    expect(new Subscription(1, "camera", "webrtc", undefined, 10_000).deadline).toBe(10_100);
  });
  test("of a stream with one frame a second, too, and not before the server's first answer", () => {
    const slow = video();
    slow.stats = { ...STATS, published_fps: 1 };
    expect(slow.deadline).toBe(400);
    slow.stats = undefined;
    expect(slow.deadline).toBe(1100);
  });
  test("not of a hidden view, of a canvas, of a stream without frames, or before the first frame", () => {
    const hidden = video();
    hidden.setVisible(false, 100);
    hidden.reportIfDue(100);
    expect(hidden.deadline).toBe(1100);
    const silent = video();
    silent.stats = { ...STATS, published_fps: 0 };
    expect(silent.deadline).toBe(1100);
    expect(video({ decoded: 0, views: [{ view: 1, painted: 5 }] }).deadline).toBe(1100);
    const canvas = open();
    canvas.stats = { ...STATS };
    canvas.countPainted(1, 50);
    canvas.reportIfDue(100);
    expect(canvas.deadline).toBe(1100);
  });
  test("unless 40 % of those sent come, by the slower of publishing and sending", () => {
    const sub = video();
    sub.stats = { ...STATS, published_fps: 60, sent_fps: 30 };
    sub.countVideo(progress({ decoded: 3 }), 340);
    expect(sub.deadline).toBe(400);
    sub.countVideo(progress({ decoded: 4 }), 590);
    expect(sub.deadline).toBe(890);
  });
  test("of at most a second between two counts", () => {
    const sub = video();
    sub.countVideo(progress({ decoded: 12 }), 5090);
    expect(sub.deadline).toBe(400);
    sub.countVideo(progress({ decoded: 13 }), 10_090);
    expect(sub.deadline).toBe(1100);
  });
  test("or painted, though fewer are decoded", () => {
    const sub = video();
    sub.countVideo(progress({ decoded: 0, views: [{ view: 1, painted: 4 }] }), 340);
    expect(sub.deadline).toBe(640);
  });
});

describe("RTP timestamps", () => {
  test("are not ahead of the server's clock where no frame says so", () => {
    const sub = open("webrtc");
    expect(sub.rtp_ahead_ms).toBe(0);
    sub.stats = { ...STATS, frames: [] };
    expect(sub.rtp_ahead_ms).toBe(0);
  });
  test("are ahead by as much as the newest frame says", () => {
    const sub = open("webrtc");
    const noon = 1_795_000_000_000;
    const stamp = (time: number): number => (time * 90) % 2 ** 32;
    sub.stats = { ...STATS, frames: [{ frame: 1, rtp_timestamp: stamp(noon), time: noon }] };
    expect(sub.rtp_ahead_ms).toBeCloseTo(0);
    sub.stats = { ...STATS, frames: [{ frame: 1, rtp_timestamp: stamp(noon), time: noon }, { frame: 2, rtp_timestamp: stamp(noon + 33), time: noon - 3_600_000 }] };
    expect(sub.rtp_ahead_ms).toBeCloseTo(3_600_033);
  });
});

describe("when the newest frames were published", () => {
  const clock = new ServerClock();
  clock.echo(1000, 6010, 1020);

  test("is by the viewer's clock, less its error and the time in transit", () => {
    const sub = open("webrtc");
    expect(sub.sentTimes(clock, 0)).toEqual([]);
    sub.stats = { ...STATS, frames: [{ frame: 1, rtp_timestamp: 0, time: 7000 }, { frame: 2, rtp_timestamp: 0, time: 7033 }] };
    expect(sub.sentTimes(clock, 3000)).toEqual([1940, 1973]);
    sub.stats = { ...STATS, frames: [{ frame: 1, rtp_timestamp: 0, time: 7000 }] };
    expect(sub.sentTimes(clock, 3000)).toEqual([1940]);
  });
  test("is just now for video whose server names no frames", () => {
    const sub = open("webrtc");
    sub.stats = { ...STATS };
    expect(sub.sentTimes(clock, 3000)).toEqual([2950]);
    sub.stats = { ...STATS, sent_fps: 1.5, published_fps: 1.5 };
    expect(sub.sentTimes(clock, 3000)).toEqual([2950]);
    for (const still of [{ sent_fps: 1 }, { published_fps: 1 }]) {
      sub.stats = { ...STATS, ...still };
      expect(sub.sentTimes(clock, 3000)).toEqual([]);
    }
    const canvas = open();
    canvas.stats = { ...STATS };
    expect(canvas.sentTimes(clock, 3000)).toEqual([]);
  });
});
