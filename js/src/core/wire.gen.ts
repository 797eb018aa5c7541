// Generated from signaling/schema.json by js/scripts/wire.mjs; never edited by hand.
// Must not know anything that the schema does not say.

import type { Shape } from "./validate";

/** What a viewer may send. */
export type ViewerMessage = Hello | Subscribe | Answer | Candidate | Unsubscribe | Input | Ack | Report;

/** What a server may send. */
export type ServerMessage = Welcome | Streams | Offer | Ended | Stats;

/** First message on a socket: who the viewer is and what it can show. */
export interface Hello {
  readonly type: "hello";
  readonly version: number;
  readonly token: string;
  /** Names of the codecs that this viewer decodes over WebRTC, best first; empty where it has no RTCPeerConnection. The server skips names that it does not know. */
  readonly codecs: readonly string[];
  /** Names of the codecs that this viewer decodes with a VideoDecoder, best first. The server skips names that it does not know. */
  readonly webcodecs?: readonly string[];
  /** Forward error correction that this viewer's WebRTC understands; offers then hold it. */
  readonly repair?: readonly ("flexfec-03")[];
  /** Free text for logs. */
  readonly agent?: string;
}

/** Start one subscription: this stream, in this mode. */
export interface Subscribe {
  readonly type: "subscribe";
  /** Chosen by the viewer; strictly increasing on a socket. */
  readonly sub: number;
  /** The stream's name. */
  readonly stream: string;
  readonly mode: "webrtc" | "webcodecs" | "lossless";
  /** Ask for this codec; without it the server takes the first of `hello` that the stream has. */
  readonly codec?: string;
}

/** The viewer's SDP answer to the offer of the same number. */
export interface Answer {
  readonly type: "answer";
  readonly peer: number;
  readonly offer: number;
  readonly sdp: string;
}

/** One ICE candidate of the viewer; an empty one says there are no more. */
export interface Candidate {
  readonly type: "candidate";
  readonly peer: number;
  readonly candidate: string;
  readonly sdp_mid: string;
}

/** End a subscription. The server sends nothing back. */
export interface Unsubscribe {
  readonly type: "unsubscribe";
  readonly sub: number;
}

/** One input event on a subscription's picture. */
export interface Input {
  readonly type: "input";
  readonly sub: number;
  readonly event: RenderviewEvent;
}

/** A unit sent over the WebSocket has been received whole: its credit comes back. */
export interface Ack {
  readonly type: "ack";
  readonly sub: number;
  readonly frame: number;
}

/** How a subscription fares at the viewer, about once a second; answered by `stats`. */
export interface Report {
  readonly type: "report";
  readonly sub: number;
  /** The viewer's clock, milliseconds since the Unix epoch. */
  readonly time: number;
  /** False while the view cannot be seen. */
  readonly visible: boolean;
  /** Frames decoded since the subscription began. */
  readonly decoded: number;
  /** Frames put on screen since the subscription began. */
  readonly painted: number;
  /** Frames painted a second, in the last seconds. */
  readonly fps?: number;
  /** Milliseconds from publish to paint: the median of the last seconds. */
  readonly latency_ms?: number;
  /** True asks for a keyframe (webcodecs: the decoder was reset). */
  readonly keyframe?: boolean;
  /** Milliseconds between two refreshes of the viewer's screen; with slack_ms. */
  readonly refresh_ms?: number;
  /** Milliseconds from when a frame is ready to the refresh that shows it: the circular mean since the last report. */
  readonly slack_ms?: number;
}

/** The token was right; the socket is ready. */
export interface Welcome {
  readonly type: "welcome";
  readonly version: number;
  /** Name and version, for people. */
  readonly server: string;
  /** Changes when the engine is started anew. */
  readonly epoch: string;
  /** The server's clock, milliseconds since the Unix epoch. */
  readonly time: number;
  readonly ice_servers: readonly IceServer[];
}

/** All streams there are now; sent after `welcome` and on every change. */
export interface Streams {
  readonly type: "streams";
  readonly streams: readonly StreamInfo[];
}

/** An SDP offer for the whole peer connection, and which subscription each media section carries. */
export interface Offer {
  readonly type: "offer";
  /** Counts the peer connections of this socket. */
  readonly peer: number;
  /** Counts the offers of this socket. */
  readonly offer: number;
  readonly sdp: string;
  readonly tracks: readonly Track[];
}

/** The server ended a subscription. */
export interface Ended {
  readonly type: "ended";
  readonly sub: number;
  readonly reason: "no_such_stream" | "stream_closed" | "no_codec" | "peer_failed" | "limits" | "internal";
  /** One sentence for a person. */
  readonly detail?: string;
}

