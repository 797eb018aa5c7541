// The words for reasons. Must not know when a reason is given.
import { describe, expect, test } from "vitest";
import { ANSWER_MS } from "../src/core/race";
import { closeReason, endReason, FINAL_CLOSES, type Reason, sentence, words } from "../src/core/reasons";
import { STALL_MS } from "../src/core/stall";

test("a sentence says what happened, then what is done about it", () => {
  expect(sentence({ code: "udp_blocked", fallback: { mode: "lossless" } })).toBe("WebRTC has not connected after 1 s; UDP may be blocked. Using lossless pictures over the WebSocket.");
  expect(sentence({ code: "connection_lost" })).toBe("Connection lost. Reconnecting.");
  expect(sentence({ code: "webrtc" })).toBe("WebRTC");
});

test.each<[string, Reason]>([
  ["Using lossless pictures over the WebSocket", { code: "stalled", fallback: { mode: "lossless" } }],
  ["Using video over the WebSocket", { code: "slow_link", detail: "5 of 30 fps", fallback: { mode: "webcodecs" } }],
  ["Trying VP8", { code: "no_codec", fallback: { mode: "webrtc", codec: "vp8" } }],
  ["Trying WebRTC again", { code: "stalled", fallback: { mode: "webrtc" } }],
])("a fallback is named: %s", (action, reason) => {
  expect(words(reason).action).toBe(action);
});

test("a fallback stands in place of the table's advice", () => {
  expect(words({ code: "connection_lost", fallback: { mode: "lossless" } }).action).toBe("Using lossless pictures over the WebSocket");
});

describe("a detail", () => {
  test("stands where the words have a place for it", () => {
    expect(words({ code: "not_decoded", detail: "VP8" }).what).toBe("WebRTC is connected, but this browser does not decode VP8");
  });
  test("stands in brackets elsewhere", () => {
    expect(words({ code: "peer_failed", detail: "DTLS was lost" }).what).toBe("The WebRTC connection failed (DTLS was lost)");
  });
  test("is never read as a pattern", () => {
    expect(words({ code: "stream_missing", detail: "$& $1" }).what).toBe('There is no stream "$& $1" at the moment');
  });
});

test("a view that was asked for WebRTC says that it does without", () => {
  const blocked: Reason = { code: "udp_blocked", fallback: { mode: "lossless" } };
  expect(sentence(blocked, "webrtc")).toMatch(/^Not WebRTC, though it was asked for\. WebRTC has not connected/);
  expect(sentence(blocked, "auto")).toMatch(/^WebRTC has not connected/);
  expect(sentence({ code: "no_codec", fallback: { mode: "webrtc", codec: "vp8" } }, "webrtc")).toMatch(/^Server and browser/);
  expect(sentence({ code: "trying_webrtc" }, "webrtc")).toBe("Trying WebRTC");
});

test("an ending has the server's code, and its sentence as the detail", () => {
  expect(endReason({ type: "ended", sub: 1, reason: "limits", detail: "too many viewers" })).toEqual({ code: "limits", detail: "too many viewers" });
  expect(endReason({ type: "ended", sub: 1, reason: "limits" })).toEqual({ code: "limits" });
  expect(endReason({ type: "ended", sub: 1, reason: "limits", detail: "" })).toEqual({ code: "limits" });
});

test("every close code after which another try is no use has its words, with advice", () => {
  expect(FINAL_CLOSES).toEqual({ 4400: "bad_message", 4401: "unauthorized", 4403: "forbidden", 4426: "version" });
  for (const code of Object.values(FINAL_CLOSES)) expect(words({ code }).action).not.toBe("");
});

test("a limit of the server is a reason of its own, with the server's sentence, and is tried again", () => {
  expect(closeReason(4429, "too many connections")).toEqual({ code: "over_limit", detail: "too many connections" });
  expect(closeReason(4429, "")).toEqual({ code: "over_limit" });
  expect(sentence({ code: "over_limit", detail: "too many connections" })).toBe("A limit of the server is reached (too many connections). Trying again.");
});

test("a final close has its reason without the server's sentence, and other closes have none", () => {
  expect(closeReason(4401, "wrong token")).toEqual({ code: "unauthorized" });
  expect(closeReason(1006, "anything")).toBeUndefined();
});

test("the seconds in the words are those of the constants", () => {
  expect(words({ code: "udp_blocked" }).what).toContain(`after ${ANSWER_MS / 1000} s`);
  expect(words({ code: "stalled" }).what).toContain(`for ${STALL_MS / 1000} s`);
});

test("advice for a notebook says so: the same words stand on pages and beside scripts", () => {
  for (const code of ["bad_message", "version", "unauthorized"] as const) expect(words({ code }).action).toMatch(/\. In a notebook, /);
});
