// The server's clock from echoes, and the age of a frame from its RTP timestamp. Must not know sessions.
import { describe, expect, test } from "vitest";
import { rtpAge, ServerClock } from "../src/core/server-clock";

describe("the server's clock", () => {
  test("is taken to be read half way through the round trip", () => {
    const clock = new ServerClock();
    clock.echo(1000, 6010, 1020);
    expect(clock.offset).toBe(5000);
    expect(clock.rtt).toBe(20);
    expect(clock.error).toBe(10);
  });
  test("is taken from the quickest echo, not from the newest", () => {
    const clock = new ServerClock();
    clock.echo(1000, 6010, 1020);
    clock.echo(2000, 7390, 2400);
    expect(clock.offset).toBe(5000);
    expect(clock.rtt).toBe(400);
  });
  test("drops old echoes, so that a clock that drifts is followed", () => {
    const clock = new ServerClock();
    clock.echo(0, 5001, 2);
    for (let i = 1; i <= 15; i++) clock.echo(1000 * i, 1000 * i + 5020, 1000 * i + 20);
    expect(clock.offset).toBe(5000);
    clock.echo(16_000, 21_020, 16_020);
    expect(clock.offset).toBe(5010);
  });
  const HOUR_MS = 3_600_000;
  test.each([
    ["the server's clock, back,", -HOUR_MS, 0],
    ["the server's clock, ahead,", HOUR_MS, 0],
    ["the viewer's clock, back,", 0, -HOUR_MS],
    ["the viewer's clock, ahead,", 0, HOUR_MS],
  ])("is measured anew from the first echo after %s was set", (_, server_set, viewer_set) => {
    const clock = new ServerClock();
    for (let i = 0; i < 20; i++) clock.echo(1000 * i, 1000 * i + 5001, 1000 * i + 2);
    // The slowest echo so far is enough.
    clock.echo(20_000 + viewer_set, 25_100 + server_set, 20_200 + viewer_set);
    expect(clock.offset).toBe(5000 + server_set - viewer_set);
    expect(clock.error).toBe(100);
  });
  test("is right again after a report that was under way when the viewer's clock was set", () => {
    const clock = new ServerClock();
    clock.echo(1000, 6001, 1002);
    clock.echo(2000, 7001, 2002 + HOUR_MS);
    clock.echo(3000 + HOUR_MS, 8001, 3002 + HOUR_MS);
    expect(clock.offset).toBe(5000 - HOUR_MS);
    expect(clock.error).toBe(1);
  });
  test("keeps echoes that differ by no more than their round trips and five milliseconds", () => {
    const clock = new ServerClock();
    clock.echo(1000, 6004, 1008);
    clock.echo(2000, 7050 + 59, 2100);
    expect([clock.offset, clock.error]).toEqual([5000, 4]);
    clock.echo(3000, 8006 + 16, 3012);
    expect([clock.offset, clock.error]).toEqual([5016, 6]);
  });
  test("is taken from the newest of equally quick echoes", () => {
    const clock = new ServerClock();
    clock.echo(1000, 6010, 1020);
    clock.echo(2000, 7020, 2020);
    expect(clock.offset).toBe(5010);
  });
  test("has no negative round trip, though the viewer's clock is set back", () => {
    const clock = new ServerClock();
    clock.echo(1020, 6010, 1000);
    expect(clock.rtt).toBe(0);
    expect(clock.error).toBe(0);
  });
  test("is unknown before the first echo", () => {
    const clock = new ServerClock();
    expect([clock.known, clock.offset, clock.error, clock.rtt]).toEqual([false, 0, 0, undefined]);
  });
  test("is unknown again after a clear", () => {
    const clock = new ServerClock();
    clock.echo(1000, 6010, 1020);
    expect(clock.known).toBe(true);
    clock.clear();
    expect([clock.known, clock.offset, clock.rtt]).toEqual([false, 0, undefined]);
  });
});

describe("the age of a frame", () => {
  const stamp = (time_us: number): number => Number((BigInt(time_us) * 9n / 100n) % 2n ** 32n);
  test.each([0, 16.7, 250, 4000])("%f ms after its publishing", (age) => {
    const published_us = 1_795_374_295_920_123;
    expect(rtpAge(stamp(published_us), published_us / 1000 + age)).toBeCloseTo(age, 1);
  });
  test("is right across the wrap of the RTP clock", () => {
    const wrap_us = Math.ceil((2 ** 32 * 100) / 9) * 30_000;
    expect(rtpAge(stamp(wrap_us - 5000), wrap_us / 1000 + 5)).toBeCloseTo(10, 1);
  });
  test("with a clock slightly behind is a small negative number, not half a day", () => {
    expect(rtpAge(stamp(1_795_374_295_920_000), 1_795_374_295_915)).toBeCloseTo(-5, 1);
  });
  test("counts whole ticks that have passed", () => {
    expect(rtpAge(90, 1.005)).toBe(0);
    expect(rtpAge(90, 1.012)).toBeCloseTo(1 / 90);
  });
  test("is negative from half a cycle of the RTP clock on", () => {
    const half_ms = 2 ** 31 / 90;
    expect(rtpAge(2 ** 31, 0)).toBeCloseTo(-half_ms);
    expect(rtpAge(0, 0.9 * half_ms)).toBeCloseTo(0.9 * half_ms, 0);
  });
});
