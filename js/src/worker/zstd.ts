// zstd frames to bytes: by WebAssembly where there is some, else by plain JavaScript.
// Must not know what the bytes are.

import { decompress } from "fzstd";
import type { Native, ZstdExports } from "./native";

/** One stream's decoder. It reuses its memory: its next call overwrites the bytes that it returned. */
export class Zstd {
  private out = new Uint8Array(0);
  private input: Block | undefined;
  private output: Block | undefined;

  /** The content of one frame, which must declare a size of at most `room` bytes. Throws if `data` is not such a frame. */
  decode(data: Uint8Array, room: number, native: Native | undefined): Uint8Array {
    const size = contentSize(data);
    if (size === undefined || size > room) throw new Error(`zstd: ${size ?? "an unknown number of"} bytes, not ${room}`);
    return native === undefined ? this.plain(data, size) : this.fast(native.zstd, data, size);
  }

  close(): void {
    this.input?.give();
    this.output?.give();
  }

  private fast(wasm: ZstdExports, data: Uint8Array, size: number): Uint8Array {
    this.input ??= new Block(wasm);
    this.output ??= new Block(wasm);
    const from = this.input.take(data.byteLength);
    const to = this.output.take(size);
    new Uint8Array(wasm.memory.buffer, from, data.byteLength).set(data);
    // On an error, the result is an error number, which is no possible size.
    const got = wasm.ZSTD_decompress(to, size, from, data.byteLength);
    if (got !== size) throw new Error(`zstd: ${got} for ${size} bytes`);
    return new Uint8Array(wasm.memory.buffer, to, size);
  }

  private plain(data: Uint8Array, size: number): Uint8Array {
    if (this.out.byteLength !== size) this.out = outputBuffer(size);
    return decompress(data, this.out);
  }
}

const MAGIC = 0xfd2fb528;
/** The sizes of two fields of a frame's header, by their flags. */
const DICTIONARY_BYTES = [0, 1, 2, 4] as const;
const SIZE_BYTES = [0, 2, 4, 8] as const;

/** The content size that a zstd frame declares (RFC 8878 §3.1.1.1); undefined if it declares none, or is not a zstd frame. */
export function contentSize(data: Uint8Array): number | undefined {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  if (data.byteLength < 6 || view.getUint32(0, true) !== MAGIC) return undefined;
  const descriptor = view.getUint8(4);
  const single = (descriptor & 0x20) !== 0;
  const bytes = SIZE_BYTES[(descriptor >> 6) as 0 | 1 | 2 | 3] || (single ? 1 : 0);
  const at = (single ? 5 : 6) + DICTIONARY_BYTES[(descriptor & 3) as 0 | 1 | 2 | 3];
  if (bytes === 0 || data.byteLength < at + bytes) return undefined;
  if (bytes === 1) return view.getUint8(at);
  if (bytes === 2) return view.getUint16(at, true) + 256;
  return view.getUint32(at, true) + (bytes === 8 ? view.getUint32(at + 4, true) * 2 ** 32 : 0);
}

/** A block of the decoder's memory that grows as needed. */
class Block {
  private at = 0;
  private room = 0;

  constructor(private readonly wasm: ZstdExports) {}

  take(bytes: number): number {
    if (bytes <= this.room) return this.at;
    this.give();
    this.at = this.wasm.malloc(bytes);
    if (this.at === 0) throw new Error(`zstd: no memory for ${bytes} bytes`);
    this.room = bytes;
    return this.at;
  }

  give(): void {
    if (this.at !== 0) this.wasm.free(this.at);
    this.at = 0;
    this.room = 0;
  }
}

/**
 * fzstd compares its output buffer with 1 (`==`), which turns every byte of the buffer into text: 200 ms for a 1080p frame.
 * With a primitive value of its own, the buffer is not turned into text: 12 ms, as measured.
 */
function outputBuffer(bytes: number): Uint8Array<ArrayBuffer> {
  return Object.defineProperty(new Uint8Array(bytes), Symbol.toPrimitive, { value: () => Number.NaN });
}
