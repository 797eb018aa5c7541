// What one view needs and shows, by scenario. Must not know the socket.
import { describe, expect, test } from "vitest";
import type { Capabilities } from "../src/core/capabilities";
import { Plan } from "../src/core/plan";
import { ANSWER_MS, RACE_MS } from "../src/core/race";
import type { Reason } from "../src/core/reasons";
import { RetrySchedule } from "../src/core/retry-schedule";
import { STALL_MS } from "../src/core/stall";
import type { ViewMode } from "../src/core/wire";

const BOTH = { codecs: ["h264", "vp8"], webcodecs: ["h264", "vp8"] } as const;
const LOSSLESS = { mode: "lossless" } as const;
const NO_CODEC: Reason = { code: "no_codec" };

function plan(mode: ViewMode = "auto", more: { capabilities?: Capabilities; visible?: boolean } = {}) {
  const retries = new RetrySchedule();
  const made = new Plan(mode, more.capabilities ?? BOTH, retries, more.visible ?? true);
  made.begin(0);
  return { plan: made, retries };
}

const modes = (one: Plan): readonly string[] => one.needs.map(({ mode, codec }) => (codec === undefined ? mode : `${mode}:${codec}`));

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
  test("is replaced by the video as soon as that has painted a frame", () => {
    const { plan: one } = playing();
    expect(one.showing).toBe("webrtc");
    expect(modes(one)).toEqual(["webrtc"]);
    expect(one.reason).toEqual({ code: "webrtc" });
  });
  test("stays while video is decoded and not painted", () => {
    const { plan: one } = plan();
    one.progress("lossless", 1, 1, 50);
    one.progress("webrtc", 3, 0, 150);
    expect(one.showing).toBe("lossless");
  });
  test("is all that a hidden view gets, until it is visible", () => {
    const { plan: one } = plan("auto", { visible: false });
    expect(modes(one)).toEqual(["lossless"]);
    one.setVisible(true, 1000);
    one.tick(1000);
    expect(modes(one)).toEqual(["lossless", "webrtc"]);
  });
  test("is all that a browser without WebRTC gets, with the reason", () => {
    const { plan: one } = plan("auto", { capabilities: { codecs: [], webcodecs: [] } });
    one.tick(60_000);
    expect(modes(one)).toEqual(["lossless"]);
    expect(one.reason).toEqual({ code: "no_webrtc", fallback: LOSSLESS });
  });
});

describe("UDP blocked", () => {
  test("is reported after one second, while the race goes on", () => {
    const { plan: one } = plan();
    one.progress("lossless", 1, 1, 50);
    one.offered("h264", 100);
    one.tick(100 + ANSWER_MS - 1);
    expect(one.reason.code).toBe("trying_webrtc");
    one.tick(100 + ANSWER_MS);
    expect(one.reason).toEqual({ code: "udp_blocked", fallback: LOSSLESS });
    expect(modes(one)).toEqual(["lossless", "webrtc"]);
  });
  test("a late answer can still win the race", () => {
    const { plan: one } = plan();
    one.progress("lossless", 1, 1, 50);
    one.offered("h264", 100);
    one.tick(2000);
    one.connected(3000);
    one.progress("webrtc", 1, 1, 3100);
    expect(one.showing).toBe("webrtc");
    expect(one.reason).toEqual({ code: "webrtc" });
  });
  test("ends the race after six seconds; the picture stays; WebRTC is tried again 5, 10, 20 s later", () => {
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
      expect(one.reason).toEqual({ code: "udp_blocked", fallback: LOSSLESS });
      expect(one.deadline).toBe(now + wait);
      now += wait;
      one.tick(now);
      expect(modes(one)).toEqual(["lossless", "webrtc"]);
    }
  });
  test("falls back in webrtc mode too", () => {
    const { plan: one } = plan("webrtc");
    one.progress("lossless", 1, 1, 50);
    one.offered("h264", 100);
    one.tick(100 + ANSWER_MS);
    expect(one.showing).toBe("lossless");
    expect(one.reason).toEqual({ code: "udp_blocked", fallback: LOSSLESS });
  });
  test("a server that makes no offer is given up after eight seconds", () => {
    const { plan: one } = plan();
    one.tick(8000);
    expect(modes(one)).toEqual(["lossless"]);
    expect(one.reason).toEqual({ code: "no_offer", fallback: LOSSLESS });
  });
});

