// One view's choices, by scenario. Must not know the socket.
import { describe, expect, test } from "vitest";
import { Path } from "../src/core/path";
import { ANSWER_MS, type Capabilities, Plan, RACE_MS, STALL_MS } from "../src/core/plan";
import type { ViewMode } from "../src/core/wire";

const ABLE = { codecs: ["h264", "vp8"], webcodecs: ["h264", "vp8"] } as const;

function plan(mode: ViewMode = "auto", more: { able?: Capabilities; visible?: boolean } = {}) {
  const path = new Path();
  const made = new Plan(mode, more.able ?? ABLE, path, more.visible ?? true);
  made.begin(0);
  return { plan: made, path };
}

const modes = (one: Plan): readonly string[] => one.wants.map(({ mode, codec }) => (codec === undefined ? mode : `${mode}:${codec}`));

/** A view whose video plays at `now`. */
function playing(mode: ViewMode = "auto") {
  const made = plan(mode);
  made.plan.progress("lossless", 1, 1, 50);
  made.plan.offered("h264", 60);
  made.plan.connected(100);
  made.plan.progress("webrtc", 1, 1, 150);
  return made;
}

describe("the first picture", () => {
  test("comes over the WebSocket while WebRTC is tried beside it", () => {
    const { plan: one } = plan();
    expect(modes(one)).toEqual(["lossless", "webrtc"]);
    one.progress("lossless", 1, 1, 50);
    expect(one.showing).toBe("lossless");
  });
  test("gives way to the video in silence as soon as that has painted", () => {
    const { plan: one } = playing();
    expect(one.showing).toBe("webrtc");
    expect(modes(one)).toEqual(["webrtc"]);
    expect(one.reason).toBe("WebRTC");
  });
  test("stays while video is only decoded and not painted", () => {
    const { plan: one } = plan();
    one.progress("lossless", 1, 1, 50);
    one.progress("webrtc", 3, 0, 150);
    expect(one.showing).toBe("lossless");
  });
  test("a view out of sight does not race", () => {
    const { plan: one } = plan("auto", { visible: false });
    expect(modes(one)).toEqual(["lossless"]);
    one.setVisible(true, 1000);
    one.tick(1000);
    expect(modes(one)).toEqual(["lossless", "webrtc"]);
  });
  test("a browser without WebRTC never races, and says so", () => {
    const { plan: one } = plan("auto", { able: { codecs: [], webcodecs: [] } });
    one.tick(60_000);
    expect(modes(one)).toEqual(["lossless"]);
    expect(one.reason).toContain("no WebRTC");
  });
});

describe("UDP blocked", () => {
  test("is said after one second, while the race goes on", () => {
    const { plan: one } = plan();
    one.progress("lossless", 1, 1, 50);
    one.offered("h264", 100);
    one.tick(100 + ANSWER_MS - 1);
    expect(one.reason).not.toContain("blocked");
    one.tick(100 + ANSWER_MS);
    expect(one.reason).toBe("UDP blocked: no answer in 1.0 s → WebSocket");
    expect(modes(one)).toEqual(["lossless", "webrtc"]);
  });
  test("a late answer still wins the race", () => {
    const { plan: one } = plan();
    one.progress("lossless", 1, 1, 50);
    one.offered("h264", 100);
    one.tick(2000);
    one.connected(3000);
    one.progress("webrtc", 1, 1, 3100);
    expect(one.showing).toBe("webrtc");
    expect(one.reason).toBe("WebRTC");
  });
  test("ends the race after six seconds; the picture stays; it is tried again 5, 10, 20 s later", () => {
    const { plan: one } = plan();
    one.progress("lossless", 1, 1, 50);
    let now = 100;
    for (const wait of [5000, 10_000, 20_000, 20_000]) {
      one.offered("h264", now);
      one.tick(now + ANSWER_MS);
      now += RACE_MS;
      one.tick(now);
      expect(modes(one)).toEqual(["lossless"]);
      expect(one.showing).toBe("lossless");
      expect(one.reason).toContain("UDP blocked");
      expect(one.deadline).toBe(now + wait);
      now += wait;
      one.tick(now);
      expect(modes(one)).toEqual(["lossless", "webrtc"]);
    }
  });
  test("in webrtc mode falls back the same way, and says that it was not asked for", () => {
    const { plan: one } = plan("webrtc");
    one.progress("lossless", 1, 1, 50);
    one.offered("h264", 100);
    one.tick(100 + ANSWER_MS);
    expect(one.showing).toBe("lossless");
    expect(one.reason).toBe("Not WebRTC, though asked for. UDP blocked: no answer in 1.0 s → WebSocket");
  });
  test("a server that makes no offer is not waited for for ever", () => {
    const { plan: one } = plan();
    one.tick(8000);
    expect(modes(one)).toEqual(["lossless"]);
    expect(one.reason).toContain("no offer");
  });
});

