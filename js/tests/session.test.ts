// The viewer's state machine by scenario: what the server, the browser and the clock did, and what it does then. Must not know shells.
import { describe, expect, test } from "vitest";
import { Session } from "../src/core/session";
import { CAMERA, DEPTH, Stage } from "./stage";

const modes = (stage: Stage): readonly string[] => stage.subscribed.map(({ stream, mode }) => `${stream} ${mode}`);

describe("joining", () => {
  test("sends hello with the token, and nothing before it", () => {
    const stage = new Stage(["vp8"], ["h264"]).open(1);
    stage.feed({ type: "start" });
    expect(stage.of("send")).toEqual([]);
    stage.feed({ type: "socket_opened" });
    expect(stage.sent("hello")).toEqual([{ type: "hello", version: 1, token: "t", codecs: ["vp8"], webcodecs: ["h264"], agent: "test" }]);
    expect(stage.sent("subscribe")).toEqual([]);
  });
  test("subscribes when the stream is listed, lossless first", () => {
    const stage = new Stage().open(1).ready([]);
    expect(stage.sent("subscribe")).toEqual([]);
    expect(stage.status()).toMatchObject({ state: "open", reason: { code: "no_stream" } });
    stage.receive({ type: "streams", streams: [CAMERA] });
    expect(stage.sent("subscribe")).toEqual([
      { type: "subscribe", sub: 1, stream: "camera", mode: "lossless" },
      { type: "subscribe", sub: 2, stream: "camera", mode: "webrtc" },
    ]);
  });
  test("is negotiated with the first picture, and shows the video with its first frame", () => {
    const stage = new Stage().open(1).ready().lossless();
    expect(stage.status()).toMatchObject({ state: "negotiated", showing: "lossless", size: { width: 640, height: 480 } });
    stage.offer({ sub: 2 }).connected().video(1);
    expect(stage.status()).toMatchObject({ state: "negotiated", showing: "webrtc", codec: "h264" });
    expect(stage.sent("unsubscribe")).toEqual([{ type: "unsubscribe", sub: 1 }]);
  });
  test("calls the server open only when its streams are known, even if there are none", () => {
    const stage = new Stage();
    stage.feed({ type: "start" });
    stage.feed({ type: "socket_opened" });
    stage.receive({ type: "welcome", version: 1, server: "s", epoch: "e", time: 0, ice_servers: [] });
    expect(stage.of("server_status").at(-1)).toMatchObject({ status: { state: "connecting" } });
    stage.receive({ type: "streams", streams: [] });
    expect(stage.of("server_status").at(-1)).toMatchObject({ status: { state: "open", streams: [] } });
  });
  test("carries out the offer, and sends answer and candidates back", () => {
    const stage = new Stage().open(1).ready().offer({ sub: 2 });
    expect(stage.of("peer_offer")).toEqual([{ type: "peer_offer", peer: 1, offer: 1, sdp: "v=0", ice_servers: [] }]);
    expect(stage.of("peer_attach")).toEqual([{ type: "peer_attach", peer: 1, mid: "0", view: 1 }]);
    stage.feed({ type: "peer_answer", peer: 1, offer: 1, sdp: "v=1" });
    stage.feed({ type: "peer_candidate", peer: 1, candidate: "c", sdp_mid: "0" });
    expect(stage.sent("answer")).toEqual([{ type: "answer", peer: 1, offer: 1, sdp: "v=1" }]);
    expect(stage.sent("candidate")).toEqual([{ type: "candidate", peer: 1, candidate: "c", sdp_mid: "0" }]);
  });
});

describe("credits", () => {
  test("go back on receipt, whether or not the frame is painted", () => {
    const stage = new Stage().open(1, "lossless").ready();
    stage.feed({ type: "unit", stream: 1, lossless: true, frame: 7 });
    expect(stage.sent("ack")).toEqual([{ type: "ack", sub: 1, frame: 7 }]);
    expect(stage.status()?.showing).toBe("none");
  });
  test("of a subscription that is over do not go back", () => {
    const stage = new Stage().open(1, "lossless").ready();
    stage.feed({ type: "view_close", view: 1 });
    stage.feed({ type: "unit", stream: 1, lossless: true, frame: 7 });
    expect(stage.sent("ack")).toEqual([]);
  });
});

