// The messages between the threads, and between the session and the shells around it: types only.
// Must not know how any of it is carried out.

import type { Capabilities } from "./capabilities";
import type { CodecName } from "./codecs";
import type { Showing } from "./plan";
import type { Reason } from "./reasons";
import type { IceServer, RenderviewEvent, ServerMessage, StreamInfo, ViewerMessage, ViewMode } from "./wire";

export type ViewState = "connecting" | "open" | "negotiated" | "reconnecting" | "closed" | "error";

/** Where a view stands, and why. */
export interface ViewStatus {
  readonly state: ViewState;
  readonly reason: Reason;
  readonly mode: ViewMode;
  readonly showing: Showing;
  readonly codec: CodecName | undefined;
  readonly stream: string;
  /** Pixels of the newest frame; undefined until the stream is known. */
  readonly size: { readonly width: number; readonly height: number } | undefined;
  /** What the publisher calls the picture; its name where it says nothing. */
  readonly title: string;
  /** A keyword of CSS. */
  readonly cursor: string;
}

/** Where the socket stands, apart from any view. */
export interface ServerStatus {
  readonly state: "connecting" | "open" | "reconnecting" | "error";
  /** Undefined while the socket is open. */
  readonly reason: Reason | undefined;
  /** The streams that there are; empty while the server is out of reach. */
  readonly streams: readonly StreamInfo[];
}

/** The numbers of a view, about once a second. */
export interface ViewStats {
  readonly fps: number;
  readonly published_fps: number;
  readonly sent_fps: number;
  readonly latency_ms: number | undefined;
  readonly rtt_ms: number | undefined;
  readonly bitrate: number;
  readonly target_bitrate: number;
  readonly encode_ms: number;
  readonly viewers: number;
  readonly received: number;
  readonly decoded: number;
  readonly painted: number;
  readonly dropped: number;
  /** Lossless frames whose checksum was right, and whose was not: the latter are never painted. */
  readonly exact: number;
  readonly mismatched: number;
  /** When these numbers were taken, by the worker's clock: milliseconds since the Unix epoch. */
  readonly time: number;
  /** Milliseconds to add to the worker's clock to have the server's; undefined until measured. */
  readonly clock_offset: number | undefined;
  /** Milliseconds by which RTP timestamps are ahead of the server's clock: zero, unless that clock was set back. */
  readonly rtp_ahead_ms: number;
}

/** Milliseconds between two refreshes of the screen, and from when a frame is ready to the refresh that shows it. */
export interface VsyncTiming {
  readonly refresh_ms: number;
  readonly slack_ms: number;
}

/** What the main thread counted of one video since its last report. */
export interface VideoProgress {
  readonly mid: string;
  /** Frames that arrived whole, whether or not they could be decoded. */
  readonly arrived: number;
  readonly decoded: number;
  readonly fps: number;
  readonly latency_ms: number | undefined;
  /** Given for a video about as fast as the screen. */
  readonly vsync?: VsyncTiming | undefined;
  readonly dropped: number;
  /** Frames that each view painted. */
  readonly views: readonly { readonly view: number; readonly painted: number }[];
}

export type PeerEvent =
  | { readonly type: "peer_answer"; readonly peer: number; readonly offer: number; readonly sdp: string }
  | { readonly type: "peer_candidate"; readonly peer: number; readonly candidate: string; readonly sdp_mid: string }
  | { readonly type: "peer_connected"; readonly peer: number }
  | { readonly type: "peer_failed"; readonly peer: number; readonly detail: string }
  | { readonly type: "peer_progress"; readonly peer: number; readonly videos: readonly VideoProgress[] };

export type PeerCommand =
  | { readonly type: "peer_offer"; readonly peer: number; readonly offer: number; readonly sdp: string; readonly ice_servers: readonly IceServer[] }
  | { readonly type: "peer_attach"; readonly peer: number; readonly mid: string; readonly view: number }
  | { readonly type: "peer_detach"; readonly view: number }
  | { readonly type: "peer_close"; readonly peer: number };