describe("video that connects and does not decode", () => {
  function connectedOnly() {
    const made = plan();
    made.plan.progress("lossless", 1, 1, 50);
    made.plan.offered("h264", 60);
    made.plan.connected(100);
    made.plan.watched(3, 0, 0, 100);
    return made;
  }
  test("is tried in the next codec, then given up for a while", () => {
    const { plan: one } = connectedOnly();
    one.tick(2100);
    expect(modes(one)).toEqual(["lossless", "webrtc:vp8"]);
    expect(one.reason).toBe("WebRTC connects, but H.264 does not decode here → VP8");
    one.offered("vp8", 2200);
    one.connected(2200);
    one.watched(3, 0, 0, 100);
    one.tick(4200);
    expect(modes(one)).toEqual(["lossless"]);
    expect(one.reason).toContain("VP8 does not decode here");
  });
  test("goes on from the codec that the server took, which need not be the first", () => {
    const able = { codecs: ["h264_444", "h264", "vp8"], webcodecs: [] } as const;
    const { plan: one } = plan("auto", { able });
    one.progress("lossless", 1, 1, 50);
    one.offered("h264", 60);
    one.connected(100);
    one.watched(3, 0, 0, 100);
    one.tick(2100);
    expect(modes(one)).toEqual(["lossless", "webrtc:vp8"]);
    expect(one.reason).toBe("WebRTC connects, but H.264 does not decode here → VP8");
  });
  test("whole chroma gives way to halved", () => {
    const able = { codecs: ["h264_444", "h264", "vp8"], webcodecs: [] } as const;
    const { plan: one } = plan("auto", { able });
    one.progress("lossless", 1, 1, 50);
    one.offered("h264_444", 60);
    one.connected(100);
    one.watched(3, 0, 0, 100);
    one.tick(2100);
    expect(modes(one)).toEqual(["lossless", "webrtc:h264"]);
    expect(one.reason).toBe("WebRTC connects, but H.264 4:4:4 does not decode here → H.264");
  });
  test("is the way's fault where no frame came through whole: it gets more time, and then the WebSocket stays", () => {
    const { plan: one } = plan();
    one.progress("lossless", 1, 1, 50);
    one.offered("h264", 60);
    one.connected(100);
    one.tick(100 + RACE_MS - 1);
    expect(modes(one)).toEqual(["lossless", "webrtc"]);
    one.tick(100 + RACE_MS);
    expect(modes(one)).toEqual(["lossless"]);
    expect(one.reason).toBe("WebRTC connects, but no frame comes through → WebSocket");
  });
  test("is blamed on the codec only some time after the first frame came through", () => {
    const { plan: one } = plan();
    one.progress("lossless", 1, 1, 50);
    one.offered("h264", 60);
    one.connected(100);
    one.watched(1, 0, 0, 5900);
    one.tick(7000);
    expect(modes(one)).toEqual(["lossless", "webrtc"]);
    one.watched(1, 1, 1, 7100);
    one.tick(9000);
    expect(one.showing).toBe("webrtc");
  });
  test("is no fault while nothing was published at all", () => {
    const { plan: one } = plan();
    one.offered("h264", 60);
    one.connected(100);
    one.tick(60_000);
    expect(modes(one)).toEqual(["lossless", "webrtc"]);
  });
  test("a refused codec is followed by the next without a wait", () => {
    const { plan: one } = plan();
    one.failed("webrtc", "no h264", true, 100);
    expect(modes(one)).toEqual(["lossless", "webrtc:vp8"]);
    one.failed("webrtc", "no vp8", true, 200);
    one.tick(600_000);
    expect(modes(one)).toEqual(["lossless"]);
  });
});

