// One try of WebRTC: when it is won, when it is given up, and when to look next. Must not know subscriptions.
import { describe, expect, test } from "vitest";
import { Race } from "../src/core/race";

const ANSWER_MS = 1000;
const RACE_MS = 6000;
const OFFER_MS = 8000;
const DECODE_MS = 2000;
const START = 1000;

const begun = (blocked_reported = false): Race => new Race(START, blocked_reported);

function offered(at = START): Race {
  const race = begun();
  race.offered(at);
  return race;
}

function connected(at = START): Race {
  const race = offered();
  race.connected(at);
  return race;
}

describe("a race is won", () => {
  test("by the first painted frame in a view that is seen", () => {
    const race = connected();
    race.progress(3, 0);
    expect(race.isWon(true)).toBe(false);
    race.progress(0, 1);
    expect(race.isWon(true)).toBe(true);
  });
  test("by the first decoded frame in a hidden view", () => {
    const race = connected();
    expect(race.isWon(false)).toBe(false);
    race.progress(1, 0);
    expect(race.isWon(false)).toBe(true);
  });
  test("by the fifth frame after a stall", () => {
    const race = Race.afterStall(START);
    race.progress(4, 4);
    expect(race.isWon(true)).toBe(false);
    race.progress(1, 1);
    expect(race.isWon(true)).toBe(true);
  });
});

describe("UDP is called blocked", () => {
  test("one second after the offer, once", () => {
    const race = offered();
    expect(race.deadline).toBe(START + ANSWER_MS);
    expect(race.reportBlocked(START + ANSWER_MS - 1)).toBe(false);
    expect(race.reportBlocked(START + ANSWER_MS)).toBe(true);
    expect(race.reportBlocked(START + ANSWER_MS)).toBe(false);
    expect(race.deadline).toBe(START + RACE_MS);
  });
  test("not before an offer, nor once connected, nor when the user knows already", () => {
    expect(begun().reportBlocked(START + 7000)).toBe(false);
    expect(connected(START + 500).reportBlocked(START + 7000)).toBe(false);
    const reported = begun(true);
    reported.offered(START);
    expect(reported.reportBlocked(START + 7000)).toBe(false);
    expect(reported.deadline).toBe(START + RACE_MS);
  });
});

describe("a race is given up", () => {
  test("without an offer after eight seconds", () => {
    const race = begun();
    expect(race.deadline).toBe(START + OFFER_MS);
    expect(race.verdict(true, START + OFFER_MS - 1)).toBeUndefined();
    expect(race.verdict(true, START + OFFER_MS)).toBe("no_offer");
  });
  test("without a connection six seconds after the offer", () => {
    const race = offered(START + 300);
    race.offered(START + 900);
    expect(race.verdict(true, START + 300 + RACE_MS - 1)).toBeUndefined();
    expect(race.verdict(true, START + 300 + RACE_MS)).toBe("blocked");
  });
  test("without a whole frame six seconds after it was connected", () => {
    const race = connected(START + 200);
    race.connected(START + 900);
    expect(race.deadline).toBe(START + 200 + RACE_MS);
    expect(race.verdict(true, START + 200 + RACE_MS - 1)).toBeUndefined();
    expect(race.verdict(true, START + 200 + RACE_MS)).toBe("no_frames");
  });
  test("without a decoded frame two seconds after the first whole one", () => {
    const race = connected();
    race.arrived(START + 400);
    race.arrived(START + 900);
    expect(race.deadline).toBe(START + 400 + DECODE_MS);
    expect(race.verdict(true, START + 400 + DECODE_MS - 1)).toBeUndefined();
    expect(race.verdict(true, START + 400 + DECODE_MS)).toBe("not_decoded");
  });
  test("not while frames are decoded, nor while there is no other picture to compare with", () => {
    const race = connected();
    race.arrived(START);
    expect(race.verdict(false, START + 60_000)).toBeUndefined();
    race.progress(1, 0);
    expect(race.verdict(true, START + 60_000)).toBeUndefined();
  });
  test("after a stall when frames have not come again for six seconds", () => {
    const race = Race.afterStall(START);
    expect(race.reportBlocked(START + 5000)).toBe(false);
    expect(race.deadline).toBe(START + RACE_MS);
    race.progress(4, 4);
    expect(race.verdict(true, START + RACE_MS - 1)).toBeUndefined();
    expect(race.verdict(true, START + RACE_MS)).toBe("stalled");
  });
  test("after a stall the codec is not blamed: it has decoded before", () => {
    const race = Race.afterStall(START);
    race.arrived(START);
    expect(race.deadline).toBe(START + RACE_MS);
    expect(race.verdict(true, START + DECODE_MS)).toBeUndefined();
  });
  test("after a stall it is a stall, however late that is noticed", () => {
    expect(Race.afterStall(START).verdict(true, START + 60_000)).toBe("stalled");
  });
});
