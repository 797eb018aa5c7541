// The one table of video codecs at this end: everything that differs by codec reads it. A new codec is a new entry.
// Must not know peer connections, decoders or the DOM.

export type CodecName = string;

export interface CodecSpec {
  /** Its name on the wire, in `hello`, `subscribe`, `offer` and `stats`. */
  readonly name: CodecName;
  /** Its number in the binary header. Codecs whose keyframes tell a decoder which of them they are may share one. */
  readonly wire_number: number;
  /** What people read. */
  readonly label: string;
  /** Its RTP payload format, in lower case (RFC 6838). */
  readonly mime: string;
  /** What the format parameters of the payload format must match; absent where any will do. */
  readonly fmtp?: RegExp;
  /** A WebCodecs string for the question whether the browser decodes it. */
  readonly codec_string: string;
  /** The WebCodecs string for a stream that begins with this keyframe; without it, `codec_string` is taken. */
  readonly decoder?: (keyframe: Uint8Array) => string | undefined;
}

/** In order of preference: whole chroma where a server has it; H.264 is decoded in hardware nearly everywhere. */
export const CODECS: CodecSpec[] = [
  {
    name: "h264_444",
    wire_number: 16,
    label: "H.264 4:4:4",
    mime: "video/h264",
    // High 4:4:4 Predictive (RFC 6184 §8.1). Browsers that have the profiles of halved chroma have all of them.
    fmtp: /profile-level-id=f4/i,
    codec_string: "avc1.f4001f",
    decoder: avcString,
  },
  { name: "h264", wire_number: 16, label: "H.264", mime: "video/h264", codec_string: "avc1.42e01f", decoder: avcString },
  { name: "vp8", wire_number: 17, label: "VP8", mime: "video/vp8", codec_string: "vp8" },
];

export function codecOf(name: CodecName): CodecSpec | undefined {
  return CODECS.find((spec) => spec.name === name);
}

/** The codec of a number in a binary header. Of several, the last in order of preference is meant: it asks least of a decoder. */
export function codecOfNumber(wire_number: number): CodecSpec | undefined {
  return CODECS.findLast((spec) => spec.wire_number === wire_number);
}

/** What people read; the name itself for a codec that this end does not know. */
export function labelOf(name: CodecName): string {
  return codecOf(name)?.label ?? name;
}

/** The type in the first byte of a NAL unit, and that of a sequence parameter set (H.264 §7.3.1, table 7-1). */
const NAL_TYPE = 0x1f;
const NAL_SPS = 7;

/** `avc1.PPCCLL` from the sequence parameter set of an Annex B keyframe (RFC 6381 §3.3, H.264 §7.3.2.1). */
export function avcString(keyframe: Uint8Array): string | undefined {
  for (let i = 0; i + 6 < keyframe.length; i++) {
    const starts = keyframe[i] === 0 && keyframe[i + 1] === 0 && keyframe[i + 2] === 1;
    if (starts && ((keyframe[i + 3] as number) & NAL_TYPE) === NAL_SPS) return `avc1.${hex(keyframe.subarray(i + 4, i + 7))}`;
  }
  return undefined;
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