describe("views of one page", () => {
  test("share the subscription of one stream until the last view is closed", () => {
    const stage = new Stage().open(1, "lossless").open(2, "lossless").ready();
    expect(modes(stage)).toEqual(["camera lossless"]);
    expect(stage.session.targets(1, true)).toEqual([1, 2]);
    stage.feed({ type: "view_close", view: 1 });
    expect(modes(stage)).toEqual(["camera lossless"]);
    stage.feed({ type: "view_close", view: 2 });
    expect(modes(stage)).toEqual([]);
  });
  test("get the picture that is there when they join late", () => {
    const stage = new Stage().open(1, "lossless").ready().lossless().clear().open(2, "lossless");
    expect(stage.sent("subscribe")).toEqual([]);
    expect(stage.of("repaint")).toEqual([{ type: "repaint", view: 2, stream: 1 }]);
    stage.feed({ type: "repainted", view: 2 });
    expect(stage.status(2)?.showing).toBe("lossless");
  });
  test("share one peer connection, which closes with the last video", () => {
    const stage = new Stage().open(1).open(2, "auto", "depth").ready([CAMERA, DEPTH]);
    const [camera, depth] = stage.sent("subscribe").filter(({ mode }) => mode === "webrtc");
    const tracks = [camera, depth].map((message, i) => ({ sub: message?.sub ?? 0, mid: String(i), codec: "h264" }) as const);
    stage.receive({ type: "offer", peer: 1, offer: 1, sdp: "v=0", tracks });
    expect(stage.of("peer_attach").map((effect) => effect.type === "peer_attach" && [effect.view, effect.mid])).toEqual([[1, "0"], [2, "1"]]);
    stage.feed({ type: "view_close", view: 1 });
    expect(stage.of("peer_close")).toEqual([]);
    expect(stage.of("peer_detach")).toEqual([{ type: "peer_detach", view: 1 }]);
    stage.feed({ type: "view_close", view: 2 });
    expect(stage.of("peer_close")).toEqual([{ type: "peer_close", peer: 1 }]);
  });
  test("in two modes are two subscriptions", () => {
    const stage = new Stage().open(1, "lossless").open(2, "webcodecs").ready();
    expect(modes(stage)).toEqual(["camera lossless", "camera webcodecs"]);
    expect(stage.session.targets(1, false)).toEqual([2]);
  });
  test("are reported hidden at once, when all of them are", () => {
    const stage = new Stage().open(1, "lossless").open(2, "lossless").ready().pass(200).clear();
    stage.feed({ type: "view_visible", view: 1, visible: false });
    expect(stage.sent("report")).toEqual([]);
    stage.feed({ type: "view_visible", view: 2, visible: false });
    expect(stage.sent("report")).toMatchObject([{ visible: false }]);
    stage.feed({ type: "view_visible", view: 1, visible: true });
    expect(stage.sent("report").at(-1)).toMatchObject({ visible: true });
  });
});

describe("UDP blocked", () => {
  test("is reported a second after the offer; six seconds after the offer the video is given up, and the peer with it", () => {
    const stage = new Stage().open(1).ready().lossless().offer({ sub: 2 }).pass(1000);
    expect(stage.status()).toMatchObject({ showing: "lossless", reason: { code: "udp_blocked", fallback: { mode: "lossless" } } });
    expect(stage.of("peer_close")).toEqual([]);
    for (let i = 0; i < 6; i++) stage.stats(1).pass(1000);
    expect(stage.of("peer_close")).toEqual([{ type: "peer_close", peer: 1 }]);
    expect(modes(stage)).toEqual(["camera lossless"]);
  });
});

describe("a stall of the video", () => {
  const playing = (): Stage => {
    const stage = new Stage().open(1).ready().lossless().offer({ sub: 2 }).connected().video(1);
    return stage.stats(2).pass(500).video(15).stats(2, { published_fps: 30 }).clear();
  };
  test("brings lossless back within two seconds by what the server sent, and the video keeps its chance", () => {
    const stage = playing();
    const gone_at = stage.now;
    while (stage.sent("subscribe").length === 0 && stage.now < gone_at + 5000) {
      stage.pass(50);
      if (stage.sent("report").length === 0) continue;
      stage.effects.splice(0, stage.effects.length, ...stage.effects.filter((effect) => !(effect.type === "send" && effect.message.type === "report")));
      stage.stats(2, { frames: [gone_at + 100, stage.now - 20].map((time, i) => ({ frame: 50 + i, rtp_timestamp: 0, time })) });
    }
    expect(stage.now - gone_at).toBeLessThan(1500);
    expect(stage.sent("subscribe")).toMatchObject([{ mode: "lossless" }]);
    expect(stage.sent("unsubscribe")).toEqual([]);
    stage.lossless();
    expect(stage.status()).toMatchObject({ showing: "lossless", reason: { code: "stalled", fallback: { mode: "lossless" } } });
  });
  test("is not seen in a still scene: nothing newer was sent", () => {
    const stage = playing();
    for (let i = 0; i < 20; i++) stage.pass(500).stats(2, { published_fps: 0, sent_fps: 0, rested_ms: 700, frames: [{ frame: 49, rtp_timestamp: 0, time: 1_000_400 }] });
    expect(stage.sent("subscribe").map(({ mode }) => mode)).toEqual(["lossless"]); // the exact still
    expect(stage.sent("unsubscribe")).toEqual([]);
    expect(stage.status()?.reason.code).not.toBe("stalled");
  });
});

