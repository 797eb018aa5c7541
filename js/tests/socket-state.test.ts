// When the socket is opened, closed and tried again. Must not know messages.
import { describe, expect, test } from "vitest";
import { serverStatus, SocketState } from "../src/core/socket-state";

function ready(): SocketState {
  const socket = new SocketState();
  socket.open(0);
  socket.opened(0);
  socket.listed(0);
  return socket;
}

describe("trying again", () => {
  /** How long it waits after each of so many attempts, which fail after `took` milliseconds. */
  function waits(socket: SocketState, count: number, code = 1006, took = 0): number[] {
    const found: number[] = [];
    let now = 0;
    socket.open(now);
    for (let i = 0; i < count; i++) {
      now += took;
      socket.closed(code, "", 0.999999, now);
      found.push(Math.round(socket.deadline - now));
      now = socket.deadline;
      expect(socket.tick(false, now)).toEqual({ type: "connect" });
    }
    return found;
  }
  test("waits longer each time, and not more than 1 s in the first two minutes", () => {
    const found = waits(new SocketState(), 130);
    expect(found.slice(0, 6)).toEqual([250, 500, 1000, 1000, 1000, 1000]);
    expect(found.slice(120, 124)).toEqual([1000, 1000, 8000, 8000]);
    expect(found.at(-1)).toBe(8000);
  });
  test("counts two minutes from the first failure after a socket that was ready", () => {
    const socket = new SocketState();
    waits(socket, 130);
    socket.opened(500_000);
    socket.listed(500_000);
    for (let i = 0; i < 8; i++) {
      socket.closed(1006, "", 0.999999, 500_000);
      socket.open(500_000);
    }
    socket.closed(1006, "", 0.999999, 500_000);
    expect(socket.deadline).toBeCloseTo(501_000, 0);
  });
  test("waits up to 8 s where the server said that it has too many viewers", () => {
    expect(waits(new SocketState(), 7, 4429)).toEqual([250, 500, 1000, 2000, 4000, 8000, 8000]);
  });
  test("does not wait once more after an attempt that took long", () => {
    expect(waits(new SocketState(), 5, 4000, 5000)).toEqual([250, 250, 250, 250, 250]);
    expect(waits(new SocketState(), 5, 4000, 400)).toEqual([250, 250, 600, 600, 600]);
  });
  test("gives every second attempt 5 s to open, and the others 10", () => {
    const socket = ready();
    const given: number[] = [];
    for (let i = 0; i < 4; i++) {
      socket.closed(1006, "", 0, 0);
      socket.open(0);
      given.push(socket.deadline);
    }
    expect(given).toEqual([5000, 10_000, 5000, 10_000]);
    socket.opened(1000);
    expect(socket.deadline).toBe(11_000);
  });
  test("begins with a short wait again after a socket that was ready", () => {
    const socket = ready();
    for (let i = 0; i < 6; i++) socket.closed(1006, "", 0, 0);
    socket.open(0);
    socket.opened(0);
    socket.listed(0);
    socket.closed(1006, "", 0.999999, 1000);
    expect(socket.deadline).toBeCloseTo(1250, 0);
  });
  test("spreads viewers over half of the wait", () => {
    const socket = ready();
    socket.closed(1001, "", 0, 1000);
    expect(socket.deadline).toBe(1125);
  });
  test.each([4400, 4401, 4403, 4426])("%i is final, with a reason", (code) => {
    const socket = ready();
    socket.closed(code, "", 0, 0);
    expect(socket.tick(false, 100_000)).toBeUndefined();
    expect(socket.deadline).toBe(Infinity);
    expect(serverStatus(socket, [], 0)).toMatchObject({ state: "error", reason: { code: expect.any(String) } });
  });
  test.each([1000, 1001, 1006, 1011, 4408, 4429])("%i is not final", (code) => {
    const socket = ready();
    socket.closed(code, "", 0, 0);
    expect(socket.deadline).toBeLessThan(1000);
  });
});

