// Asks this browser what it can receive and decode.
// Must not know which codecs there are, nor what is made of the answer.

import { type Capabilities, rtpCapabilities, webcodecsCapabilities } from "../core/capabilities";
import type { CodecName } from "../core/codecs";

export async function capabilities(): Promise<Capabilities> {
  return { ...rtpCapabilities(listed()), webcodecs: await decodable() };
}

function listed(): readonly RTCRtpCodec[] {
  if (typeof RTCPeerConnection === "undefined") return [];
  return RTCRtpReceiver.getCapabilities("video")?.codecs ?? [];
}

async function decodable(): Promise<readonly CodecName[]> {
  return typeof VideoDecoder === "undefined" ? [] : webcodecsCapabilities(supports);
}

async function supports(codec: string): Promise<boolean> {
  try {
    return (await VideoDecoder.isConfigSupported({ codec })).supported === true;
  } catch {
    return false;
  }
}