describe("video that connects and does not decode", () => {
  function connectedOnly() {
    const made = plan();
    made.plan.progress("lossless", 1, 1, 50);
    made.plan.offered("h264", 60);
    made.plan.connected(100);
    made.plan.videoArrived(3, 0, 0, 100);
    return made;
  }
  test("is tried in the next codec, and then given up for a while", () => {
    const { plan: one } = connectedOnly();
    one.tick(2100);
    expect(modes(one)).toEqual(["lossless", "webrtc:vp8"]);
    expect(one.reason).toEqual({ code: "not_decoded", detail: "H.264", fallback: { mode: "webrtc", codec: "vp8" } });
    one.offered("vp8", 2200);
    one.connected(2200);
    one.videoArrived(3, 0, 0, 100);
    one.tick(4200);
    expect(modes(one)).toEqual(["lossless"]);
    expect(one.reason).toEqual({ code: "not_decoded", detail: "VP8", fallback: LOSSLESS });
  });
  test("goes on from the codec that the server took, which need not be the first", () => {
    const capabilities = { codecs: ["h264_444", "h264", "vp8"], webcodecs: [] } as const;
    const { plan: one } = plan("auto", { capabilities });
    one.progress("lossless", 1, 1, 50);
    one.offered("h264", 60);
    one.connected(100);
    one.videoArrived(3, 0, 0, 100);
    one.tick(2100);
    expect(modes(one)).toEqual(["lossless", "webrtc:vp8"]);
    expect(one.reason).toEqual({ code: "not_decoded", detail: "H.264", fallback: { mode: "webrtc", codec: "vp8" } });
  });
  test("is tried in halved chroma after whole chroma", () => {
    const capabilities = { codecs: ["h264_444", "h264", "vp8"], webcodecs: [] } as const;
    const { plan: one } = plan("auto", { capabilities });
    one.progress("lossless", 1, 1, 50);
    one.offered("h264_444", 60);
    one.connected(100);
    one.videoArrived(3, 0, 0, 100);
    one.tick(2100);
    expect(modes(one)).toEqual(["lossless", "webrtc:h264"]);
    expect(one.reason).toEqual({ code: "not_decoded", detail: "H.264 4:4:4", fallback: { mode: "webrtc", codec: "h264" } });
  });
  test("has more time where no frame arrived whole: that is the path's fault, not the codec's", () => {
    const { plan: one } = plan();
    one.progress("lossless", 1, 1, 50);
    one.offered("h264", 60);
    one.connected(100);
    one.tick(100 + RACE_MS - 1);
    expect(modes(one)).toEqual(["lossless", "webrtc"]);
    one.tick(100 + RACE_MS);
    expect(modes(one)).toEqual(["lossless"]);
    expect(one.reason).toEqual({ code: "no_frames", fallback: LOSSLESS });
  });
  test("is blamed on the codec only some time after the first frame arrived", () => {
    const { plan: one } = plan();
    one.progress("lossless", 1, 1, 50);
    one.offered("h264", 60);
    one.connected(100);
    one.videoArrived(1, 0, 0, 5900);
    one.tick(7000);
    expect(modes(one)).toEqual(["lossless", "webrtc"]);
    one.videoArrived(1, 1, 1, 7100);
    one.tick(9000);
    expect(one.showing).toBe("webrtc");
  });
  test("is not given up while nothing is published", () => {
    const { plan: one } = plan();
    one.offered("h264", 60);
    one.connected(100);
    one.tick(60_000);
    expect(modes(one)).toEqual(["lossless", "webrtc"]);
  });
  test("a refused codec is followed by the next without a wait", () => {
    const { plan: one } = plan();
    one.failed("webrtc", NO_CODEC, true, 100);
    expect(modes(one)).toEqual(["lossless", "webrtc:vp8"]);
    expect(one.reason).toEqual({ code: "no_codec", fallback: { mode: "webrtc", codec: "vp8" } });
    one.failed("webrtc", NO_CODEC, true, 200);
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
    expect(one.reason).toEqual({ code: "stalled", fallback: LOSSLESS });
    one.progress("lossless", 1, 1, 2100);
    expect(one.showing).toBe("lossless");
  });
  test("is over when five frames have come again, and not with the first", () => {
    const { plan: one } = playing();
    one.sent("webrtc", [1000], 30, 0, 1500);
    one.tick(2000);
    one.progress("lossless", 1, 1, 2100);
    one.progress("webrtc", 1, 1, 2200);
    expect(one.showing).toBe("lossless");
    one.progress("webrtc", 7, 7, 2450);
    expect(one.showing).toBe("webrtc");
  });
  test("that lasts ends the video, and WebRTC is tried again later", () => {
    const { plan: one, retries } = playing();
    one.sent("webrtc", [1000], 30, 0, 1500);
    one.tick(2000);
    one.progress("lossless", 1, 1, 2100);
    one.tick(2000 + RACE_MS);
    expect(modes(one)).toEqual(["lossless"]);
    expect(retries.next).toBe(2000 + RACE_MS + 5000);
  });
  test("is not a scene that is still", () => {
    const { plan: one } = playing("webrtc");
    for (let now = 1000; now < 60_000; now += 1000) {
      one.sent("webrtc", [100, 140], 0, 900, now);
      one.tick(now);
    }
    expect(modes(one)).toEqual(["webrtc"]);
    expect(one.showing).toBe("webrtc");
  });
  test("is not a frame that came a little later", () => {
    const { plan: one } = playing();
    one.sent("webrtc", [1000], 30, 0, 1100);
    one.progress("webrtc", 1, 1, 1300);
    one.tick(5000);
    expect(modes(one)).toEqual(["webrtc"]);
  });
  test("is not what a hidden tab does not paint", () => {
    const { plan: one } = playing();
    one.setVisible(false, 500);
    one.sent("webrtc", [1000], 30, 0, 1500);
    one.tick(10_000);
    expect(modes(one)).toEqual(["webrtc"]);
  });
  test("needs no second where the connection failed", () => {
    const { plan: one } = playing();
    one.failed("webrtc", { code: "peer_failed" }, false, 3000);
    expect(modes(one)).toEqual(["lossless"]);
    expect(one.reason).toEqual({ code: "peer_failed", fallback: LOSSLESS });
  });
});