describe("a stream that closes", () => {
  test("keeps its last picture, and is subscribed to again when it is back", () => {
    const stage = new Stage().open(1, "lossless").ready().lossless();
    stage.receive({ type: "ended", sub: 1, reason: "stream_closed" });
    expect(stage.status()).toMatchObject({ state: "open", showing: "lossless", reason: { code: "stream_missing", detail: "camera" } });
    stage.receive({ type: "streams", streams: [DEPTH] });
    stage.pass(10_000);
    expect(stage.sent("subscribe")).toHaveLength(1);
    stage.receive({ type: "streams", streams: [DEPTH, { ...CAMERA, id: 3 }] });
    expect(stage.sent("subscribe").at(-1)).toEqual({ type: "subscribe", sub: 2, stream: "camera", mode: "lossless" });
    expect(stage.session.targets(3, true)).toEqual([1]);
  });
  test("is asked for anew in the codec of the server's choice when it is back, whatever failed before", () => {
    const stage = new Stage().open(1, "webrtc").open(2, "webcodecs").ready([CAMERA]);
    stage.receive({ type: "ended", sub: 2, reason: "no_codec" });
    stage.feed({ type: "decoder_failed", stream: 1, detail: "no" });
    expect(stage.subscribed.filter(({ mode }) => mode !== "lossless")).toMatchObject([{ sub: 2 }, { codec: "vp8" }, { mode: "webcodecs", codec: "vp8" }]);
    for (const { sub } of stage.subscribed) stage.receive({ type: "ended", sub, reason: "stream_closed" });
    stage.clear().receive({ type: "streams", streams: [{ ...CAMERA, id: 3 }] });
    expect(stage.subscribed.map(({ mode, codec }) => [mode, codec])).toEqual([
      ["lossless", undefined],
      ["webrtc", undefined],
      ["webcodecs", undefined],
    ]);
  });
  test("crossing messages of the ended subscription are ignored", () => {
    const stage = new Stage().open(1, "lossless").ready();
    stage.receive({ type: "ended", sub: 1, reason: "stream_closed" });
    expect(() => stage.stats(1)).not.toThrow();
    expect(() => stage.receive({ type: "ended", sub: 1, reason: "internal" })).not.toThrow();
  });
});

describe("an ending by the server", () => {
  test("peer_failed: the WebSocket at once", () => {
    const stage = new Stage().open(1).ready().lossless().offer({ sub: 2 }).connected().video(1).clear();
    stage.receive({ type: "ended", sub: 2, reason: "peer_failed" });
    expect(stage.sent("subscribe")).toMatchObject([{ mode: "lossless" }]);
    expect(stage.of("peer_close")).toHaveLength(1);
    expect(stage.status()?.reason).toEqual({ code: "peer_failed", fallback: { mode: "lossless" } });
  });
  test("no_codec: the next codec", () => {
    const stage = new Stage().open(1).ready().clear();
    stage.receive({ type: "ended", sub: 2, reason: "no_codec" });
    expect(stage.sent("subscribe")).toMatchObject([{ mode: "webrtc", codec: "vp8" }]);
  });
  test("limits on lossless pictures: the view subscribes again after five seconds", () => {
    const stage = new Stage().open(1, "lossless").ready().clear();
    stage.receive({ type: "ended", sub: 1, reason: "limits", detail: "too many viewers" });
    expect(stage.status()).toMatchObject({ state: "open", reason: { code: "limits", detail: "too many viewers" } });
    stage.pass(4900);
    expect(stage.sent("subscribe")).toEqual([]);
    stage.pass(200);
    expect(stage.sent("subscribe")).toHaveLength(1);
  });
});