describe("a silent socket", () => {
  test("is closed after 5 s while answers are due", () => {
    const socket = ready();
    socket.tick(true, 1000);
    socket.received(1000);
    expect(socket.tick(true, 4900)).toBeUndefined();
    expect(socket.tick(true, 6000)).toMatchObject({ type: "disconnect" });
  });
  test("is closed after 12 s while WebRTC frames come, and no later", () => {
    const socket = ready();
    for (let now = 250; now < 12_000; now += 250) {
      socket.videoReceived(now);
      expect(socket.tick(true, now)).toBeUndefined();
    }
    socket.videoReceived(12_000);
    expect(socket.tick(true, 12_000)).toMatchObject({ type: "disconnect" });
    const other = ready();
    other.videoReceived(4000);
    expect(other.tick(true, 5000)).toBeUndefined();
    expect(other.tick(true, 5600)).toMatchObject({ type: "disconnect" });
  });
  test("is not closed while no answers are due", () => {
    const socket = ready();
    for (let now = 0; now < 60_000; now += 1000) expect(socket.tick(false, now)).toBeUndefined();
    expect(socket.tick(false, 200_000)).toBeUndefined();
    expect(socket.deadline).toBe(Infinity);
  });
  test("is closed after 10 s without a welcome", () => {
    const socket = new SocketState();
    socket.open(0);
    expect(socket.tick(false, 3000)).toBeUndefined();
    socket.opened(3000);
    for (let now = 3000; now < 13_000; now += 1000) expect(socket.tick(false, now)).toBeUndefined();
    expect(socket.tick(false, 13_000)).toMatchObject({ type: "disconnect" });
  });
});

describe("after sleep", () => {
  test("the old socket has 1.5 s to deliver a message", () => {
    const socket = ready();
    socket.tick(true, 1000);
    expect(socket.tick(true, 3_600_000)).toBeUndefined();
    expect(socket.deadline).toBe(3_601_500);
    expect(socket.tick(true, 3_601_500)).toMatchObject({ type: "disconnect" });
  });
  test("a message from the old socket keeps it open", () => {
    const socket = ready();
    socket.tick(true, 1000);
    socket.tick(true, 3_600_000);
    socket.received(3_600_500);
    expect(socket.tick(true, 3_601_500)).toBeUndefined();
  });
  test("the next try begins at once", () => {
    const socket = ready();
    socket.tick(false, 0);
    for (let i = 0; i < 6; i++) socket.closed(1006, "", 0.9, 0);
    expect(socket.tick(false, 5000)).toEqual({ type: "connect" });
  });
});

describe("the reason", () => {
  test("is that it connects, and from the third failure on that the server does not answer", () => {
    const socket = new SocketState();
    socket.open(0);
    const codes: string[] = [];
    for (let i = 0; i < 4; i++) {
      codes.push(socket.reason(0).code);
      socket.closed(1006, "", 0, 0);
      socket.open(0);
    }
    expect(codes).toEqual(["connecting", "connecting", "connecting", "no_answer"]);
  });
  test("is a lost connection, and after ten seconds a server that is gone", () => {
    const socket = ready();
    socket.closed(1006, "", 0, 1000);
    expect(socket.reason(11_000)).toEqual({ code: "connection_lost" });
    expect(socket.reason(11_001)).toEqual({ code: "server_gone" });
    socket.open(12_000);
    socket.closed(1006, "", 0, 20_000);
    expect(socket.reason(20_000)).toEqual({ code: "server_gone" });
  });
  test("is the limit that the server names, until the next socket is ready or closed for another reason", () => {
    const socket = ready();
    socket.closed(4429, "too many connections", 0, 1000);
    expect(socket.reason(1000)).toEqual({ code: "over_limit", detail: "too many connections" });
    socket.open(2000);
    expect(socket.reason(2000).code).toBe("over_limit");
    socket.opened(2000);
    socket.listed(2000);
    socket.closed(4429, "", 0, 3000);
    socket.closed(1006, "", 0, 3000);
    expect(socket.reason(3000)).toEqual({ code: "connection_lost" });
  });
  test("is not the limit of a socket before the last one that was ready", () => {
    const socket = ready();
    socket.closed(4429, "", 0, 1000);
    socket.open(2000);
    socket.opened(2000);
    socket.listed(2000);
    socket.stop();
    expect(socket.reason(2000)).toEqual({ code: "connection_lost" });
  });
  test("is the close code's for a final one, whatever was before", () => {
    const socket = ready();
    socket.closed(4401, "", 0, 1000);
    expect(socket.reason(60_000)).toEqual({ code: "unauthorized" });
  });
});

