// The words for reasons. Must not know when a reason is given.
import { describe, expect, test } from "vitest";
import { endReason, FINAL_CLOSES, type Reason, sentence, words } from "../src/core/reasons";

test("a sentence says what happened, then what is done about it", () => {
  expect(sentence({ code: "udp_blocked", fallback: { mode: "lossless" } })).toBe("UDP is blocked: no answer in 1 s. Using lossless pictures over the WebSocket.");
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
  expect(sentence(blocked, "webrtc")).toMatch(/^Not WebRTC, though it was asked for\. UDP is blocked/);
  expect(sentence(blocked, "auto")).toMatch(/^UDP is blocked/);
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