describe("a decoder that fails", () => {
  test("is replaced by the next codec for all views of the stream, and then by lossless", () => {
    const stage = new Stage().open(1, "webcodecs").open(2, "webcodecs").ready().clear();
    stage.feed({ type: "decoder_failed", stream: 1, detail: "no" });
    expect(stage.sent("subscribe")).toMatchObject([{ mode: "webcodecs", codec: "vp8" }]);
    expect(stage.sent("unsubscribe")).toMatchObject([{ sub: 1 }]);
    stage.clear().feed({ type: "decoder_failed", stream: 1, detail: "no" });
    expect(stage.sent("subscribe")).toMatchObject([{ mode: "lossless" }]);
    expect(stage.status(2)?.reason).toEqual({ code: "decoder_failed", detail: "no", fallback: { mode: "lossless" } });
  });
  test("is replaced by the codec after the one that the server took", () => {
    const codecs = ["h264_444", "h264", "vp8"] as const;
    const stage = new Stage(codecs, codecs).open(1, "webcodecs").ready();
    expect(stage.sent("subscribe")).toEqual([{ type: "subscribe", sub: 1, stream: "camera", mode: "webcodecs" }]);
    stage.stats(1, { codec: "h264" }).clear().feed({ type: "decoder_failed", stream: 1, detail: "no" });
    expect(stage.sent("subscribe")).toMatchObject([{ mode: "webcodecs", codec: "vp8" }]);
  });
  test("that lost frames gets a keyframe by a report", () => {
    const stage = new Stage().open(1, "webcodecs").ready().pass(200).clear();
    stage.feed({ type: "keyframe_wanted", stream: 1, lossless: false });
    expect(stage.sent("report")).toMatchObject([{ keyframe: true }]);
  });
  test("of lossless pictures does the same, on its own subscription and once", () => {
    const stage = new Stage().open(1, "webcodecs").open(2, "lossless").ready().pass(200).clear();
    stage.feed({ type: "keyframe_wanted", stream: 1, lossless: true });
    const asked = stage.sent("report").filter((one) => one.keyframe);
    expect(asked).toHaveLength(1);
    expect(asked).not.toMatchObject([{ sub: 1 }]);
    stage.clear().pass(1500);
    expect(stage.sent("report").filter((one) => one.keyframe)).toEqual([]);
  });
});

describe("a lost socket", () => {
  test("keeps the picture, is opened again, and all is subscribed to again", () => {
    const stage = new Stage().open(1).ready().lossless().offer({ sub: 2 }).connected().video(1);
    stage.feed({ type: "socket_closed", code: 1006, reason: "", jitter: 0.5 });
    expect(stage.status()).toMatchObject({ state: "reconnecting", showing: "webrtc", reason: { code: "connection_lost" } });
    expect(stage.of("peer_close")).toHaveLength(1);
    stage.clear().pass(200);
    expect(stage.of("connect")).toHaveLength(1);
    stage.ready();
    expect(stage.sent("subscribe")).toEqual([
      { type: "subscribe", sub: 1, stream: "camera", mode: "lossless" },
      { type: "subscribe", sub: 2, stream: "camera", mode: "webrtc" },
    ]);
    stage.lossless();
    expect(stage.status()).toMatchObject({ state: "negotiated", showing: "lossless" });
  });
  test("has another peer than the next socket, though both are number 1", () => {
    const stage = new Stage().open(1).ready().offer({ sub: 2 }).connected();
    stage.feed({ type: "socket_closed", code: 1006, reason: "", jitter: 0 });
    stage.pass(500).clear().ready().offer({ sub: 2 });
    expect(stage.of("peer_attach")).toHaveLength(1);
  });
  test("of a new engine process: UDP is tried at once", () => {
    const stage = new Stage().open(1).ready().lossless().offer({ sub: 2 });
    for (let i = 0; i < 8; i++) stage.stats(1).pass(1000);
    expect(modes(stage)).toEqual(["camera lossless"]);
    stage.feed({ type: "socket_closed", code: 1006, reason: "", jitter: 0 });
    stage.pass(200).clear().ready([CAMERA], "e2");
    expect(stage.sent("subscribe").map(({ mode }) => mode)).toEqual(["lossless", "webrtc"]);
  });
  test("is closed when it is silent for five seconds of reports", () => {
    const stage = new Stage().open(1, "lossless").ready().pass(5200);
    expect(stage.of("disconnect")[0]).toMatchObject({ code: 4000, reason: "silent" });
  });
  test("is closed later while its video comes", () => {
    const stage = new Stage().open(1).ready().lossless().offer({ sub: 2 }).connected().video(1).clear();
    for (let i = 0; i < 32; i++) stage.pass(250).video(8);
    expect(stage.of("disconnect")).toEqual([]);
    stage.pass(6000);
    expect(stage.of("disconnect")[0]).toMatchObject({ reason: "silent" });
  });
  test("is not closed while reports are answered", () => {
    const stage = new Stage().open(1, "lossless").ready();
    for (let i = 0; i < 60; i++) stage.pass(1000).stats(1);
    expect(stage.of("disconnect")).toEqual([]);
  });
  test.each([
    [4401, "unauthorized"],
    [4426, "version"],
  ])("%i is final, with a reason", (code, reason) => {
    const stage = new Stage().open(1);
    stage.feed({ type: "start" });
    stage.feed({ type: "socket_opened" });
    stage.feed({ type: "socket_closed", code, reason: "", jitter: 0 });
    stage.clear().pass(120_000);
    expect(stage.of("connect")).toEqual([]);
    stage.open(2);
    expect(stage.status(2)).toMatchObject({ state: "error", reason: { code: reason } });
  });
});

