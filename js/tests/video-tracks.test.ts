// What is counted of videos and the views that show them. Must not know elements or connections.
import { beforeEach, describe, expect, test } from "vitest";
import { type PaintedFrame, VideoTracks } from "../src/core/video-tracks";

const REFRESH_MS = 16;
const FRAME: PaintedFrame = { ready_at: 0, shown_at: 4, ahead_ms: 0, rtp_timestamp: undefined };

let tracks: VideoTracks;
let asked: number;
const refresh_ms = (): number => {
  asked += 1;
  return REFRESH_MS;
};
const totals = (arrived: number, decoded = arrived, dropped = 0) => new Map([["0", { arrived, decoded, dropped }]]);
const report = (counted = totals(0), now = 1000) => tracks.report(counted, now, refresh_ms);
const paint = (view: number, now: number, frame: Partial<PaintedFrame> = {}): boolean => tracks.painted(view, { ...FRAME, ...frame }, now, refresh_ms);

beforeEach(() => {
  asked = 0;
  tracks = new VideoTracks();
  tracks.addView(1);
  tracks.addView(2);
  tracks.addVideo("0");
  tracks.attach(1, "0");
});

describe("totals of the browser", () => {
  test("are reported as growth", () => {
    expect(report(totals(5, 4, 1))).toMatchObject([{ mid: "0", arrived: 5, decoded: 4, dropped: 1 }]);
    expect(report(totals(8, 6, 1))).toMatchObject([{ arrived: 3, decoded: 2, dropped: 0 }]);
  });
  test("that begin again count nothing twice", () => {
    report(totals(5));
    expect(report(totals(2))).toEqual([]);
    expect(report(totals(6))).toMatchObject([{ arrived: 1, decoded: 1 }]);
  });
  test("of a video that is not among them are zero", () => {
    expect(report(new Map())).toEqual([]);
  });
});

describe("painted frames", () => {
  test("are counted by view, since the last report", () => {
    tracks.attach(2, "0");
    paint(1, 0);
    paint(1, 10);
    paint(2, 10);
    expect(report()).toMatchObject([{ views: [{ view: 1, painted: 2 }, { view: 2, painted: 1 }] }]);
    paint(2, 20);
    expect(report()).toMatchObject([{ views: [{ view: 1, painted: 0 }, { view: 2, painted: 1 }] }]);
  });
  test("are reported at once for the first frame of a view, and again after it got another video", () => {
    expect([paint(1, 0), paint(1, 10)]).toEqual([true, false]);
    tracks.attach(1, "0");
    expect([paint(1, 20), paint(1, 30)]).toEqual([true, false]);
    expect(report()).toMatchObject([{ views: [{ view: 1, painted: 2 }] }]);
  });
  test("of a view without a video, or of a video that is gone, are none", () => {
    expect(paint(2, 0)).toBe(false);
    expect(paint(9, 0)).toBe(false);
    tracks.detach(1);
    expect(paint(1, 0)).toBe(false);
    tracks.attach(1, "0");
    tracks.clear();
    expect(paint(1, 0)).toBe(false);
    expect(report(totals(3))).toEqual([]);
  });
  test("of a browser that counts the whole element are the growth of that count", () => {
    tracks.countPainted(1, 3);
    expect(report()).toMatchObject([{ views: [{ view: 1, painted: 3 }] }]);
    tracks.countPainted(1, 5);
    tracks.countPainted(1, 5);
    expect(report()).toMatchObject([{ views: [{ view: 1, painted: 2 }] }]);
    tracks.countPainted(1, 1);
    expect(report()).toEqual([]);
    expect(() => tracks.countPainted(9, 1)).not.toThrow();
    expect(() => tracks.attach(9, "0")).not.toThrow();
    expect(() => tracks.detach(9)).not.toThrow();
  });
});

describe("views", () => {
  test("of a media section are those attached to it", () => {
    tracks.attach(2, "1");
    expect(tracks.viewsOf("0")).toEqual([1]);
    expect(tracks.midOf(2)).toBe("1");
    tracks.removeView(1);
    expect(tracks.viewsOf("0")).toEqual([]);
    tracks.attach(1, "0");
    expect(tracks.midOf(1)).toBeUndefined();
  });
  test("keep their media section when the connection is closed", () => {
    tracks.clear();
    expect(tracks.midOf(1)).toBe("0");
  });
});

