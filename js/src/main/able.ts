// What this browser can decode.
// Must not know what is made of it.

import type { Capabilities } from "../core/plan";
import type { Codec } from "../core/wire";

/** Best first: whole chroma where a server has it; H.264 is decoded in hardware nearly everywhere. */
const CODECS: readonly Codec[] = ["h264_444", "h264", "vp8"];
const PROBES: Readonly<Record<Codec, string>> = { h264_444: "avc1.f4001f", h264: "avc1.42e01f", vp8: "vp8" };
const MIMES: Readonly<Record<Codec, string>> = { h264_444: "video/h264", h264: "video/h264", vp8: "video/vp8" };
/** High 4:4:4 Predictive; the profiles of halved chroma all come together. */
const WHOLE_CHROMA = /profile-level-id=f4/i;

export async function capabilities(): Promise<Capabilities> {
  const known = received();
  return {
    codecs: CODECS.filter((codec) => known.some((one) => isOf(codec, one))),
    webcodecs: await webcodecsCodecs(),
    repair: known.some(({ mimeType }) => mimeType.toLowerCase() === "video/flexfec-03") ? ["flexfec-03"] : [],
  };
}

function received(): readonly RTCRtpCodec[] {
  if (typeof RTCPeerConnection === "undefined") return [];
  return RTCRtpReceiver.getCapabilities("video")?.codecs ?? [];
}

function isOf(codec: Codec, { mimeType, sdpFmtpLine = "" }: RTCRtpCodec): boolean {
  return mimeType.toLowerCase() === MIMES[codec] && (codec !== "h264_444" || WHOLE_CHROMA.test(sdpFmtpLine));
}

async function webcodecsCodecs(): Promise<readonly Codec[]> {
  if (typeof VideoDecoder === "undefined") return [];
  const supported = await Promise.all(CODECS.map((codec) => supports(codec)));
  return CODECS.filter((_, i) => supported[i]);
}

async function supports(codec: Codec): Promise<boolean> {
  try {
    return (await VideoDecoder.isConfigSupported({ codec: PROBES[codec] ?? codec })).supported === true;
  } catch {
    return false;
  }
}