describe("input", () => {
  const move = (x: number) => ({ type: "view_input", view: 1, event: { type: "pointer_move", timestamp: 1, x, y: 0, buttons: [], modifiers: [] } }) as const;
  const down = { type: "view_input", view: 1, event: { type: "pointer_down", timestamp: 1, x: 5, y: 0 } } as const;
  const joined = (): Stage => new Stage().open(1, "lossless").ready().lossless().pass(150).clear();

  test("moves are merged for one refresh of the screen", () => {
    const stage = joined();
    for (let x = 0; x < 5; x++) stage.feed(move(x));
    expect(stage.sent("input")).toEqual([]);
    stage.pass(16);
    expect(stage.sent("input").map(({ event }) => event.x)).toEqual([4]);
  });
  test("a press is sent at once, after the moves before it", () => {
    const stage = joined();
    stage.feed(move(1));
    stage.feed(down);
    expect(stage.sent("input").map(({ event }) => event.type)).toEqual(["pointer_move", "pointer_down"]);
  });
  test("goes to the subscription that is shown", () => {
    const stage = new Stage().open(1).ready().lossless().offer({ sub: 2 });
    stage.feed(down);
    stage.connected().video(1).feed(down);
    expect(stage.sent("input").map(({ sub }) => sub)).toEqual([1, 2]);
  });
  test("says how the view is when it is subscribed, and again after the socket was lost", () => {
    const show = { type: "view_input", view: 1, event: { type: "show", timestamp: 1 } } as const;
    const stage = new Stage().open(1, "lossless");
    stage.feed(show);
    stage.ready();
    expect(stage.sent("input")).toEqual([{ type: "input", sub: 1, event: show.event }]);
    stage.clear().feed({ type: "socket_closed", code: 1006, reason: "", jitter: 0 });
    stage.pass(9000);
    stage.ready();
    expect(stage.sent("input")).toEqual([{ type: "input", sub: 1, event: show.event }]);
  });
  test("of a view without a subscription is dropped", () => {
    const stage = new Stage().open(1).ready([]);
    stage.feed(down);
    expect(stage.sent("input")).toEqual([]);
    stage.receive({ type: "streams", streams: [CAMERA] });
    expect(stage.sent("input")).toEqual([]);
  });
});

describe("numbers", () => {
  test("of a view are emitted with each answer to its reports", () => {
    const stage = new Stage().open(1, "lossless").ready().lossless().lossless();
    stage.feed({ type: "mismatched", stream: 1 });
    stage.feed({ type: "dropped", stream: 1, lossless: true });
    stage.stats(1, { viewers: 3 });
    expect(stage.of("view_stats")).toMatchObject([{ view: 1, stats: { viewers: 3, exact: 2, mismatched: 1, dropped: 1, painted: 2, clock_offset: 0 } }]);
  });
  test("have a frame's age by the server's clock", () => {
    const stage = new Stage().open(1, "lossless").ready();
    stage.receive({ type: "stats", sub: 1, time: stage.now + 500, echo: stage.now, published_fps: 1, sent_fps: 1, encode_ms: 1, bitrate: 1, target_bitrate: 0, viewers: 1, frames: [] });
    stage.feed({ type: "painted", stream: 1, lossless: true, views: [1], time_us: (stage.now + 500 - 40) * 1000 });
    stage.pass(100);
    expect(stage.sent("report").at(-1)?.latency_ms).toBe(40);
  });
});

