// One view as the session keeps it. Must not know messages.
import { describe, expect, test } from "vitest";
import { RetrySchedule } from "../src/core/retry-schedule";
import { ServerClock } from "../src/core/server-clock";
import { SessionView } from "../src/core/session-view";
import { SocketState } from "../src/core/socket-state";
import { Subscription } from "../src/core/subscription";
import type { ViewMode } from "../src/core/wire";
import { CAMERA } from "./stage";

const open = (mode: ViewMode = "lossless"): SessionView => new SessionView(1, "camera", mode, true, { codecs: ["h264"], webcodecs: [] }, new RetrySchedule());
const move = (x: number) => ({ type: "pointer_move", timestamp: 0, x, y: 0, buttons: [], modifiers: [] }) as const;
const down = { type: "pointer_down", timestamp: 0 } as const;

function ready(): SocketState {
  const socket = new SocketState();
  socket.open(0);
  socket.opened(0);
  socket.listed(0);
  return socket;
}

describe("input", () => {
  test("that can wait is sent 16 ms after the first of it", () => {
    const view = open();
    view.queue(move(1), 100);
    view.queue(move(2), 110);
    expect(view.deadline).toBe(116);
    expect(view.flush(true, 115)).toEqual([]);
    expect(view.flush(true, 116)).toEqual([move(2)]);
    expect(view.deadline).toBe(Infinity);
    expect(view.flush(true, 200)).toEqual([]);
  });
  test("that cannot wait takes what waits along, in order", () => {
    const view = open();
    view.queue(move(1), 100);
    view.queue(down, 101);
    view.queue(move(2), 101);
    expect(view.flush(true, 101)).toEqual([move(1), down, move(2)]);
  });
});

describe("how a view is", () => {
  const event = (type: "show" | "hide" | "focus_in" | "focus_out" | "close", timestamp: number) => ({ type, timestamp }) as const;
  const resize = (width: number) => ({ type: "resize", timestamp: 0, width, height: 2, pwidth: 3, pheight: 4, ratio: 1 }) as const;

  test("is told with its first subscription, whenever that comes", () => {
    const view = open();
    view.queue(resize(1), 0);
    view.queue(event("show", 1), 1);
    view.queue(event("focus_in", 2), 2);
    view.queue(resize(9), 3);
    expect(view.flush(false, 100)).toEqual([]);
    expect(view.flush(true, 200)).toEqual([resize(9), event("show", 1), event("focus_in", 2)]);
    expect(view.flush(true, 300)).toEqual([]);
  });
  test("is told once, before what waits", () => {
    const view = open();
    view.queue(move(1), 100);
    view.queue(event("hide", 1), 100);
    expect(view.flush(true, 100)).toEqual([event("hide", 1), move(1)]);
    const other = open();
    other.queue(resize(1), 100);
    other.queue(move(1), 100);
    expect(other.flush(true, 101)).toEqual([resize(1)]);
    expect(other.flush(true, 116)).toEqual([move(1)]);
  });
  test("does not include a focus that it has lost", () => {
    const view = open();
    view.queue(event("focus_in", 1), 1);
    view.queue(event("focus_out", 2), 2);
    expect(view.flush(true, 3)).toEqual([]);
  });
  test("is told again on another socket, and to another stream", () => {
    const view = open();
    view.queue(event("show", 1), 1);
    expect(view.flush(true, 1)).toEqual([event("show", 1)]);
    view.disconnected();
    expect(view.flush(false, 2)).toEqual([]);
    expect(view.flush(true, 3)).toEqual([event("show", 1)]);
    view.setStream("camera");
    expect(view.flush(true, 4)).toEqual([]);
    view.setStream("depth");
    expect(view.flush(true, 5)).toEqual([event("show", 1)]);
  });
  test("is told to a stream that follows another one of the same name", () => {
    const view = open();
    view.begin(1, 0);
    view.queue(event("show", 1), 1);
    expect(view.flush(true, 1)).toEqual([event("show", 1)]);
    view.begin(1, 2);
    expect(view.flush(true, 2)).toEqual([]);
    view.begin(2, 3);
    expect(view.flush(true, 3)).toEqual([event("show", 1)]);
  });
  test("is sent at once when it changes", () => {
    const view = open();
    expect(view.flush(true, 0)).toEqual([]);
    view.queue(event("hide", 1), 1);
    expect(view.flush(true, 1)).toEqual([event("hide", 1)]);
    view.queue(event("close", 2), 2);
    expect(view.flush(true, 2)).toEqual([event("close", 2)]);
  });
});

test("a refusal of lossless pictures pauses the view for five seconds, with the server's reason", () => {
  const view = open();
  view.begin(1, 0);
  view.plan.pause({ code: "connecting" });
  view.refused({ code: "limits" }, 1000);
  expect(view.deadline).toBe(6000);
  view.begin(1, 5999);
  expect(view.plan.needs).toEqual([]);
  expect(view.plan.reason).toEqual({ code: "limits" });
  view.begin(1, 6000);
  expect(view.plan.needs).toEqual([{ mode: "lossless" }]);
  expect(view.deadline).toBe(Infinity);
});

