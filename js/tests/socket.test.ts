// When the socket is opened, given up and tried again. Must not know messages.
import { describe, expect, test } from "vitest";
import { serverStatus, Socket } from "../src/core/socket";

function ready(): Socket {
  const socket = new Socket();
  socket.open(0);
  socket.opened(0);
  socket.listed(0);
  return socket;
}

describe("trying again", () => {
  test("waits longer each time, never more than 8 s", () => {
    const socket = new Socket();
    let now = 0;
    const waits: number[] = [];
    socket.open(now);
    for (let i = 0; i < 8; i++) {
      socket.closed(1006, "", 0.999999, now);
      waits.push(Math.round(socket.deadline - now));
      now = socket.deadline;
      expect(socket.tick(false, now)).toEqual({ type: "connect" });
    }
    expect(waits).toEqual([250, 500, 1000, 2000, 4000, 8000, 8000, 8000]);
  });
  test("begins quickly again after a socket that was ready", () => {
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
  test.each([4400, 4401, 4403, 4426])("%i is final, with a sentence", (code) => {
    const socket = ready();
    socket.closed(code, "", 0, 0);
    expect(socket.tick(false, 100_000)).toBeUndefined();
    expect(socket.deadline).toBe(Infinity);
    expect(serverStatus(socket, [], 0)).toMatchObject({ state: "error", reason: expect.stringMatching(/^[A-Z].*\.$/) });
  });
  test.each([1000, 1001, 1006, 1011, 4408, 4429])("%i is not", (code) => {
    const socket = ready();
    socket.closed(code, "", 0, 0);
    expect(socket.deadline).toBeLessThan(1000);
  });
});

describe("a socket that says nothing", () => {
  test("while answers are due is dead after 5 s", () => {
    const socket = ready();
    socket.tick(true, 1000);
    socket.heard(1000);
    expect(socket.tick(true, 4900)).toBeUndefined();
    expect(socket.tick(true, 6000)).toMatchObject({ type: "disconnect" });
  });
  test("is borne longer while frames come beside it, and no longer", () => {
    const socket = ready();
    for (let now = 250; now < 12_000; now += 250) {
      socket.heardBeside(now);
      expect(socket.tick(true, now)).toBeUndefined();
    }
    socket.heardBeside(12_000);
    expect(socket.tick(true, 12_000)).toMatchObject({ type: "disconnect" });
    const other = ready();
    other.heardBeside(4000);
    expect(other.tick(true, 5000)).toBeUndefined();
    expect(other.tick(true, 5600)).toMatchObject({ type: "disconnect" });
  });
  test("while none are due is not", () => {
    const socket = ready();
    for (let now = 0; now < 60_000; now += 1000) expect(socket.tick(false, now)).toBeUndefined();
    expect(socket.tick(false, 200_000)).toBeUndefined();
    expect(socket.deadline).toBe(Infinity);
  });
  test("before its welcome is given up after 10 s", () => {
    const socket = new Socket();
    socket.open(0);
    expect(socket.tick(false, 3000)).toBeUndefined();
    socket.opened(3000);
    for (let now = 3000; now < 13_000; now += 1000) expect(socket.tick(false, now)).toBeUndefined();
    expect(socket.tick(false, 13_000)).toMatchObject({ type: "disconnect" });
  });
});

describe("after sleep", () => {
  test("the old socket has a moment to prove that it lives", () => {
    const socket = ready();
    socket.tick(true, 1000);
    expect(socket.tick(true, 3_600_000)).toBeUndefined();
    expect(socket.deadline).toBe(3_601_500);
    expect(socket.tick(true, 3_601_500)).toMatchObject({ type: "disconnect" });
  });
  test("a word from it is the proof", () => {
    const socket = ready();
    socket.tick(true, 1000);
    socket.tick(true, 3_600_000);
    socket.heard(3_600_500);
    expect(socket.tick(true, 3_601_500)).toBeUndefined();
  });
  test("a wait for the next try is over at once", () => {
    const socket = ready();
    socket.tick(false, 0);
    for (let i = 0; i < 6; i++) socket.closed(1006, "", 0.9, 0);
    expect(socket.tick(false, 5000)).toEqual({ type: "connect" });
  });
});