test("a status is emitted again only when it differs", () => {
  const stage = new Stage().open(1, "lossless").ready().lossless();
  const before = stage.of("view_status").length;
  for (let i = 0; i < 30; i++) stage.lossless().pass(33);
  expect(stage.of("view_status")).toHaveLength(before);
});

test("stop closes socket and peer, and nothing follows", () => {
  const stage = new Stage().open(1).ready().lossless().offer({ sub: 2 });
  stage.clear().feed({ type: "stop" });
  expect(stage.of("disconnect")).toEqual([{ type: "disconnect", code: 1000, reason: "" }]);
  expect(stage.of("peer_close")).toHaveLength(1);
  stage.feed({ type: "socket_closed", code: 1000, reason: "", jitter: 0 });
  expect(stage.session.deadline).toBe(Infinity);
  expect(stage.of("connect")).toEqual([]);
});

test("hello names the forward error correction that the browser understands, if it does", () => {
  const helloOf = (repair: readonly "flexfec-03"[]) => {
    const session = new Session({ token: "t", agent: "a", capabilities: { codecs: [], webcodecs: [], repair } });
    session.feed({ type: "start" }, 0);
    return session.feed({ type: "socket_opened" }, 0)[0];
  };
  expect(helloOf(["flexfec-03"])).toMatchObject({ message: { type: "hello", repair: ["flexfec-03"] } });
  expect(helloOf([])).not.toHaveProperty("message.repair");
});

test("the same engine on a new socket is not given WebRTC earlier than before", () => {
  const stage = new Stage().open(1).ready().lossless().offer({ sub: 2 });
  for (let i = 0; i < 8; i++) stage.stats(1).pass(1000);
  stage.feed({ type: "socket_closed", code: 1006, reason: "", jitter: 0 });
  stage.pass(200).clear().ready([CAMERA], "e1");
  expect(stage.sent("subscribe").map(({ mode }) => mode)).toEqual(["lossless"]);
});

test("a lost socket has no streams", () => {
  const stage = new Stage().open(1).ready();
  stage.feed({ type: "socket_closed", code: 1006, reason: "", jitter: 0 });
  expect(stage.of("server_status").at(-1)).toMatchObject({ status: { state: "reconnecting", streams: [] } });
});

test("what the server has ended is not ended again", () => {
  const stage = new Stage().open(1).ready().clear();
  stage.receive({ type: "ended", sub: 2, reason: "no_codec" });
  expect(stage.sent("unsubscribe")).toEqual([]);
});

test("a view has the numbers of the subscription that it shows, and of no other", () => {
  const stage = new Stage().open(1).ready().lossless().offer({ sub: 2 }).clear().stats(2);
  expect(stage.of("view_stats")).toEqual([]);
  expect(stage.stats(1).of("view_stats")).toHaveLength(1);
});

test("what is said of a view that is not there is ignored", () => {
  const stage = new Stage().ready();
  stage.feed({ type: "view_visible", view: 9, visible: false });
  stage.feed({ type: "view_mode", view: 9, mode: "lossless" });
  expect(stage.of("view_status")).toEqual([]);
});

test("a socket without subscriptions may be silent", () => {
  const stage = new Stage().ready();
  for (let i = 0; i < 10; i++) stage.pass(1000);
  expect(stage.of("disconnect")).toEqual([]);
});

test("the next tick comes in time for waiting input, and never in a storm", () => {
  const stage = new Stage().open(1, "lossless").ready().lossless().pass(150);
  stage.feed({ type: "view_input", view: 1, event: { type: "pointer_move", timestamp: 0, x: 1, y: 1 } });
  expect(stage.session.deadline).toBe(stage.now + 16);
  const idle = new Stage().open(1).ready().lossless().offer({ sub: 2 }).connected();
  idle.now += 60_000;
  idle.feed({ type: "tick" });
  expect(idle.session.deadline).toBeGreaterThan(idle.now);
});

test("after a stop no view has a status", () => {
  const stage = new Stage().open(1).ready().clear();
  stage.feed({ type: "stop" });
  stage.feed({ type: "tick" });
  expect(stage.of("view_status")).toEqual([]);
});
