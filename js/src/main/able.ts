// What this browser can decode.
// Must not know what is made of it.

import type { Capabilities } from "../core/plan";
import type { Codec } from "../core/wire";

/** Best first: H.264 is decoded in hardware nearly everywhere. */
const CODECS: readonly Codec[] = ["h264", "vp8"];
const PROBES: Readonly<Record<Codec, string>> = { h264: "avc1.42e01f", vp8: "vp8" };

export async function capabilities(): Promise<Capabilities> {
  const known = received();
  return {
    codecs: CODECS.filter((codec) => known.includes(`video/${codec}`)),
    webcodecs: await webcodecsCodecs(),
    repair: known.includes("video/flexfec-03") ? ["flexfec-03"] : [],
  };
}

function received(): readonly string[] {
  if (typeof RTCPeerConnection === "undefined") return [];
  return RTCRtpReceiver.getCapabilities("video")?.codecs.map((codec) => codec.mimeType.toLowerCase()) ?? [];
}

async function webcodecsCodecs(): Promise<readonly Codec[]> {
  if (typeof VideoDecoder === "undefined") return [];
  const supported = await Promise.all(CODECS.map((codec) => supports(codec)));
  return CODECS.filter((_, i) => supported[i]);
}

async function supports(codec: Codec): Promise<boolean> {
  try {
    return (await VideoDecoder.isConfigSupported({ codec: PROBES[codec] })).supported === true;
  } catch {
    return false;
  }
}
