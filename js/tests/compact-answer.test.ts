// An answer is shortened by what all its sections say alike, and by nothing else.

import { expect, test } from "vitest";
import { compactAnswer } from "../src/core/compact-answer";

const HEAD = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n";
const ICE = "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\na=ice-options:trickle\r\n";
const DTLS = `a=fingerprint:sha-256 ${"AB:".repeat(31)}CD\r\na=setup:active\r\n`;
const EXTENSIONS = "a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid\r\na=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/playout-delay\r\n";
const CODEC = "a=rtcp-mux\r\na=rtpmap:99 H264/90000\r\na=rtcp-fb:99 nack\r\n";

function section(mid: number, direction = "a=recvonly\r\n", extensions = EXTENSIONS): string {
  return `m=video 9 UDP/TLS/RTP/SAVPF 99\r\na=mid:${mid}\r\n${ICE}${DTLS}${extensions}${direction}${CODEC}`;
}

test("what all sections say is said once, before the first", () => {
  const answer = HEAD + section(0) + section(1);
  expect(compactAnswer(answer)).toBe(
    `${HEAD}${ICE}${DTLS}${EXTENSIONS}a=recvonly\r\nm=video 9 UDP/TLS/RTP/SAVPF 99\r\na=mid:0\r\n${CODEC}m=video 9 UDP/TLS/RTP/SAVPF 99\r\na=mid:1\r\n${CODEC}`,
  );
});

test("what one section says differently stays in each", () => {
  const extension = "a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid\r\n";
  const compact = compactAnswer(HEAD + section(0) + section(1, "a=inactive\r\n", extension));
  expect(compact.split("a=recvonly").length - 1).toBe(1);
  expect(compact).toContain("a=inactive\r\n");
  expect(compact.indexOf("a=recvonly")).toBeGreaterThan(compact.indexOf("m=video"));
  expect(compact.split("playout-delay").length - 1).toBe(1);
  expect(compact.indexOf("playout-delay")).toBeGreaterThan(compact.indexOf("m=video"));
  expect(compact.indexOf(extension)).toBeLessThan(compact.indexOf("m=video"));
});

test("lines that belong to a section stay there, even if all have them", () => {
  const compact = compactAnswer(HEAD + section(0) + section(1));
  expect(compact.split("a=rtcp-mux").length - 1).toBe(2);
  expect(compact.split("a=rtpmap:99").length - 1).toBe(2);
});

test("what the session says already is not said twice, nor contradicted", () => {
  // Firefox writes both; a section's own direction overrides the session's (RFC 8866 §6.7).
  const head = `${HEAD}a=sendrecv\r\na=fingerprint:sha-256 ${"AB:".repeat(31)}CD\r\n`;
  const compact = compactAnswer(head + section(0) + section(1));
  expect(compact.startsWith(`${head}${ICE}a=setup:active\r\n${EXTENSIONS}m=`)).toBe(true);
  expect(compact.split("a=recvonly").length - 1).toBe(2);
});

test("an answer without sections is itself", () => {
  expect(compactAnswer(HEAD)).toBe(HEAD);
  expect(compactAnswer("")).toBe("");
});

test("64 tracks fit a message of 64 KiB as JSON", () => {
  const fec = "a=rtpmap:101 flexfec-03/90000\r\na=rtcp-fb:101 goog-remb\r\na=rtcp-fb:101 transport-cc\r\na=fmtp:101 repair-window=10000000\r\n";
  const feedback = Array.from({ length: 24 }, (_, i) => `a=rtcp-fb:${90 + i} ccm fir\r\n`).join("");
  const answer = HEAD + Array.from({ length: 64 }, (_, mid) => section(mid) + fec + feedback).join("");
  expect(JSON.stringify(answer).length).toBeGreaterThan(65_536);
  expect(JSON.stringify(compactAnswer(answer)).length).toBeLessThan(60_000);
});
