// Coded units of one stream to video frames, with the browser's VideoDecoder.
// Must not know which views show the frames, nor sockets.

import { type CodecName, codecOf } from "../core/codecs";
import { type ChunkHeader, isLossless } from "../core/wire";

export interface CodedSink {
  /** The frame is closed when this returns. */
  frame(frame: VideoFrame, header: ChunkHeader): void;
  /** Frames were skipped; only a keyframe helps. */
  keyframeWanted(): void;
  failed(detail: string): void;
}

/** With more units than this in its queue, the decoder is behind: it begins again at a keyframe. */
const MAX_QUEUED = 8;
/** Broken units in a row; after more of them, the decoder is given up. */
const MAX_FAILURES = 2;

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
    if (header.keyframe) this.configure(header.codec, data);
    const { decoder } = this;
    if (decoder === undefined || decoder.state !== "configured") return;
    if (decoder.decodeQueueSize > MAX_QUEUED && !header.keyframe) return this.skip();
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

  private configure(name: CodecName, keyframe: Uint8Array): void {
    const spec = codecOf(name);
    const codec = spec?.decoder?.(keyframe) ?? spec?.codec_string ?? name;
    if (this.decoder?.state === "configured" && this.config === codec) return;
    this.close();
    this.decoder = new VideoDecoder({ output: (frame) => this.show(frame), error: (error) => this.failed(error.message) });
    this.decoder.configure({ codec, optimizeForLatency: true });
    this.config = codec;
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

  /** After a broken unit, a new decoder begins at a keyframe. A decoder that fails again and again is given up. */
  private failed(detail: string): void {
    this.close();
    this.failures += 1;
    if (this.failures > MAX_FAILURES) this.sink.failed(detail);
    else this.sink.keyframeWanted();
  }
}
