// Coded units of one stream to video frames, with the browser's VideoDecoder.
// Must not know who looks at the frames, nor sockets.

import { type ChunkHeader, type Codec, isLossless } from "../core/wire";

export interface CodedSink {
  /** The frame is closed when this returns. */
  frame(frame: VideoFrame, header: ChunkHeader): void;
  /** Frames were skipped; only a keyframe helps. */
  keyframeWanted(): void;
  failed(detail: string): void;
}

/** More waiting than this, and the decoder is behind: begin again at a keyframe. */
const QUEUE_MAX = 8;

export class CodedStream {
  private decoder: VideoDecoder | undefined;
  private config = "";
  private waiting_for_key = true;
  private failures = 0;
  private readonly headers = new Map<number, ChunkHeader>();

  constructor(private readonly sink: CodedSink) {}

  /** Takes units in order; `data` may be reused after the call. */
  decode(header: ChunkHeader, data: Uint8Array): void {
    if (isLossless(header.codec)) return;
    if (this.waiting_for_key && !header.keyframe) return this.sink.keyframeWanted();
    if (header.keyframe) this.configure(header.codec as Codec, data);
    const { decoder } = this;
    if (decoder === undefined || decoder.state !== "configured") return;
    if (decoder.decodeQueueSize > QUEUE_MAX && !header.keyframe) return this.skip();
    this.waiting_for_key = false;
    this.headers.set(header.time_us, header);
    decoder.decode(new EncodedVideoChunk({ type: header.keyframe ? "key" : "delta", timestamp: header.time_us, data }));
  }

  close(): void {
    if (this.decoder !== undefined && this.decoder.state !== "closed") this.decoder.close();
    this.decoder = undefined;
    this.config = "";
    this.waiting_for_key = true;
    this.headers.clear();
  }

  private configure(codec: Codec, keyframe: Uint8Array): void {
    const name = codec === "vp8" ? "vp8" : h264Name(keyframe);
    if (this.decoder?.state === "configured" && this.config === name) return;
    this.close();
    this.decoder = new VideoDecoder({ output: (frame) => this.show(frame), error: (error) => this.broken(error.message) });
    this.decoder.configure({ codec: name, optimizeForLatency: true });
    this.config = name;
  }

  private show(frame: VideoFrame): void {
    const header = this.headers.get(frame.timestamp);
    for (const time of this.headers.keys()) if (time <= frame.timestamp) this.headers.delete(time);
    this.failures = 0;
    if (header !== undefined) this.sink.frame(frame, header);
    frame.close();
  }

  /** A unit is missing: what follows cannot be decoded before the next keyframe. */
  skip(): void {
    this.waiting_for_key = true;
    this.sink.keyframeWanted();
  }

  /** One broken unit is forgiven; a decoder that fails again and again is not. */
  private broken(detail: string): void {
    this.close();
    this.failures += 1;
    if (this.failures > 2) this.sink.failed(detail);
    else this.sink.keyframeWanted();
  }
}

/** `avc1.PPCCLL` from the sequence parameter set of an Annex B keyframe (RFC 6381 §3.3, H.264 §7.3.2.1). */
export function h264Name(unit: Uint8Array): string {
  for (let i = 0; i + 6 < unit.length; i++) {
    const start = unit[i] === 0 && unit[i + 1] === 0 && unit[i + 2] === 1;
    if (start && ((unit[i + 3] ?? 0) & 0x1f) === 7) return `avc1.${hex(unit[i + 4])}${hex(unit[i + 5])}${hex(unit[i + 6])}`;
  }
  return "avc1.42e01f";
}

function hex(byte: number | undefined): string {
  return (byte ?? 0).toString(16).padStart(2, "0");
}