describe("the state", () => {
  const stateOf = (view: SessionView, socket: SocketState): string | undefined => view.statusIfNew(socket, undefined, CAMERA)?.state;

  test("follows the socket", () => {
    const socket = new SocketState();
    socket.open(0);
    expect(stateOf(open(), socket)).toBe("connecting");
    expect(stateOf(open(), ready())).toBe("open");
    const lost = ready();
    lost.closed(1006, "", 0, 10);
    expect(stateOf(open(), lost)).toBe("reconnecting");
    lost.closed(4401, "", 0, 10);
    expect(stateOf(open(), lost)).toBe("error");
  });
  test("is negotiated while a picture is shown and the plan goes on", () => {
    const view = open();
    view.begin(1, 0);
    expect(stateOf(view, ready())).toBe("open");
    view.plan.progress("lossless", 1, 1, 10);
    expect(stateOf(view, ready())).toBe("negotiated");
    view.plan.pause({ code: "no_stream" });
    expect(stateOf(view, ready())).toBe("open");
  });
  test("has the title and the cursor of the publisher, or the name and the usual one", () => {
    const view = open();
    expect(view.statusIfNew(ready(), undefined, CAMERA)).toMatchObject({ title: "camera", cursor: "default" });
    const described = { ...CAMERA, title: "The pond", cursor: "crosshair" } as const;
    expect(view.statusIfNew(ready(), undefined, described)).toMatchObject({ title: "The pond", cursor: "crosshair" });
    expect(view.statusIfNew(ready(), undefined, described)).toBeUndefined();
  });
  test("comes with size and codec, and only when something differs", () => {
    const view = open("webcodecs");
    const sub = new Subscription(1, "camera", "lossless", undefined, 0);
    sub.codec = "h264";
    expect(view.statusIfNew(ready(), sub, CAMERA)).toMatchObject({ size: { width: 640, height: 480 }, codec: undefined });
    expect(view.statusIfNew(ready(), sub, CAMERA)).toBeUndefined();
    expect(view.statusIfNew(ready(), sub, undefined)).toMatchObject({ size: undefined, title: "camera", cursor: "default" });
    view.begin(1, 0);
    view.plan.progress("lossless", 1, 1, 10);
    expect(view.statusIfNew(ready(), sub, CAMERA)).toMatchObject({ codec: "h264", showing: "lossless" });
  });
});

test("another stream begins without a picture; the same one changes nothing", () => {
  const view = open();
  view.begin(1, 0);
  view.plan.progress("lossless", 1, 1, 10);
  view.setStream("camera");
  expect(view.plan.showing).toBe("lossless");
  view.setStream("depth");
  expect(view.plan.showing).toBe("none");
  expect(view.plan.needs).toEqual([]);
});

test("a view shows a subscription that it shares and whose mode it is in", () => {
  const view = open();
  const sub = new Subscription(1, "camera", "lossless", undefined, 0);
  view.begin(1, 0);
  view.plan.progress("lossless", 1, 1, 10);
  expect(view.shows(sub)).toBe(false);
  sub.views.add(1);
  expect(view.shows(sub)).toBe(true);
  view.plan.showing = "webrtc";
  expect(view.shows(sub)).toBe(false);
});

test("numbers are those of the server's last answer", () => {
  const sub = new Subscription(1, "camera", "lossless", undefined, 0);
  sub.stats = { type: "stats", sub: 1, time: 0, echo: 0, published_fps: 30, sent_fps: 29, encode_ms: 3, bitrate: 4, target_bitrate: 5, viewers: 6, frames: [] };
  const clock = new ServerClock();
  clock.echo(0, 510, 20);
  expect(open().statsOf(sub, clock, 7)).toMatchObject({ published_fps: 30, sent_fps: 29, encode_ms: 3, bitrate: 4, target_bitrate: 5, viewers: 6, rtt_ms: 20, clock_offset: 500, time: 7, rtp_ahead_ms: 0 });
});

test("mode and visibility are those of the view and of its plan", () => {
  const view = open("auto");
  view.begin(1, 0);
  expect(view.plan.needs.map(({ mode }) => mode)).toEqual(["lossless", "webrtc"]);
  view.setMode("lossless", 10);
  expect(view.statusIfNew(ready(), undefined, CAMERA)?.mode).toBe("lossless");
  expect(view.plan.needs).toEqual([{ mode: "lossless" }]);
  view.setMode("auto", 20);
  view.plan.failed("webrtc", { code: "peer_failed" }, false, 30);
  expect(view.plan.deadline).toBe(5030);
  view.setVisible(false, 40);
  expect(view.visible).toBe(false);
  expect(view.plan.deadline).toBe(Infinity);
});

test("numbers are zero, and the clock unknown, before the first report", () => {
  const sub = new Subscription(1, "camera", "lossless", undefined, 0);
  expect(open().statsOf(sub, new ServerClock(), 0)).toMatchObject({
    published_fps: 0, sent_fps: 0, bitrate: 0, target_bitrate: 0, encode_ms: 0, viewers: 0, exact: 0, mismatched: 0, clock_offset: undefined, rtt_ms: undefined,
  });
});
