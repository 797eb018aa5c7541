// Why a view shows what it shows: a code and its facts for programs, and the one table of words for people.
// Must not know who reads the words. No logic may read them: it reads the code.

import { labelOf } from "./codecs";
import { ANSWER_MS } from "./race";
import { STALL_MS } from "./stall";
import type { CodecName, Ended, Mode, ViewMode } from "./wire";

interface Words {
  /** What happened, without a full stop. "{detail}" is where the detail goes; elsewhere it follows in brackets. */
  readonly what: string;
  /** What to do about it, or what the page does about it. */
  readonly action?: string;
}

const seconds = (ms: number): string => `${ms / 1000} s`;

// The same words are read on a page, beside a script and in a notebook: advice that holds in one of them says in which.
const WORDS = {
  // The socket
  connecting: { what: "Connecting" },
  no_answer: { what: "The server does not answer", action: "Still trying to connect" },
  connection_lost: { what: "Connection lost", action: "Reconnecting" },
  server_gone: { what: "The server has stopped", action: "Run the program or the cell again. Still trying to connect" },
  /** Close code 4429. The detail is the server's sentence: which limit. */
  over_limit: { what: "A limit of the server is reached", action: "Trying again" },
  // Close codes after which another try is no use
  bad_message: {
    what: "This page and the server do not understand each other",
    action: "Reload the page. In a notebook, restart the kernel too",
  },
  unauthorized: {
    what: "The server refused the token",
    action: "Open the address of the running program. In a notebook, run the cell again",
  },
  forbidden: {
    what: "The server does not accept viewers from this page's origin",
    action: "Start the server with allow_origins=[...] that names it",
  },
  version: {
    what: "This page and the server are of different versions",
    action: "Reload the page. In a notebook, restart the kernel too",
  },
  // Streams
  no_stream: { what: "Connected, but nothing is published yet", action: "Waiting for a stream" },
  stream_missing: { what: 'There is no stream "{detail}" at the moment', action: "Waiting for it" },
  // What a view shows as intended
  trying_webrtc: { what: "Trying WebRTC" },
  webrtc: { what: "WebRTC" },
  exact_still: { what: "The scene is still: this is the exact picture, over the WebSocket" },
  lossless: { what: "Lossless: every pixel as published" },
  webcodecs: { what: "Video over the WebSocket, as asked" },
  // Why it shows something else
  udp_blocked: { what: `WebRTC has not connected after ${seconds(ANSWER_MS)}; UDP may be blocked` },
  no_offer: { what: "The server made no WebRTC offer" },
  no_frames: { what: "WebRTC is connected, but no frame arrives" },
  not_decoded: { what: "WebRTC is connected, but this browser does not decode {detail}" },
  stalled: { what: `WebRTC stalled: no frame for ${seconds(STALL_MS)}` },
  no_webrtc: { what: "This browser has no WebRTC" },
  no_decoder: { what: "This page has no video decoder (it needs https or localhost)" },
  decoder_failed: { what: "The video decoder failed" },
  slow_link: { what: "The link is too slow for lossless ({detail})" },
  // Endings by the server (`ended`)
  no_such_stream: { what: "There is no such stream" },
  stream_closed: { what: "The stream was closed" },
  no_codec: { what: "Server and browser share no video codec" },
  peer_failed: { what: "The WebRTC connection failed" },
  limits: { what: "This page has too many views of one server" },
  internal: { what: "The server failed at this stream" },
  // The notebook widget
  waiting_for_kernel: { what: "Waiting for the kernel" },
  no_kernel: { what: "No live picture here yet", action: "It comes from a running kernel: run the cell to see it" },
  kernel_restarted: { what: "The kernel was restarted", action: "Run the cells again" },
  display_closed: { what: "The display was closed", action: "Run the cell that makes it again" },
} as const satisfies Readonly<Record<string, Words>> & Readonly<Record<Ended["reason"], Words>>;

export type ReasonCode = keyof typeof WORDS;

export function isReasonCode(value: unknown): value is ReasonCode {
  return typeof value === "string" && Object.hasOwn(WORDS, value);
}

/** What the view uses instead. */
export interface Fallback {
  readonly mode: Mode;
  readonly codec?: CodecName | undefined;
}

export interface Reason {
  readonly code: ReasonCode;
  /** A fact for people: a name, a number, another program's message. */
  readonly detail?: string;
  /** Present where the view uses something that was not asked for. */
  readonly fallback?: Fallback;
}

/** The close code of a limit of the server, which may pass. */
const LIMIT_CLOSE = 4429;

/** The close codes after which another try is no use. After every other one, the viewer tries again. */
export const FINAL_CLOSES: Readonly<Record<number, ReasonCode>> = {
  4400: "bad_message",
  4401: "unauthorized",
  4403: "forbidden",
  4426: "version",
};

/** Why the socket is not there, by its close code: undefined where the code says no more than that. `detail`: the server's own sentence. */
export function closeReason(code: number, detail: string): Reason | undefined {
  const final = FINAL_CLOSES[code];
  if (final !== undefined) return { code: final };
  return code === LIMIT_CLOSE ? withoutEmpty("over_limit", detail) : undefined;
}

/** The reason of an ending by the server, with the server's own sentence as its detail. */
export function endReason({ reason, detail }: Ended): Reason {
  return withoutEmpty(reason, detail);
}

/** The reason as two sentences for people: what happened, and what is done about it. `action` may be empty. */
export function words({ code, detail, fallback }: Reason): { readonly what: string; readonly action: string } {
  const entry: Words = WORDS[code];
  return { what: withDetail(entry.what, detail), action: fallback === undefined ? (entry.action ?? "") : fallbackWords(fallback) };
}

/** The reason as one line for people, in a view that was asked for `mode`. */
export function sentence(reason: Reason, mode: ViewMode = "auto"): string {
  const { what, action } = words(reason);
  const line = action === "" ? what : `${what}. ${action}.`;
  const denied = mode === "webrtc" && reason.fallback !== undefined && reason.fallback.mode !== "webrtc";
  return denied ? `Not WebRTC, though it was asked for. ${line}` : line;
}

function withoutEmpty(code: ReasonCode, detail: string | undefined): Reason {
  return detail === undefined || detail === "" ? { code } : { code, detail };
}

function withDetail(what: string, detail: string | undefined): string {
  if (detail === undefined) return what;
  return what.includes("{detail}") ? what.replace("{detail}", () => detail) : `${what} (${detail})`;
}

function fallbackWords({ mode, codec }: Fallback): string {
  if (mode === "webrtc") return codec === undefined ? "Trying WebRTC again" : `Trying ${labelOf(codec)}`;
  return mode === "webcodecs" ? "Using video over the WebSocket" : "Using lossless pictures over the WebSocket";
}