/** How a subscription fares at the server: the answer to `report`. */
export interface Stats {
  readonly type: "stats";
  readonly sub: number;
  /** The server's clock, milliseconds since the Unix epoch. */
  readonly time: number;
  /** `time` of the report that this answers. */
  readonly echo: number;
  readonly published_fps: number;
  readonly sent_fps: number;
  /** Milliseconds to encode or pack a frame: the mean of the last seconds. */
  readonly encode_ms: number;
  /** Bits a second sent to this subscription, in the last seconds. */
  readonly bitrate: number;
  /** Bits a second that the encoder aims at; 0 where there is none. */
  readonly target_bitrate: number;
  readonly viewers: number;
  readonly codec?: string;
  /** Milliseconds since the newest frame was published. Units do not tell: a still scene is encoded again, and a frame of a moving one may be skipped. */
  readonly rested_ms?: number;
  /** The newest units sent, oldest first. */
  readonly frames: readonly FrameMark[];
}

/** A renderview event. `x`, `y` are pixels of a frame of `width` x `height`; of a resize these are the view's size. README.md says which type has which fields. */
export interface RenderviewEvent {
  readonly type: "pointer_down" | "pointer_up" | "pointer_move" | "pointer_enter" | "pointer_leave" | "double_click" | "wheel" | "key_down" | "key_up" | "char" | "resize" | "close" | "show" | "hide" | "focus_in" | "focus_out";
  /** Seconds, the viewer's clock. */
  readonly timestamp: number;
  readonly x?: number;
  readonly y?: number;
  /** 0 none, 1 left, 2 right, 3 middle, 4.. others. */
  readonly button?: number;
  readonly buttons?: readonly number[];
  readonly modifiers?: readonly ("Shift" | "Control" | "Alt" | "Meta")[];
  readonly ntouches?: number;
  /** By pointer id. */
  readonly touches?: { readonly [key: string]: Touch };
  readonly inside?: boolean;
  readonly dx?: number;
  readonly dy?: number;
  readonly key?: string;
  readonly code?: string;
  /** What was typed. */
  readonly data?: string;
  readonly input_type?: string;
  readonly is_composing?: boolean;
  readonly repeat?: boolean;
  readonly width?: number;
  readonly height?: number;
  /** Frame pixels per CSS pixel of the view. */
  readonly pixel_ratio?: number;
  readonly pwidth?: number;
  readonly pheight?: number;
  readonly ratio?: number;
}

/** One finger or pen: where, and how hard. */
export interface Touch {
  readonly x: number;
  readonly y: number;
  readonly pressure: number;
}

/** A STUN or TURN server the viewer may use, as RTCIceServer. */
export interface IceServer {
  readonly urls: readonly string[];
  readonly username?: string;
  readonly credential?: string;
}

/** A published stream. */
export interface StreamInfo {
  /** Names the stream in the binary header. */
  readonly id: number;
  readonly name: string;
  /** Pixels of the newest frame. */
  readonly width: number;
  readonly height: number;
  /** Advisory: what the publisher aims at. */
  readonly fps: number;
  /** What the publisher calls the picture; without it, the name serves. */
  readonly title?: string;
  /** The pointer's shape over the picture, a keyword of CSS; without it, "default". */
  readonly cursor?: "auto" | "default" | "none" | "context-menu" | "help" | "pointer" | "progress" | "wait" | "cell" | "crosshair" | "text" | "vertical-text" | "alias" | "copy" | "move" | "no-drop" | "not-allowed" | "grab" | "grabbing" | "e-resize" | "n-resize" | "ne-resize" | "nw-resize" | "s-resize" | "se-resize" | "sw-resize" | "w-resize" | "ew-resize" | "ns-resize" | "nesw-resize" | "nwse-resize" | "col-resize" | "row-resize" | "all-scroll" | "zoom-in" | "zoom-out";
}

/** One media section of an offer. */
export interface Track {
  readonly sub: number;
  readonly mid: string;
  readonly codec: string;
}

/** Which RTP timestamp a frame was sent under, and when it was published. */
export interface FrameMark {
  readonly frame: number;
  readonly rtp_timestamp: number;
  /** Milliseconds since the Unix epoch, the server's clock. */
  readonly time: number;
}