export type ViewInput =
  | { readonly type: "view_open"; readonly view: number; readonly stream: string; readonly mode: ViewMode; readonly visible: boolean }
  | { readonly type: "view_mode"; readonly view: number; readonly mode: ViewMode }
  | { readonly type: "view_stream"; readonly view: number; readonly stream: string }
  | { readonly type: "view_visible"; readonly view: number; readonly visible: boolean }
  | { readonly type: "view_input"; readonly view: number; readonly event: RenderviewEvent }
  | { readonly type: "view_close"; readonly view: number };

/** Everything that can happen to the session. */
export type SessionInput =
  | ViewInput
  | PeerEvent
  | { readonly type: "start" }
  | { readonly type: "stop" }
  | { readonly type: "tick" }
  | { readonly type: "socket_opened" }
  /** `jitter`: a random number in [0, 1); the session must not generate random numbers. */
  | { readonly type: "socket_closed"; readonly code: number; readonly reason: string; readonly jitter: number }
  | { readonly type: "message"; readonly message: ServerMessage }
  | { readonly type: "unit"; readonly stream: number; readonly lossless: boolean; readonly frame: number }
  | { readonly type: "painted"; readonly stream: number; readonly lossless: boolean; readonly views: readonly number[]; readonly time_us: number }
  /** A view that joined a subscription was given the picture that the other views have. */
  | { readonly type: "repainted"; readonly view: number }
  | { readonly type: "dropped"; readonly stream: number; readonly lossless: boolean }
  | { readonly type: "mismatched"; readonly stream: number }
  | { readonly type: "decoder_failed"; readonly stream: number; readonly detail: string }
  | { readonly type: "keyframe_wanted"; readonly stream: number; readonly lossless: boolean };

/** Everything that the session can ask its shells to do. */
export type Effect =
  | PeerCommand
  | { readonly type: "connect" }
  | { readonly type: "disconnect"; readonly code: number; readonly reason: string }
  | { readonly type: "send"; readonly message: ViewerMessage }
  | { readonly type: "decoder_reset"; readonly stream: number }
  /** The view joined a subscription that has a picture: paint it there too. */
  | { readonly type: "repaint"; readonly view: number; readonly stream: number }
  | { readonly type: "server_status"; readonly status: ServerStatus }
  | { readonly type: "view_status"; readonly view: number; readonly status: ViewStatus }
  | { readonly type: "view_stats"; readonly view: number; readonly stats: ViewStats };

/** One lossless frame as it was checked: its number and the checksum of its pixels. */
export type FrameProof = readonly [frame: number, checksum: number];

/** Where the server is, and what to tell it of this page. */
export interface Begin<Port = unknown> {
  readonly type: "begin";
  /** Its scheme chooses the transport. */
  readonly url: string;
  readonly token: string;
  readonly agent: string;
  readonly capabilities: Capabilities;
  /** A MessagePort to the transport, where only the main thread can open it. */
  readonly port?: Port | undefined;
}

/** Main thread to worker. `canvas` is an OffscreenCanvas, or the element itself where there is none. */
export type ToWorker<Canvas = unknown, Port = unknown> =
  | Begin<Port>
  | { readonly type: "end" }
  | { readonly type: "canvas"; readonly view: number; readonly canvas: Canvas }
  | { readonly type: "capture"; readonly view: number; readonly request: number }
  | ViewInput
  | PeerEvent;

/** Worker to main thread. */
export type FromWorker<Image = unknown> =
  | PeerCommand
  | { readonly type: "ready" }
  | Extract<Effect, { readonly type: "server_status" | "view_status" | "view_stats" }>
  | { readonly type: "proofs"; readonly view: number; readonly proofs: readonly FrameProof[] }
  | { readonly type: "captured"; readonly request: number; readonly image: Image | undefined }
  | { readonly type: "log"; readonly level: "debug" | "warn"; readonly text: string };