describe("the server's status", () => {
  const streams = [{ id: 1, name: "camera", width: 4, height: 4, fps: 30 }];

  test("is open, with its streams and without a reason, once they are listed", () => {
    expect(serverStatus(ready(), streams, 0)).toEqual({ state: "open", reason: undefined, streams });
  });
  test("is connecting before that, and reconnecting after it", () => {
    const socket = new SocketState();
    expect(socket.lost).toBe(false);
    expect(serverStatus(socket, [], 0)).toEqual({ state: "connecting", reason: { code: "connecting" }, streams: [] });
    const lost = ready();
    lost.closed(1006, "", 0, 0);
    expect(serverStatus(lost, [], 0)).toEqual({ state: "reconnecting", reason: { code: "connection_lost" }, streams: [] });
  });
});

test("an idle socket does nothing and stays idle", () => {
  const socket = new SocketState();
  expect(socket.tick(true, 0)).toBeUndefined();
  expect(socket.deadline).toBe(Infinity);
  const stopped = ready();
  stopped.stop();
  stopped.closed(1000, "", 0, 0);
  expect(stopped.phase).toBe("idle");
  expect(stopped.deadline).toBe(Infinity);
  expect(stopped.tick(true, 60_000)).toBeUndefined();
});

test("a list of streams counts only in answer to hello", () => {
  const socket = ready();
  socket.closed(1006, "", 0, 0);
  socket.listed(10);
  expect(socket.phase).toBe("closed");
});

test("a message before the streams does not put off the end of the wait for them", () => {
  const socket = new SocketState();
  socket.open(0);
  socket.opened(0);
  socket.received(9000);
  expect(socket.deadline).toBe(10_000);
});

test("a timer that is four seconds late is not sleep yet", () => {
  const socket = ready();
  socket.tick(true, 1000);
  socket.received(4500);
  expect(socket.tick(true, 5000)).toBeUndefined();
  expect(socket.deadline).toBe(Infinity);
  expect(socket.tick(true, 9001)).toBeUndefined();
  expect(socket.deadline).toBe(10_501);
});

test("what the viewer closes has its own code and a word", () => {
  const socket = ready();
  expect(socket.tick(true, 5000)).toEqual({ type: "disconnect", code: 4000, reason: "silent" });
  const opening = new SocketState();
  opening.open(0);
  expect(opening.tick(false, 10_000)).toEqual({ type: "disconnect", code: 4000, reason: "no answer" });
});

test("a message right after the streams and one right after sleep count from there", () => {
  const socket = new SocketState();
  socket.open(0);
  socket.opened(0);
  socket.listed(8000);
  expect(socket.tick(true, 8001)).toBeUndefined();
  expect(socket.tick(true, 12_001)).toBeUndefined();
  expect(socket.tick(true, 13_000)).toMatchObject({ reason: "silent" });
  const slept = ready();
  slept.tick(true, 1000);
  slept.tick(true, 60_000);
  expect(slept.tick(true, 60_001)).toBeUndefined();
});

test("WebRTC frames count for a second and a half", () => {
  const after = (now: number) => {
    const socket = ready();
    socket.videoReceived(4000);
    return socket.tick(true, now);
  };
  expect(after(5499)).toBeUndefined();
  expect(after(5500)).toMatchObject({ reason: "silent" });
});
