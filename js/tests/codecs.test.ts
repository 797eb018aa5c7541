// The codec table: what reads it, and what a new entry changes. Must not know any codec but by its entry.
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { rtpCapabilities, webcodecsCapabilities } from "../src/core/capabilities";
import { avcString, CODECS, type CodecSpec, codecOf, codecOfNumber, labelOf } from "../src/core/codecs";
import { sentence } from "../src/core/reasons";
import { HEADER_BYTES, isLossless, readHeader } from "../src/core/wire";
import { CodedStream } from "../src/worker/coded";
import { Stage } from "./stage";

test.each([
  ["after a four-byte start code", [0, 0, 0, 1, 0x67, 0x42, 0xc0, 0x1f, 0, 0, 0, 1, 0x68], "avc1.42c01f"],
  ["after an access unit delimiter", [0, 0, 0, 1, 9, 16, 0, 0, 1, 0x27, 0x64, 0x00, 0x28], "avc1.640028"],
  ["of whole chroma", [0, 0, 1, 0x67, 0xf4, 0x00, 0x28, 0, 0, 1, 0x68], "avc1.f40028"],
  ["at the very end", [0, 0, 1, 0x67, 0x4d, 0x00, 0x0a], "avc1.4d000a"],
  ["nowhere", [0, 0, 0, 1, 0x65, 1, 2, 3, 4], undefined],
  ["after bytes that are like a start code", [0, 9, 1, 0x67, 1, 2, 3, 9, 0, 1, 0x67, 4, 5, 6, 0, 0, 3, 0x67, 7, 8, 9, 0, 0, 1, 0x67, 0x4d, 0x00, 0x0a], "avc1.4d000a"],
  ["cut short", [0, 0, 1, 0x67, 0x4d, 0x00], undefined],
])("H.264 is named by the profile and level of the parameter set %s", (_, bytes, name) => {
  expect(avcString(Uint8Array.from(bytes))).toBe(name);
});

test("names are unique, and fit the contract", () => {
  expect(new Set(CODECS.map(({ name }) => name)).size).toBe(CODECS.length);
  for (const { name, wire_number, mime } of CODECS) {
    expect(name).toMatch(/^[a-z0-9_]{1,16}$/);
    expect(wire_number).toBeGreaterThanOrEqual(16);
    expect(mime).toBe(mime.toLowerCase());
  }
});

test("a number that codecs share means the last of them", () => {
  expect(codecOf("h264_444")?.wire_number).toBe(16);
  expect(codecOfNumber(16)?.name).toBe("h264");
  expect(codecOfNumber(17)?.name).toBe("vp8");
  expect(codecOfNumber(99)).toBeUndefined();
});

test("a codec that this end does not know is called by its name", () => {
  expect(labelOf("h264_444")).toBe("H.264 4:4:4");
  expect(labelOf("h999")).toBe("h999");
  expect(codecOf("h999")).toBeUndefined();
});

const FAKE: CodecSpec = { name: "fake", wire_number: 99, label: "Fake", mime: "video/fake", codec_string: "fake.1" };

describe("a codec is added by one entry", () => {
  const configured: string[] = [];
  beforeEach(() => {
    CODECS.push(FAKE);
    vi.stubGlobal("EncodedVideoChunk", class {});
    vi.stubGlobal(
      "VideoDecoder",
      class {
        state = "unconfigured";
        decodeQueueSize = 0;
        configure({ codec }: { readonly codec: string }): void {
          this.state = "configured";
          configured.push(codec);
        }
        decode(): void {}
        close(): void {}
      },
    );
  });
  afterEach(() => {
    CODECS.splice(CODECS.indexOf(FAKE), 1);
    vi.unstubAllGlobals();
  });

  test("it is among the browser's capabilities", async () => {
    expect(rtpCapabilities([{ mimeType: "video/FAKE" }]).codecs).toEqual(["fake"]);
    expect(await webcodecsCapabilities((codec) => Promise.resolve(codec === "fake.1"))).toEqual(["fake"]);
  });
  test("its units are read and decoded", () => {
    const message = new Uint8Array(HEADER_BYTES + 1);
    message.set([1, 99, 0, 1]);
    message.set([1, 0, 1, 0], 12);
    message[24] = 1;
    const header = readHeader(message);
    expect(header.codec).toBe("fake");
    expect(isLossless(header.codec)).toBe(false);
    new CodedStream({ frame: () => undefined, keyframeWanted: () => undefined, failed: () => undefined }).decode(header, message.subarray(HEADER_BYTES));
    expect(configured).toEqual(["fake.1"]);
  });
  test("it is asked for after another codec failed, and has its label", () => {
    const stage = new Stage(["vp8", "fake"]).open(1).ready();
    stage.receive({ type: "ended", sub: 2, reason: "no_codec" });
    expect(stage.sent("subscribe").at(-1)).toMatchObject({ mode: "webrtc", codec: "fake" });
    const reason = stage.status()?.reason;
    expect(reason && sentence(reason)).toContain("Trying Fake");
  });
});

test("a codec that the viewer does not know is shown by its name, and plays", () => {
  const stage = new Stage().open(1).ready().lossless().offer({ sub: 2, codec: "h999" }).connected().video(1);
  expect(stage.status()).toMatchObject({ showing: "webrtc", codec: "h999" });
});