describe("times", () => {
  const play = (view: number, fps: number, from = 0, frames = fps): number => {
    for (let i = 0; i < frames; i++) paint(view, from + (i * 1000) / fps);
    return from + (frames * 1000) / fps;
  };

  test("are those of the first view of a video", () => {
    tracks.attach(2, "0");
    play(2, 30);
    expect(report(totals(0), 1000)).toMatchObject([{ fps: 0 }]);
    tracks.detach(1);
    play(2, 30, 1000);
    expect(report(totals(0), 2000)[0]?.fps).toBeCloseTo(30, 0);
  });
  test("a frame is late by the server's clock, until it is seen", () => {
    const published_ms = 5_000_000;
    const rtp_timestamp = (published_ms * 90) % 2 ** 32;
    paint(1, 900, { rtp_timestamp });
    expect(report()[0]?.latency_ms).toBeUndefined();
    tracks.setClock(1, published_ms - 950);
    paint(1, 960, { rtp_timestamp, ahead_ms: 7 });
    paint(1, 960, { rtp_timestamp: undefined });
    expect(report()[0]?.latency_ms).toBeCloseTo(17);
  });
  test("an unknown clock is unknown again, and a view that is gone has none", () => {
    tracks.setClock(1, 0);
    tracks.setClock(1, undefined);
    tracks.setClock(9, 0);
    paint(1, 1000, { rtp_timestamp: 990 * 90 });
    expect(report()[0]?.latency_ms).toBeUndefined();
  });
  test("a frame that is seen already is not early", () => {
    tracks.setClock(1, 0);
    paint(1, 1000, { rtp_timestamp: 990 * 90, ahead_ms: -50 });
    expect(report()[0]?.latency_ms).toBeCloseTo(10);
  });
  test("a video as fast as the screen has its phase against the refreshes", () => {
    let now = play(1, 60);
    expect(asked).toBe(0);
    expect(report(totals(0), now)[0]?.vsync).toBeUndefined();
    now = play(1, 60, now);
    expect(report(totals(0), now)[0]?.vsync?.refresh_ms).toBe(REFRESH_MS);
    now = play(1, 60, now);
    expect(report(totals(0), now)[0]?.vsync?.slack_ms).toBeCloseTo(4);
  });
  test("a slower video has none, and the screen is not measured for it", () => {
    let now = play(1, 38);
    report(totals(0), now);
    now = play(1, 38, now);
    expect(report(totals(0), now)[0]?.vsync).toBeUndefined();
    expect(asked).toBe(0);
    now = play(1, 42, now, 84);
    report(totals(0), now);
    expect(asked).toBe(1);
  });
  test("a video of exactly 40 frames a second counts as fast", () => {
    play(1, 40, 0, 41);
    report(totals(0), 1000);
    expect(asked).toBe(1);
  });
  test("frames shown while the screen's interval is unknown say nothing about the phase", () => {
    let known = false;
    const interval = (): number | undefined => (known ? REFRESH_MS : undefined);
    let now = play(1, 60);
    tracks.report(totals(0), now, interval);
    for (let i = 0; i < 60; i++, now += 1000 / 60) {
      known = i >= 30;
      tracks.painted(1, FRAME, now, interval);
    }
    expect(tracks.report(totals(0), now, interval)[0]?.vsync?.slack_ms).toBeCloseTo(4);
  });
  test("a video without any activity is not reported", () => {
    play(1, 30);
    expect(report(totals(0), 1000)).toHaveLength(1);
    expect(report(totals(0), 1400)).toHaveLength(1);
    expect(report(totals(0), 60_000)).toEqual([]);
  });
});

test("a new track of a media section counts from zero", () => {
  report(totals(5));
  tracks.addVideo("0");
  expect(report(totals(2))).toMatchObject([{ arrived: 2 }]);
});