describe("a scene that becomes still", () => {
  function resting() {
    const made = playing();
    made.plan.sent("webrtc", [100], 0, 900, 1000);
    return made;
  }
  test("gets its exact picture while the video goes on", () => {
    const { plan: one } = resting();
    expect(modes(one)).toEqual(["webrtc", "lossless"]);
    expect(one.showing).toBe("webrtc");
    one.progress("lossless", 1, 1, 1100);
    expect(one.showing).toBe("lossless");
    expect(one.reason).toEqual({ code: "exact_still" });
  });
  test("is video again with the next frame", () => {
    const { plan: one } = resting();
    one.progress("lossless", 1, 1, 1100);
    one.progress("lossless", 1, 1, 9000);
    expect(one.showing).toBe("webrtc");
    expect(modes(one)).toEqual(["webrtc"]);
  });
  test("has to be still for longer the next time, if it was still only briefly", () => {
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

describe("a slow link", () => {
  /** Two seconds of lossless at `fps` while 30 are published. */
  function seconds(one: Plan, from: number, fps: number): number {
    for (let i = 0; i < 2 * fps; i++) one.progress("lossless", 1, 1, from + (i * 1000) / fps);
    one.sent("lossless", [], 30, 0, from + 1900);
    one.tick(from + 2000);
    return from + 2000;
  }
  function down() {
    const made = plan("auto", { capabilities: { codecs: [], webcodecs: ["vp8"] } });
    made.plan.sent("lossless", [], 30, 0, 0);
    return made.plan;
  }
  test("gets video over the WebSocket after four slow seconds; lossless stays until that paints", () => {
    const one = down();
    const now = seconds(one, 0, 5);
    expect(modes(one)).toEqual(["lossless"]);
    seconds(one, now, 5);
    expect(modes(one)).toEqual(["lossless", "webcodecs"]);
    expect(one.reason).toEqual({ code: "slow_link", detail: "5 of 30 fps", fallback: { mode: "webcodecs" } });
    one.progress("webcodecs", 1, 1, 4100);
    expect(one.showing).toBe("webcodecs");
    expect(modes(one)).toEqual(["webcodecs"]);
  });
  test("is not one slow window", () => {
    const one = down();
    seconds(one, seconds(one, seconds(one, 0, 5), 29), 5);
    expect(modes(one)).toEqual(["lossless"]);
  });
  test("goes back to lossless for good where the decoder fails", () => {
    const one = down();
    seconds(one, seconds(one, 0, 5), 5);
    one.failed("webcodecs", { code: "decoder_failed" }, true, 4100);
    expect(one.reason).toEqual({ code: "decoder_failed", fallback: LOSSLESS });
    expect(modes(one)).toEqual(["lossless"]);
    seconds(one, seconds(one, 4200, 5), 5);
    expect(modes(one)).toEqual(["lossless"]);
  });
});

describe("an explicit mode", () => {
  test("lossless is shown and nothing else is tried", () => {
    const { plan: one } = plan("lossless");
    one.progress("lossless", 1, 1, 10);
    one.tick(60_000);
    expect(modes(one)).toEqual(["lossless"]);
    expect(one.deadline).toBe(Infinity);
  });
  test("webcodecs without a decoder is lossless, with the reason", () => {
    const { plan: one } = plan("webcodecs", { capabilities: { codecs: [], webcodecs: [] } });
    expect(modes(one)).toEqual(["lossless"]);
    expect(one.reason).toEqual({ code: "no_decoder", fallback: LOSSLESS });
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

test("a pause keeps the last picture, and has a reason", () => {
  const { plan: one } = playing();
  one.pause({ code: "connection_lost" });
  expect(modes(one)).toEqual([]);
  expect(one.showing).toBe("webrtc");
  expect(one.reason).toEqual({ code: "connection_lost" });
});

/** A plan whose WebRTC was tried for six seconds without an answer: it is tried again five seconds later. */
function blocked(capabilities: Capabilities = BOTH) {
  const made = plan("auto", { capabilities });
  made.plan.progress("lossless", 1, 1, 50);
  made.plan.offered("h264", 100);
  made.plan.tick(100 + RACE_MS);
  const again = made.retries.next;
  made.plan.tick(again);
  return { ...made, again };
}

describe("a new try of WebRTC", () => {
  test("leaves the codec to the server again", () => {
    const { plan: one } = plan();
    one.failed("webrtc", NO_CODEC, true, 10);
    one.offered("vp8", 100);
    one.tick(100 + RACE_MS);
    one.tick(100 + RACE_MS + 5000);
    expect(modes(one)).toEqual(["lossless", "webrtc"]);
  });
  test("does not know yet what the server takes", () => {
    const { plan: one, retries } = plan();
    one.offered("vp8", 100);
    one.tick(100 + RACE_MS);
    one.tick(retries.next);
    one.failed("webrtc", NO_CODEC, true, retries.next);
    expect(modes(one)).toEqual(["lossless", "webrtc:vp8"]);
  });
  test("keeps the reason of the last one, and does not report UDP again", () => {
    const { plan: one, again } = blocked();
    one.offered("h264", again);
    one.failed("webrtc", { code: "peer_failed" }, false, again + 10);
    one.tick(again + 10_010);
    one.offered("h264", again + 10_010);
    one.tick(again + 10_010 + ANSWER_MS);
    expect(one.reason.code).toBe("peer_failed");
  });
  test("is compared with pictures that were painted before it", () => {
    const { plan: one, again } = blocked();
    one.offered("h264", again);
    one.connected(again);
    one.tick(again + RACE_MS);
    expect(one.reason.code).toBe("no_frames");
  });
  test.each(["stall", "failure"])("after a %s is not compared with pictures from before it", (what) => {
    const { plan: one, retries } = playing();
    if (what === "failure") one.failed("webrtc", { code: "peer_failed" }, false, 1000);
    else {
      one.sent("webrtc", [1000], 30, 0, 1500);
      one.tick(2000);
      one.tick(2000 + RACE_MS);
    }
    const again = retries.next;
    one.tick(again);
    one.offered("h264", again);
    one.connected(again);
    one.tick(again + RACE_MS);
    expect(modes(one)).toEqual(["lossless", "webrtc"]);
  });
  test("comes early again after video that lasted ten seconds", () => {
    const { plan: one, retries, again } = blocked();
    one.progress("webrtc", 1, 1, again);
    one.tick(again + 9999);
    one.failed("webrtc", { code: "peer_failed" }, false, again + 9999);
    expect(retries.next).toBe(again + 9999 + 10_000);
    const other = blocked();
    other.plan.progress("webrtc", 1, 1, other.again);
    other.plan.tick(other.again + 10_000);
    other.plan.failed("webrtc", { code: "peer_failed" }, false, other.again + 10_000);
    expect(other.retries.next).toBe(other.again + 10_000 + 5000);
  });
  test("waits while the view is hidden", () => {
    const { plan: one } = plan();
    one.failed("webrtc", { code: "peer_failed" }, false, 100);
    one.setVisible(false, 200);
    expect(one.deadline).toBe(Infinity);
    one.tick(60_000);
    expect(modes(one)).toEqual(["lossless"]);
    one.setVisible(true, 61_000);
    expect(one.deadline).toBe(5100);
  });
  test("comes after any failure but of the last codec", () => {
    const { plan: one } = plan("auto", { capabilities: { codecs: ["h264"], webcodecs: [] } });
    one.progress("lossless", 1, 1, 50);
    one.offered("h264", 60);
    one.connected(100);
    one.videoArrived(1, 0, 0, 100);
    one.tick(2100);
    expect(one.reason.code).toBe("not_decoded");
    expect(one.deadline).toBe(7100);
    one.tick(7100);
    one.failed("webrtc", NO_CODEC, true, 7200);
    expect(one.deadline).toBe(Infinity);
  });
});

describe("what comes late or for another subscription", () => {
  test("an offer or a connection without a race changes nothing", () => {
    const { plan: one } = plan("lossless");
    one.offered("h264", 10);
    one.connected(20);
    one.sent("webrtc", [10], 30, 0, 30);
    one.videoArrived(1, 1, 1, 40);
    expect(modes(one)).toEqual(["lossless"]);
  });
  test("frames that are decoded and not painted are not shown", () => {
    const { plan: one } = plan("lossless");
    one.progress("lossless", 1, 0, 10);
    expect(one.showing).toBe("none");
  });
  test("a report without frames does not start the codec's clock, nor end a stall", () => {
    const { plan: one } = plan();
    one.progress("lossless", 1, 1, 50);
    one.offered("h264", 60);
    one.connected(100);
    one.videoArrived(0, 0, 0, 200);
    one.tick(100 + RACE_MS);
    expect(one.reason.code).toBe("no_frames");
    const { plan: other } = playing();
    other.sent("webrtc", [1000], 30, 0, 1500);
    other.progress("webrtc", 0, 0, 1900);
    other.tick(2000);
    expect(other.reason.code).toBe("stalled");
  });
  test("one decoded frame ends a stall", () => {
    const { plan: one } = playing();
    one.sent("webrtc", [1000], 30, 0, 1500);
    one.progress("webrtc", 1, 0, 1900);
    one.tick(2500);
    expect(modes(one)).toEqual(["webrtc"]);
  });
  test("what was sent of lossless pictures says nothing about the video", () => {
    const { plan: one } = playing();
    one.sent("lossless", [1000], 30, 900, 1500);
    one.tick(2500);
    expect(modes(one)).toEqual(["webrtc"]);
  });
  test("the end of lossless pictures is the session's business", () => {
    const { plan: one } = plan();
    one.failed("lossless", { code: "internal" }, true, 100);
    expect(modes(one)).toEqual(["lossless", "webrtc"]);
    expect(one.reason.code).toBe("trying_webrtc");
  });
});

describe("a view that is hidden and shown", () => {
  test("has no stall from before", () => {
    const { plan: one } = playing();
    one.sent("webrtc", [1000], 30, 0, 1500);
    one.setVisible(false, 1600);
    one.setVisible(true, 5000);
    one.tick(5000);
    expect(modes(one)).toEqual(["webrtc"]);
  });
  test("begins a new window for the link", () => {
    const { plan: one } = plan("auto", { capabilities: { codecs: [], webcodecs: ["vp8"] } });
    one.sent("lossless", [], 30, 0, 0);
    for (const start of [0, 2000]) {
      for (let i = 0; i < 10; i++) one.progress("lossless", 1, 1, start + 200 * i);
      if (start === 2000) one.setVisible(true, 3900);
      one.tick(start + 2000);
    }
    expect(modes(one)).toEqual(["lossless"]);
  });
});

describe("a plan that begins again", () => {
  test("knows nothing of the link and of pictures from before", () => {
    const { plan: one, retries } = plan("auto", { capabilities: { codecs: ["h264"], webcodecs: ["vp8"] } });
    one.sent("lossless", [], 30, 0, 0);
    for (let i = 0; i < 20; i++) {
      one.progress("lossless", 1, 1, 200 * i);
      one.tick(200 * (i + 1));
    }
    expect(modes(one)).toEqual(["lossless", "webcodecs", "webrtc"]);
    one.pause({ code: "connection_lost" });
    retries.clear();
    one.begin(5000);
    expect(modes(one)).toEqual(["lossless", "webrtc"]);
    one.offered("h264", 5000);
    one.connected(5000);
    one.tick(5000 + RACE_MS);
    expect(modes(one)).toEqual(["lossless", "webrtc"]);
  });
  test("counts slow windows from the first", () => {
    const { plan: one } = plan("auto", { capabilities: { codecs: [], webcodecs: ["vp8"] } });
    for (const start of [0, 2000]) {
      one.sent("lossless", [], 30, 0, start);
      for (let i = 0; i < 10; i++) one.progress("lossless", 1, 1, start + 200 * i);
      one.tick(start + 2000);
      one.pause({ code: "connection_lost" });
      one.begin(start + 2000);
    }
    expect(modes(one)).toEqual(["lossless"]);
  });
  test("has no exact picture of a scene from before", () => {
    const { plan: one, retries } = playing();
    one.sent("webrtc", [100], 0, 900, 1000);
    expect(modes(one)).toEqual(["webrtc", "lossless"]);
    one.failed("webrtc", { code: "peer_failed" }, false, 1100);
    one.tick(retries.next);
    one.progress("webrtc", 1, 1, retries.next);
    expect(modes(one)).toEqual(["webrtc"]);
  });
});

describe("video over the WebSocket", () => {
  /** A link that was too slow for lossless for four seconds, while `capabilities` allow WebRTC or not. */
  function slow(codecs: readonly string[] = []) {
    const made = plan("auto", { capabilities: { codecs, webcodecs: ["vp8"] } });
    made.plan.sent("lossless", [], 30, 0, 0);
    for (let i = 0; i < 20; i++) {
      made.plan.progress("lossless", 1, 1, 200 * i);
      made.plan.tick(200 * (i + 1));
    }
    return made;
  }
  test("comes beside a race that goes on", () => {
    expect(modes(slow(["h264"]).plan)).toEqual(["lossless", "webcodecs", "webrtc"]);
  });
  test("stays when a lossless frame comes late, from its first frame on", () => {
    const { plan: one } = slow();
    one.progress("lossless", 1, 1, 4050);
    expect(one.showing).toBe("lossless");
    one.progress("webcodecs", 1, 1, 4100);
    one.progress("lossless", 1, 1, 4200);
    expect(one.showing).toBe("webcodecs");
    one.progress("webcodecs", 1, 1, 4300);
    expect(one.showing).toBe("webcodecs");
  });
  test("that fails leaves the try of WebRTC alone", () => {
    const { plan: one } = slow(["h264"]);
    one.failed("webcodecs", { code: "decoder_failed" }, true, 4100);
    expect(modes(one)).toEqual(["lossless", "webrtc"]);
  });
  test("that fails as the mode asked for is final", () => {
    const { plan: one } = plan("webcodecs", { capabilities: { codecs: ["h264"], webcodecs: ["vp8"] } });
    expect(modes(one)).toEqual(["webcodecs"]);
    expect(one.reason).toEqual({ code: "webcodecs" });
    one.failed("webcodecs", { code: "decoder_failed" }, true, 100);
    one.tick(60_000);
    expect(modes(one)).toEqual(["lossless"]);
    expect(one.deadline).toBe(Infinity);
  });
  test("is not considered while WebRTC plays", () => {
    const { plan: one } = playing();
    one.sent("webrtc", [], 30, 0, 200);
    for (let i = 1; i < 10; i++) {
      one.progress("webrtc", 1, 1, 1000 * i);
      one.tick(1000 * i);
    }
    expect(modes(one)).toEqual(["webrtc"]);
    expect(one.reason).toEqual({ code: "webrtc" });
  });
});

describe("another stream", () => {
  test("is asked for in the codec of the server's choice, and over the WebSocket if that fails", () => {
    const { plan: one } = plan();
    one.failed("webrtc", NO_CODEC, true, 100);
    one.failed("webcodecs", { code: "decoder_failed" }, true, 100);
    expect(modes(one)).toEqual(["lossless", "webrtc:vp8"]);
    one.forget();
    expect(modes(one)).toEqual(["lossless", "webrtc"]);
    one.sent("lossless", [], 30, 0, 0);
    for (let i = 0; i < 20; i++) {
      one.progress("lossless", 1, 1, 200 * i);
      one.tick(200 * (i + 1));
    }
    expect(modes(one)).toContain("webcodecs");
  });
  test("need not wait because this one has no codec that the browser decodes", () => {
    const { plan: one, retries } = plan();
    one.failed("webrtc", NO_CODEC, true, 100);
    one.failed("webrtc", NO_CODEC, true, 200);
    expect(modes(one)).toEqual(["lossless"]);
    expect(retries.next).toBe(0);
  });
});

describe("setting the mode", () => {
  test("to the same one changes nothing", () => {
    const { plan: one } = playing();
    one.setMode("auto", 1000);
    expect(modes(one)).toEqual(["webrtc"]);
  });
  test("leaves the codec to the server again", () => {
    const { plan: one } = plan();
    one.failed("webrtc", NO_CODEC, true, 10);
    one.setMode("webrtc", 20);
    expect(modes(one)).toEqual(["lossless", "webrtc"]);
  });
  test("begins nothing without a socket", () => {
    const { plan: one } = plan();
    one.pause({ code: "connection_lost" });
    one.setMode("lossless", 20);
    expect(modes(one)).toEqual([]);
    expect(one.reason).toEqual({ code: "connection_lost" });
    one.begin(30);
    expect(modes(one)).toEqual(["lossless"]);
    expect(one.reason).toEqual({ code: "lossless" });
  });
});
