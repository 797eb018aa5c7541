// What a browser can do, worked out from what it says about itself.
// Must not know RTCPeerConnection or VideoDecoder: their answers come in as plain fields.

import { CODECS, type CodecName, type CodecSpec } from "./codecs";

/** Codecs are named best first. */
export interface Capabilities {
  /** Decoded over WebRTC; empty where there is no RTCPeerConnection. */
  readonly codecs: readonly CodecName[];
  /** Decoded by a VideoDecoder; empty where there is none. */
  readonly webcodecs: readonly CodecName[];
  /** Forward error correction that its WebRTC understands. */
  readonly repair?: readonly "flexfec-03"[];
}

/** The fields of an RTCRtpCodec that are read here. */
export interface RtpCodec {
  readonly mimeType: string;
  readonly sdpFmtpLine?: string;
}

/** What can be received, from the codecs that the browser lists for an RTCRtpReceiver. */
export function rtpCapabilities(listed: readonly RtpCodec[]): Pick<Capabilities, "codecs" | "repair"> {
  return {
    codecs: CODECS.filter((spec) => listed.some((one) => matches(spec, one))).map(({ name }) => name),
    repair: listed.some(({ mimeType }) => mimeType.toLowerCase() === "video/flexfec-03") ? ["flexfec-03"] : [],
  };
}

/** What a VideoDecoder can decode. `supports` answers for one WebCodecs string. */
export async function webcodecsCapabilities(supports: (codec: string) => Promise<boolean>): Promise<readonly CodecName[]> {
  const supported = await Promise.all(CODECS.map(({ codec_string }) => supports(codec_string)));
  return CODECS.filter((_, i) => supported[i]).map(({ name }) => name);
}

function matches({ mime, fmtp }: CodecSpec, { mimeType, sdpFmtpLine = "" }: RtpCodec): boolean {
  return mimeType.toLowerCase() === mime && (fmtp === undefined || fmtp.test(sdpFmtpLine));
}