describe("a stall", () => {
  test("is frames sent and not shown for a second: the WebSocket takes over", () => {
    const { plan: one } = playing();
    one.sent("webrtc", [1000, 1033], 30, 0, 1500);
    one.tick(1000 + STALL_MS - 1);
    expect(modes(one)).toEqual(["webrtc"]);
    one.tick(1000 + STALL_MS);
    expect(modes(one)).toEqual(["lossless", "webrtc"]);
    expect(one.reason).toBe("WebRTC stalled: nothing for 1.0 s → WebSocket");
    one.progress("lossless", 1, 1, 2100);
    expect(one.showing).toBe("lossless");
  });
  test("is over when frames come again, and one straggler is not enough", () => {
    const { plan: one } = playing();
    one.sent("webrtc", [1000], 30, 0, 1500);
    one.tick(2000);
    one.progress("lossless", 1, 1, 2100);
    one.progress("webrtc", 1, 1, 2200);
    expect(one.showing).toBe("lossless");
    one.progress("webrtc", 7, 7, 2450);
    expect(one.showing).toBe("webrtc");
  });
  test("that lasts ends the video, which is tried again later", () => {
    const { plan: one, path } = playing();
    one.sent("webrtc", [1000], 30, 0, 1500);
    one.tick(2000);
    one.progress("lossless", 1, 1, 2100);
    one.tick(2000 + RACE_MS);
    expect(modes(one)).toEqual(["lossless"]);
    expect(path.next).toBe(2000 + RACE_MS + 5000);
  });
  test("a still scene is none", () => {
    const { plan: one } = playing("webrtc");
    for (let now = 1000; now < 60_000; now += 1000) {
      one.sent("webrtc", [100, 140], 0, 900, now);
      one.tick(now);
    }
    expect(modes(one)).toEqual(["webrtc"]);
    expect(one.showing).toBe("webrtc");
  });
  test("nor is a frame that came a little later", () => {
    const { plan: one } = playing();
    one.sent("webrtc", [1000], 30, 0, 1100);
    one.progress("webrtc", 1, 1, 1300);
    one.tick(5000);
    expect(modes(one)).toEqual(["webrtc"]);
  });
  test("nor what a hidden tab does not paint", () => {
    const { plan: one } = playing();
    one.setVisible(false, 500);
    one.sent("webrtc", [1000], 30, 0, 1500);
    one.tick(10_000);
    expect(modes(one)).toEqual(["webrtc"]);
  });
  test("a failed connection hands over at once", () => {
    const { plan: one } = playing();
    one.failed("webrtc", "The WebRTC connection failed", false, 3000);
    expect(modes(one)).toEqual(["lossless"]);
    expect(one.reason).toBe("The WebRTC connection failed → WebSocket");
  });
});