/** The same, for `validate`. */
export const SHAPES: Readonly<Record<string, Shape>> = {
  ViewerMessage: {"oneOf":[{"$ref":"#/$defs/Hello"},{"$ref":"#/$defs/Subscribe"},{"$ref":"#/$defs/Answer"},{"$ref":"#/$defs/Candidate"},{"$ref":"#/$defs/Unsubscribe"},{"$ref":"#/$defs/Input"},{"$ref":"#/$defs/Ack"},{"$ref":"#/$defs/Report"}]},
  ServerMessage: {"oneOf":[{"$ref":"#/$defs/Welcome"},{"$ref":"#/$defs/Streams"},{"$ref":"#/$defs/Offer"},{"$ref":"#/$defs/Ended"},{"$ref":"#/$defs/Stats"}]},
  Hello: {"type":"object","additionalProperties":false,"required":["type","version","token","codecs"],"properties":{"type":{"const":"hello"},"version":{"type":"integer","minimum":1,"maximum":255},"token":{"type":"string","maxLength":256},"codecs":{"type":"array","maxItems":8,"items":{"type":"string","minLength":1,"maxLength":16,"pattern":"^[a-z0-9_]+(?!\\n)$"}},"webcodecs":{"type":"array","maxItems":8,"items":{"type":"string","minLength":1,"maxLength":16,"pattern":"^[a-z0-9_]+(?!\\n)$"}},"repair":{"type":"array","maxItems":8,"items":{"enum":["flexfec-03"]}},"agent":{"type":"string","maxLength":256}}},
  Subscribe: {"type":"object","additionalProperties":false,"required":["type","sub","stream","mode"],"properties":{"type":{"const":"subscribe"},"sub":{"type":"integer","minimum":1,"maximum":4294967295},"stream":{"type":"string","minLength":1,"maxLength":128},"mode":{"enum":["webrtc","webcodecs","lossless"]},"codec":{"type":"string","minLength":1,"maxLength":16,"pattern":"^[a-z0-9_]+(?!\\n)$"}}},
  Answer: {"type":"object","additionalProperties":false,"required":["type","peer","offer","sdp"],"properties":{"type":{"const":"answer"},"peer":{"type":"integer","minimum":1,"maximum":4294967295},"offer":{"type":"integer","minimum":1,"maximum":4294967295},"sdp":{"type":"string","maxLength":65536}}},
  Candidate: {"type":"object","additionalProperties":false,"required":["type","peer","candidate","sdp_mid"],"properties":{"type":{"const":"candidate"},"peer":{"type":"integer","minimum":1,"maximum":4294967295},"candidate":{"type":"string","maxLength":512},"sdp_mid":{"type":"string","maxLength":16}}},
  Unsubscribe: {"type":"object","additionalProperties":false,"required":["type","sub"],"properties":{"type":{"const":"unsubscribe"},"sub":{"type":"integer","minimum":1,"maximum":4294967295}}},
  Input: {"type":"object","additionalProperties":false,"required":["type","sub","event"],"properties":{"type":{"const":"input"},"sub":{"type":"integer","minimum":1,"maximum":4294967295},"event":{"$ref":"#/$defs/RenderviewEvent"}}},
  Ack: {"type":"object","additionalProperties":false,"required":["type","sub","frame"],"properties":{"type":{"const":"ack"},"sub":{"type":"integer","minimum":1,"maximum":4294967295},"frame":{"type":"integer","minimum":0,"maximum":4294967295}}},
  Report: {"type":"object","additionalProperties":false,"required":["type","sub","time","visible","decoded","painted"],"properties":{"type":{"const":"report"},"sub":{"type":"integer","minimum":1,"maximum":4294967295},"time":{"type":"number"},"visible":{"type":"boolean"},"decoded":{"type":"integer","minimum":0,"maximum":4294967295},"painted":{"type":"integer","minimum":0,"maximum":4294967295},"fps":{"type":"number"},"latency_ms":{"type":"number"},"keyframe":{"type":"boolean"},"refresh_ms":{"type":"number"},"slack_ms":{"type":"number"}}},
  Welcome: {"type":"object","additionalProperties":false,"required":["type","version","server","epoch","time","ice_servers"],"properties":{"type":{"const":"welcome"},"version":{"type":"integer","minimum":1,"maximum":255},"server":{"type":"string","maxLength":128},"epoch":{"type":"string","maxLength":64},"time":{"type":"number"},"ice_servers":{"type":"array","maxItems":8,"items":{"$ref":"#/$defs/IceServer"}}}},
  Streams: {"type":"object","additionalProperties":false,"required":["type","streams"],"properties":{"type":{"const":"streams"},"streams":{"type":"array","items":{"$ref":"#/$defs/StreamInfo"}}}},
  Offer: {"type":"object","additionalProperties":false,"required":["type","peer","offer","sdp","tracks"],"properties":{"type":{"const":"offer"},"peer":{"type":"integer","minimum":1,"maximum":4294967295},"offer":{"type":"integer","minimum":1,"maximum":4294967295},"sdp":{"type":"string","maxLength":262144},"tracks":{"type":"array","items":{"$ref":"#/$defs/Track"}}}},
  Ended: {"type":"object","additionalProperties":false,"required":["type","sub","reason"],"properties":{"type":{"const":"ended"},"sub":{"type":"integer","minimum":1,"maximum":4294967295},"reason":{"enum":["no_such_stream","stream_closed","no_codec","peer_failed","limits","internal"]},"detail":{"type":"string","maxLength":512}}},
  Stats: {"type":"object","additionalProperties":false,"required":["type","sub","time","echo","published_fps","sent_fps","encode_ms","bitrate","target_bitrate","viewers","frames"],"properties":{"type":{"const":"stats"},"sub":{"type":"integer","minimum":1,"maximum":4294967295},"time":{"type":"number"},"echo":{"type":"number"},"published_fps":{"type":"number"},"sent_fps":{"type":"number"},"encode_ms":{"type":"number"},"bitrate":{"type":"number"},"target_bitrate":{"type":"number"},"viewers":{"type":"integer","minimum":0,"maximum":4294967295},"codec":{"type":"string","minLength":1,"maxLength":16,"pattern":"^[a-z0-9_]+(?!\\n)$"},"rested_ms":{"type":"number"},"frames":{"type":"array","maxItems":256,"items":{"$ref":"#/$defs/FrameMark"}}}},
  RenderviewEvent: {"type":"object","additionalProperties":false,"required":["type","timestamp"],"properties":{"type":{"enum":["pointer_down","pointer_up","pointer_move","pointer_enter","pointer_leave","double_click","wheel","key_down","key_up","char","resize","close","show","hide","focus_in","focus_out"]},"timestamp":{"type":"number"},"x":{"type":"number"},"y":{"type":"number"},"button":{"type":"integer","minimum":0,"maximum":32},"buttons":{"type":"array","maxItems":32,"items":{"type":"integer","minimum":0,"maximum":32}},"modifiers":{"type":"array","maxItems":8,"items":{"enum":["Shift","Control","Alt","Meta"]}},"ntouches":{"type":"integer","minimum":0,"maximum":32},"touches":{"type":"object","maxProperties":32,"propertyNames":{"maxLength":16},"additionalProperties":{"$ref":"#/$defs/Touch"}},"inside":{"type":"boolean"},"dx":{"type":"number"},"dy":{"type":"number"},"key":{"type":"string","maxLength":64},"code":{"type":"string","maxLength":64},"data":{"type":"string","maxLength":256},"input_type":{"type":"string","maxLength":64},"is_composing":{"type":"boolean"},"repeat":{"type":"boolean"},"width":{"type":"number"},"height":{"type":"number"},"pixel_ratio":{"type":"number"},"pwidth":{"type":"integer","minimum":0,"maximum":65535},"pheight":{"type":"integer","minimum":0,"maximum":65535},"ratio":{"type":"number"}}},
  Touch: {"type":"object","additionalProperties":false,"required":["x","y","pressure"],"properties":{"x":{"type":"number"},"y":{"type":"number"},"pressure":{"type":"number"}}},
  IceServer: {"type":"object","additionalProperties":false,"required":["urls"],"properties":{"urls":{"type":"array","maxItems":8,"items":{"type":"string","maxLength":512}},"username":{"type":"string","maxLength":512},"credential":{"type":"string","maxLength":512}}},
  StreamInfo: {"type":"object","additionalProperties":false,"required":["id","name","width","height","fps"],"properties":{"id":{"type":"integer","minimum":0,"maximum":4294967295},"name":{"type":"string","minLength":1,"maxLength":128},"width":{"type":"integer","minimum":1,"maximum":65535},"height":{"type":"integer","minimum":1,"maximum":65535},"fps":{"type":"number"},"title":{"type":"string","minLength":1,"maxLength":256},"cursor":{"enum":["auto","default","none","context-menu","help","pointer","progress","wait","cell","crosshair","text","vertical-text","alias","copy","move","no-drop","not-allowed","grab","grabbing","e-resize","n-resize","ne-resize","nw-resize","s-resize","se-resize","sw-resize","w-resize","ew-resize","ns-resize","nesw-resize","nwse-resize","col-resize","row-resize","all-scroll","zoom-in","zoom-out"]}}},
  Track: {"type":"object","additionalProperties":false,"required":["sub","mid","codec"],"properties":{"sub":{"type":"integer","minimum":1,"maximum":4294967295},"mid":{"type":"string","maxLength":16},"codec":{"type":"string","minLength":1,"maxLength":16,"pattern":"^[a-z0-9_]+(?!\\n)$"}}},
  FrameMark: {"type":"object","additionalProperties":false,"required":["frame","rtp_timestamp","time"],"properties":{"frame":{"type":"integer","minimum":0,"maximum":4294967295},"rtp_timestamp":{"type":"integer","minimum":0,"maximum":4294967295},"time":{"type":"number"}}},
};
