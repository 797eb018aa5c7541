// The session's dealings with the peer connection. Must not know SDP.
import { describe, expect, test } from "vitest";
import { Stage } from "./stage";

const racing = (): Stage => new Stage().open(1).ready().lossless().offer({ sub: 2 });

describe("an event of another connection", () => {
  test.each([
    { type: "peer_answer", peer: 2, offer: 1, sdp: "v=1" },
    { type: "peer_candidate", peer: 2, candidate: "c", sdp_mid: "0" },
    { type: "peer_failed", peer: 2, detail: "" },
    { type: "peer_connected", peer: 2 },
  ] as const)("$type is ignored", (event) => {
    const stage = racing().clear();
    stage.feed(event);
    expect(stage.effects.filter(({ type }) => type !== "view_status")).toEqual([]);
    expect(stage.status()).toBeUndefined();
  });
});

test("an offer without a subscription of ours is answered, and shows nothing", () => {
  const stage = racing().clear();
  stage.receive({ type: "offer", peer: 1, offer: 2, sdp: "v=0", tracks: [{ sub: 77, mid: "5", codec: "vp8" }] });
  expect(stage.of("peer_offer")).toHaveLength(1);
  expect(stage.of("peer_attach")).toEqual([]);
});

test("the server's ICE servers go with the offer", () => {
  const stage = new Stage().open(1).ready();
  const ice_servers = [{ urls: ["stun:example.org"] }];
  stage.receive({ type: "welcome", version: 1, server: "s", epoch: "e1", time: 0, ice_servers });
  stage.offer({ sub: 2 });
  expect(stage.of("peer_offer")).toMatchObject([{ ice_servers }]);
});

test("a failure of the connection has its detail only where there is one", () => {
  const failedWith = (detail: string) => {
    const stage = racing();
    stage.feed({ type: "peer_failed", peer: 1, detail });
    return stage.status()?.reason;
  };
  expect(failedWith("")).toEqual({ code: "peer_failed", fallback: { mode: "lossless" } });
  expect(failedWith("no ICE")).toEqual({ code: "peer_failed", detail: "no ICE", fallback: { mode: "lossless" } });
});

test("a view that joins a video which plays takes part in it at once", () => {
  const stage = racing().connected().video(1).open(2);
  expect(stage.of("peer_attach").at(-1)).toMatchObject({ view: 2, mid: "0" });
  stage.pass(1500);
  expect(stage.status(2)?.reason).toEqual({ code: "trying_webrtc" });
  stage.video(1, 2);
  expect(stage.status(2)).toMatchObject({ showing: "webrtc", codec: "h264" });
});

test("frames of a media section that no subscription has are ignored", () => {
  const stage = racing().connected().clear();
  stage.feed({ type: "peer_progress", peer: 1, videos: [{ mid: "9", arrived: 1, decoded: 1, dropped: 0, fps: 1, latency_ms: 1, views: [{ view: 1, painted: 1 }] }] });
  expect(stage.status()).toBeUndefined();
});

test("a frame that arrives and is not decoded starts the codec's clock", () => {
  const stage = racing().connected();
  stage.feed({ type: "peer_progress", peer: 1, videos: [{ mid: "0", arrived: 1, decoded: 0, dropped: 0, fps: 0, latency_ms: undefined, views: [{ view: 1, painted: 0 }] }] });
  stage.pass(2000);
  expect(stage.sent("subscribe").at(-1)).toMatchObject({ mode: "webrtc", codec: "vp8" });
});

test("nothing is attached before the offer names a media section", () => {
  expect(new Stage().open(1).ready().of("peer_attach")).toEqual([]);
});

const frames = (arrived: number, views: readonly { view: number; painted: number }[] = []) =>
  ({ type: "peer_progress", peer: 1, videos: [{ mid: "0", arrived, decoded: arrived, dropped: 0, fps: 30, latency_ms: 9, views }] }) as const;

test("frames that arrive are counted, and reported to the server", () => {
  const stage = racing().connected();
  stage.feed(frames(7));
  stage.pass(1200);
  expect(stage.sent("report").filter(({ sub }) => sub === 2).at(-1)).toMatchObject({ decoded: 7, painted: 0, fps: 30 });
});

test("only arriving frames show that the server is there", () => {
  const silentAfter = (arrived: number): boolean => {
    const stage = racing().connected().video(1).clear();
    for (let i = 0; i < 24; i++) {
      stage.pass(250);
      stage.feed(frames(arrived, [{ view: 1, painted: 1 }]));
    }
    return stage.of("disconnect").length > 0;
  };
  expect([silentAfter(0), silentAfter(1)]).toEqual([true, false]);
});

test("a view that the report does not name has painted nothing", () => {
  const stage = racing().connected().open(2).clear();
  stage.feed(frames(3, [{ view: 1, painted: 3 }]));
  expect(stage.status(1)?.showing).toBe("webrtc");
  expect(stage.status(2)).toBeUndefined();
});
