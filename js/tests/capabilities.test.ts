// What a browser can do, from what it lists. Must not know any browser.
import { describe, expect, test } from "vitest";
import { rtpCapabilities, webcodecsCapabilities } from "../src/core/capabilities";

describe("over WebRTC", () => {
  const h264 = (profile: string) => ({ mimeType: "video/H264", sdpFmtpLine: `level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=${profile}` });

  test("codecs are named in order of preference, whatever the browser's order", () => {
    expect(rtpCapabilities([{ mimeType: "video/VP8" }, h264("42e01f"), h264("F40034")]).codecs).toEqual(["h264_444", "h264", "vp8"]);
  });
  test("H.264 with whole chroma needs its profile", () => {
    expect(rtpCapabilities([h264("42e01f")]).codecs).toEqual(["h264"]);
    expect(rtpCapabilities([{ mimeType: "video/H264" }]).codecs).toEqual(["h264"]);
  });
  test("other payload formats are no codecs", () => {
    expect(rtpCapabilities([{ mimeType: "video/rtx" }, { mimeType: "video/ulpfec" }])).toEqual({ codecs: [], repair: [] });
  });
  test("FlexFEC is listed like a codec", () => {
    expect(rtpCapabilities([{ mimeType: "video/flexfec-03" }])).toEqual({ codecs: [], repair: ["flexfec-03"] });
  });
  test("a browser without RTCPeerConnection lists nothing", () => {
    expect(rtpCapabilities([])).toEqual({ codecs: [], repair: [] });
  });
});

test("over WebCodecs, each codec is asked for, and those supported are kept in order", async () => {
  const asked: string[] = [];
  const supports = (codec: string): Promise<boolean> => Promise.resolve(asked.push(codec) > 0 && codec !== "avc1.f4001f");
  expect(await webcodecsCapabilities(supports)).toEqual(["h264", "vp8"]);
  expect(asked).toEqual(["avc1.f4001f", "avc1.42e01f", "vp8"]);
});
