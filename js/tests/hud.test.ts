// The texts over a picture. Must not know elements.
import { describe, expect, test } from "vitest";
import { badge, isViewMode, messageText, noteText, pillText, statsRows, statusRows } from "../src/core/hud";
import type { ViewStats, ViewStatus } from "../src/core/ports";

const STATUS: ViewStatus = { state: "negotiated", reason: { code: "webrtc" }, mode: "auto", showing: "webrtc", codec: "h264", stream: "camera", size: { width: 640, height: 480 }, title: "camera", cursor: "default" };
const STATS: ViewStats = {
  fps: 29.6, published_fps: 30, sent_fps: 30.04, latency_ms: 12.4, rtt_ms: 3, bitrate: 1_234_567, target_bitrate: 2_000_000, encode_ms: 1.25, viewers: 2,
  received: 9, decoded: 9, painted: 8, dropped: 1, exact: 0, mismatched: 0, clock_offset: 0, time: 0, rtp_ahead_ms: 0,
};
const BLOCKED = { code: "udp_blocked", fallback: { mode: "lossless" } } as const;
const status = (more: Partial<ViewStatus> = {}): ViewStatus => ({ ...STATUS, ...more });
const stats = (more: Partial<ViewStats> = {}): ViewStats => ({ ...STATS, ...more });

test.each<[string, Partial<ViewStatus>]>([
  ["WebRTC · H.264", {}],
  ["WebRTC", { codec: undefined }],
  ["WebCodecs · VP8", { showing: "webcodecs", codec: "vp8" }],
  ["Lossless", { showing: "lossless" }],
  ["Waiting", { state: "open" }],
  ["Connecting", { state: "connecting" }],
  ["Reconnecting", { state: "reconnecting" }],
  ["Stopped", { state: "error" }],
])("the pill says %s", (text, more) => {
  expect(pillText(status(more))).toBe(text);
});

describe("the message in the middle", () => {
  test("is the reason while there is no picture", () => {
    expect(messageText(status({ showing: "none", reason: { code: "no_stream" } }))).toBe("Connected, but nothing is published yet. Waiting for a stream.");
  });
  test("is the reason of a final error, even over a picture", () => {
    expect(messageText(status({ state: "error", reason: { code: "unauthorized" } }))).toContain("refused the token");
  });
  test("is empty while there is a picture", () => {
    expect(messageText(status())).toBe("");
  });
});

describe("the note", () => {
  test.each<[string, Partial<ViewStatus>]>([
    ["a fallback", { showing: "lossless", reason: BLOCKED }],
    ["a lost connection", { state: "reconnecting", reason: { code: "connection_lost" } }],
    ["a stream that is gone", { state: "open", reason: { code: "stream_missing", detail: "camera" } }],
  ])("names %s", (_, more) => {
    expect(noteText(status(more))).not.toBe("");
  });
  test("is empty for what was asked for, and where the message has the reason", () => {
    expect(noteText(status())).toBe("");
    expect(noteText(status({ showing: "none", state: "open", reason: { code: "no_stream" } }))).toBe("");
    expect(noteText(status({ showing: "none", state: "negotiated", reason: BLOCKED }))).toBe("");
  });
});

describe("the badge", () => {
  test("has frames a second and latency", () => {
    expect(badge(status(), stats())).toMatchObject({ text: "30 fps · 12 ms", wrong: false });
    expect(badge(status(), stats({ latency_ms: undefined }))?.text).toBe("30 fps");
    expect(badge(status(), stats({ latency_ms: -3 }))?.text).toBe("30 fps · 0 ms");
  });
  test("says of an exact picture at rest that it is exact, and nothing of the past", () => {
    const lossless = status({ showing: "lossless" });
    expect(badge(lossless, stats({ exact: 1, fps: 0.49, latency_ms: 994 }))?.text).toBe("exact");
    expect(badge(lossless, stats({ exact: 1, fps: 0.5 }))?.text).toBe("exact · 1 fps · 12 ms");
    expect(badge(lossless, stats({ exact: 1, mismatched: 2, fps: 0 }))?.text).toBe("2 wrong");
    expect(badge(status(), stats({ fps: 0, latency_ms: undefined }))?.text).toBe("0 fps");
  });
  test("says exact of checked lossless frames", () => {
    const lossless = status({ showing: "lossless" });
    expect(badge(lossless, stats({ exact: 1 }))).toEqual({ text: "exact · 30 fps · 12 ms", title: "1 frames checked, every pixel as published; 0 wrong", wrong: false });
    expect(badge(lossless, stats())?.text).toBe("30 fps · 12 ms");
    expect(badge(status(), stats({ exact: 1 }))?.title).toContain("median");
  });
  test("counts wrong frames whatever is shown", () => {
    expect(badge(status({ showing: "lossless" }), stats({ exact: 5, mismatched: 1 }))).toMatchObject({ text: "1 wrong · 30 fps · 12 ms", wrong: true });
    expect(badge(status(), stats({ mismatched: 1 }))?.wrong).toBe(true);
  });
  test("is not there without a picture", () => {
    expect(badge(status({ state: "open" }), stats())).toBeUndefined();
  });
});

test("the rows of the status", () => {
  const rows = (more: Partial<ViewStatus>) => Object.fromEntries(statusRows(status(more)));
  expect(rows({})).toEqual({ stream: "camera", mode: "auto → webrtc", why: "WebRTC", codec: "H.264", size: "640 × 480" });
  expect(rows({ mode: "webrtc" }).mode).toBe("webrtc");
  expect(rows({ showing: "none", codec: undefined, size: undefined })).toMatchObject({ mode: "auto", codec: "–", size: "–" });
  expect(rows({ mode: "webrtc", showing: "lossless", reason: BLOCKED })).toMatchObject({ mode: "webrtc → lossless", codec: "bit-exact", why: expect.stringMatching(/^Not WebRTC/) });
});

test("the rows of the numbers", () => {
  expect(Object.fromEntries(statsRows(stats({ exact: 4 })))).toEqual({
    fps: "29.6 of 30.0 published, 30.0 sent", "latency p50": "12.4 ms", "round trip": "3.0 ms", encode: "1.3 ms",
    bitrate: "1.23 Mbps of 2.00 Mbps", frames: "8 painted, 1 dropped", checked: "4 exact, 0 wrong", viewers: "2",
  });
  expect(Object.fromEntries(statsRows(stats({ target_bitrate: 0, latency_ms: undefined })))).toMatchObject({ bitrate: "1.23 Mbps", "latency p50": "–" });
});

test("the modes of a view are known by name", () => {
  expect(["auto", "webrtc", "webcodecs", "lossless", "toString", ""].map(isViewMode)).toEqual([true, true, true, true, false, false]);
});
