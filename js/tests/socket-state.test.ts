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
  test("waits longer each time, and never more than 8 s", () => {
    const socket = new SocketState();
    let now = 0;
    const waits: number[] = [];
    socket.open(now);
    for (let i = 0; i < 8; i++) {
      socket.closed(1006, 0.999999, now);
      waits.push(Math.round(socket.deadline - now));
      now = socket.deadline;
      expect(socket.tick(false, now)).toEqual({ type: "connect" });
    }
    expect(waits).toEqual([250, 500, 1000, 2000, 4000, 8000, 8000, 8000]);
  });
  test("begins with a short wait again after a socket that was ready", () => {
    const socket = ready();
    for (let i = 0; i < 6; i++) socket.closed(1006, 0, 0);
    socket.open(0);
    socket.opened(0);
    socket.listed(0);
    socket.closed(1006, 0.999999, 1000);
    expect(socket.deadline).toBeCloseTo(1250, 0);
  });
  test("spreads viewers over half of the wait", () => {
    const socket = ready();
    socket.closed(1001, 0, 1000);
    expect(socket.deadline).toBe(1125);
  });
  test.each([4400, 4401, 4403, 4426])("%i is final, with a reason", (code) => {
    const socket = ready();
    socket.closed(code, 0, 0);
    expect(socket.tick(false, 100_000)).toBeUndefined();
    expect(socket.deadline).toBe(Infinity);
    expect(serverStatus(socket, [], 0)).toMatchObject({ state: "error", reason: { code: expect.any(String) } });
  });
  test.each([1000, 1001, 1006, 1011, 4408, 4429])("%i is not final", (code) => {
    const socket = ready();
    socket.closed(code, 0, 0);
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
    for (let i = 0; i < 6; i++) socket.closed(1006, 0.9, 0);
    expect(socket.tick(false, 5000)).toEqual({ type: "connect" });
  });
});