describe("a scene that comes to rest", () => {
  function resting() {
    const made = playing();
    made.plan.sent("webrtc", [100], 0, 900, 1000);
    return made;
  }
  test("gets its exact picture beside the video", () => {
    const { plan: one } = resting();
    expect(modes(one)).toEqual(["webrtc", "lossless"]);
    expect(one.showing).toBe("webrtc");
    one.progress("lossless", 1, 1, 1100);
    expect(one.showing).toBe("lossless");
    expect(one.reason).toContain("exact");
  });
  test("is video again with the next frame", () => {
    const { plan: one } = resting();
    one.progress("lossless", 1, 1, 1100);
    one.progress("lossless", 1, 1, 9000);
    expect(one.showing).toBe("webrtc");
    expect(modes(one)).toEqual(["webrtc"]);
  });
  test("is left alone longer if it never rests long", () => {
    const { plan: one } = resting();
    one.progress("lossless", 1, 1, 1100);
    one.progress("lossless", 1, 1, 1500);
    one.progress("webrtc", 1, 1, 1500);
    one.sent("webrtc", [1400], 1, 0, 2500);
    expect(modes(one)).toEqual(["webrtc"]);
    one.sent("webrtc", [1400], 0, 900, 3000);
    expect(modes(one)).toEqual(["webrtc", "lossless"]);
  });
  test("stays video in webrtc mode", () => {
    const { plan: one } = playing("webrtc");
    one.sent("webrtc", [100], 0, 4900, 5000);
    expect(modes(one)).toEqual(["webrtc"]);
  });
});

describe("a thin link", () => {
  /** Two seconds of lossless at `fps` while 30 are published. */
  function seconds(one: Plan, from: number, fps: number): number {
    for (let i = 0; i < 2 * fps; i++) one.progress("lossless", 1, 1, from + (i * 1000) / fps);
    one.sent("lossless", [], 30, 0, from + 1900);
    one.tick(from + 2000);
    return from + 2000;
  }
  function down() {
    const made = plan("auto", { able: { codecs: [], webcodecs: ["vp8"] } });
    made.plan.sent("lossless", [], 30, 0, 0);
    return made.plan;
  }
  test("gets video over the WebSocket after four slow seconds; lossless stays until that paints", () => {
    const one = down();
    const now = seconds(one, 0, 5);
    expect(modes(one)).toEqual(["lossless"]);
    seconds(one, now, 5);
    expect(modes(one)).toEqual(["lossless", "webcodecs"]);
    expect(one.reason).toBe("Link too thin for lossless: 5 of 30 fps → video over the WebSocket");
    one.progress("webcodecs", 1, 1, 4100);
    expect(one.showing).toBe("webcodecs");
    expect(modes(one)).toEqual(["webcodecs"]);
  });
  test("one slow moment is not one", () => {
    const one = down();
    seconds(one, seconds(one, seconds(one, 0, 5), 29), 5);
    expect(modes(one)).toEqual(["lossless"]);
  });
  test("back to lossless, for good, where the decoder fails", () => {
    const one = down();
    seconds(one, seconds(one, 0, 5), 5);
    one.failed("webcodecs", "The video decoder failed", true, 4100);
    expect(modes(one)).toEqual(["lossless"]);
    seconds(one, seconds(one, 4200, 5), 5);
    expect(modes(one)).toEqual(["lossless"]);
  });
});

describe("an explicit mode", () => {
  test("lossless is lossless and nothing else", () => {
    const { plan: one } = plan("lossless");
    one.progress("lossless", 1, 1, 10);
    one.tick(60_000);
    expect(modes(one)).toEqual(["lossless"]);
    expect(one.deadline).toBe(Infinity);
  });
  test("webcodecs without a decoder is lossless, and says so", () => {
    const { plan: one } = plan("webcodecs", { able: { codecs: [], webcodecs: [] } });
    expect(modes(one)).toEqual(["lossless"]);
    expect(one.reason).toContain("https or localhost");
  });
  test("can be changed while it runs", () => {
    const { plan: one } = playing();
    one.setMode("lossless", 2000);
    expect(modes(one)).toEqual(["lossless"]);
    expect(one.showing).toBe("webrtc");
    one.progress("lossless", 1, 1, 2100);
    expect(one.showing).toBe("lossless");
    one.setMode("auto", 3000);
    expect(modes(one)).toEqual(["lossless", "webrtc"]);
    expect(one.showing).toBe("lossless");
  });
});

test("a pause keeps the last picture and its words", () => {
  const { plan: one } = playing();
  one.pause("Connection lost; reconnecting");
  expect(modes(one)).toEqual([]);
  expect(one.showing).toBe("webrtc");
  expect(one.reason).toBe("Connection lost; reconnecting");
});
