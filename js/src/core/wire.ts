// Text to message, message to text, bytes to chunk header: the contract in signaling/README.md.
// Must not know what a message leads to, nor where the bytes come from.

import { type CodecName, codecOfNumber } from "./codecs";
import { fault } from "./validate";
import { SHAPES, type ServerMessage, type StreamInfo, type Subscribe, type ViewerMessage } from "./wire.gen";

export type { CodecName } from "./codecs";
export type * from "./wire.gen";
/** How one subscription carries its frames. */
export type Mode = Subscribe["mode"];
/** What a viewer may ask for: one of the modes, or the choice between them. */
export type ViewMode = Mode | "auto";
export type { StreamInfo };

export const VERSION = 1;
export const HEADER_BYTES = 36;
/** The unit of a delta begins with the number of the frame that it builds on. */
export const BASE_BYTES = 4;
/** No unit is larger: a 16K RGBA frame. A broken header must not make the page allocate all its memory. */
export const MAX_UNIT_BYTES = 512 * 1024 * 1024;

/** The server broke the contract; the socket is closed with `code`. */
export class WireError extends Error {
  readonly code = 4400;
  constructor(message: string) {
    super(message);
    this.name = "WireError";
  }
}

export function encode(message: ViewerMessage): string {
  return JSON.stringify(message);
}

/** One text message of the server. Throws `WireError` for anything that is not one. */
export function decode(text: string): ServerMessage {
  const value = parseJson(text);
  const found = fault(SHAPES, "ServerMessage", value);
  if (found !== undefined) throw new WireError(found);
  return value as ServerMessage; // the one cast: `fault` has just checked every field
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new WireError("not JSON");
  }
}

export type LosslessCoding = "raw" | "zstd";
export type UnitCodec = LosslessCoding | CodecName;
export type PixelFormat = "none" | "gray" | "rgb" | "rgba";

const LOSSLESS_CODINGS: Readonly<Record<number, LosslessCoding>> = { 0: "raw", 1: "zstd" };
const FORMATS: Readonly<Record<number, PixelFormat>> = { 0: "none", 1: "gray", 3: "rgb", 4: "rgba" };
/** Bytes of a pixel. */
export const CHANNELS: Readonly<Record<PixelFormat, number>> = { none: 0, gray: 1, rgb: 3, rgba: 4 };
const KEYFRAME = 1;

/** The 36 bytes before every chunk of a binary message. */
export interface ChunkHeader {
  readonly codec: UnitCodec;
  readonly pixel_format: PixelFormat;
  readonly keyframe: boolean;
  readonly stream: number;
  readonly frame: number;
  readonly width: number;
  readonly height: number;
  /** When the frame was published: microseconds since the Unix epoch, the server's clock. */
  readonly time_us: number;
  /** Bytes of the whole unit. */
  readonly size: number;
  /** Where this chunk begins in the unit. */
  readonly offset: number;
  readonly checksum: number;
}

export function isLossless(codec: UnitCodec): boolean {
  return codec === "raw" || codec === "zstd";
}

/** Whether a lossless unit holds only the tiles that differ from the frame that it builds on. */
export function isDelta(header: ChunkHeader): boolean {
  return isLossless(header.codec) && !header.keyframe;
}

/** Bytes of the raw pixels that `header` announces. */
export function pixelBytes(header: ChunkHeader): number {
  return header.width * header.height * CHANNELS[header.pixel_format];
}

/** Reads and checks the header of one binary message. Throws `WireError`. */
export function readHeader(bytes: Uint8Array): ChunkHeader {
  if (bytes.byteLength < HEADER_BYTES) throw new WireError(`binary message of ${bytes.byteLength} bytes`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, HEADER_BYTES);
  if (view.getUint8(0) !== VERSION) throw new WireError(`header version ${view.getUint8(0)}`);
  const header: ChunkHeader = {
    codec: known(codecOf(view.getUint8(1)), view.getUint8(1), "codec"),
    pixel_format: known(FORMATS[view.getUint8(2)], view.getUint8(2), "pixel format"),
    keyframe: readFlags(view.getUint8(3)),
    stream: view.getUint32(4, true),
    frame: view.getUint32(8, true),
    width: view.getUint16(12, true),
    height: view.getUint16(14, true),
    time_us: view.getUint32(16, true) + view.getUint32(20, true) * 2 ** 32,
    size: view.getUint32(24, true),
    offset: view.getUint32(28, true),
    checksum: view.getUint32(32, true),
  };
  checkHeader(header, bytes.byteLength - HEADER_BYTES);
  return header;
}

function codecOf(wire_number: number): UnitCodec | undefined {
  return LOSSLESS_CODINGS[wire_number] ?? codecOfNumber(wire_number)?.name;
}

function known<T>(found: T | undefined, value: number, what: string): T {
  if (found === undefined) throw new WireError(`unknown ${what} ${value}`);
  return found;
}

function readFlags(flags: number): boolean {
  if ((flags & ~KEYFRAME) !== 0) throw new WireError(`unknown flags ${flags}`);
  return (flags & KEYFRAME) !== 0;
}

function checkHeader(header: ChunkHeader, chunk: number): void {
  if (header.width === 0 || header.height === 0) throw new WireError(`frame of ${header.width}x${header.height}`);
  if (header.size === 0 || header.size > MAX_UNIT_BYTES) throw new WireError(`unit of ${header.size} bytes`);
  if (chunk === 0) throw new WireError("empty chunk");
  if (header.offset + chunk > header.size) throw new WireError(`chunk ends at ${header.offset + chunk} of ${header.size}`);
  if (isLossless(header.codec)) checkPixels(header);
  else if (header.pixel_format !== "none") throw new WireError(`${header.codec} with pixel format ${header.pixel_format}`);
}

function checkPixels(header: ChunkHeader): void {
  if (header.pixel_format === "none") throw new WireError("pixels without a format");
  const bytes = pixelBytes(header);
  if (bytes > MAX_UNIT_BYTES) throw new WireError(`frame of ${bytes} bytes`);
  if (!header.keyframe && header.size <= BASE_BYTES) throw new WireError(`delta of ${header.size} bytes`);
  if (header.codec === "raw" && header.keyframe && header.size !== bytes) throw new WireError(`raw unit of ${header.size} bytes, not ${bytes}`);
}
