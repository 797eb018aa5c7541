// zstd frames to bytes: by WebAssembly where there is some, else by plain JavaScript.
// Must not know what the bytes are.

import { decompress } from "fzstd";
import type { Native, ZstdExports } from "./native";

/** One stream's decoder. It keeps its memory: the bytes it gives are overwritten by its next call. */
export class Zstd {
  private out = new Uint8Array(0);
  private input: Lent | undefined;
  private output: Lent | undefined;

  /** The bytes of one frame, which must say that they are at most `room`. Throws where `data` is no such frame. */
  decode(data: Uint8Array, room: number, native: Native | undefined): Uint8Array {
    const size = contentSize(data);
    if (size === undefined || size > room) throw new Error(`zstd: ${size ?? "nobody knows how many"} bytes, not ${room}`);
    return native === undefined ? this.plain(data, size) : this.fast(native.zstd, data, size);
  }

  close(): void {
    this.input?.give();
    this.output?.give();
  }

  private fast(wasm: ZstdExports, data: Uint8Array, size: number): Uint8Array {
    this.input ??= new Lent(wasm);
    this.output ??= new Lent(wasm);
    const from = this.input.take(data.byteLength);
    const to = this.output.take(size);
    new Uint8Array(wasm.memory.buffer, from, data.byteLength).set(data);
    // What is no size is an error's number.
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
/** Bytes of the fields of a frame's header, by their flags. */
const DICTIONARY_BYTES = [0, 1, 2, 4] as const;
const SIZE_BYTES = [0, 2, 4, 8] as const;

/** What a zstd frame says of its content (RFC 8878 section 3.1.1.1); undefined where it says nothing, or is none. */
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

/** A piece of the decoder's memory that grows when it must. */
class Lent {
  private at = 0;
  private room = 0;

  constructor(private readonly wasm: ZstdExports) {}

  take(bytes: number): number {
    if (bytes <= this.room) return this.at;
    this.give();
    this.at = this.wasm.malloc(bytes);
    if (this.at === 0) throw new Error(`no memory for ${bytes} bytes`);
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
 * fzstd compares its output buffer with 1 (`==`), which turns every byte of it into text: 200 ms for a 1080p frame.
 * A buffer that says at once what it is as a primitive spares that; measured, 12 ms.
 */
function outputBuffer(bytes: number): Uint8Array<ArrayBuffer> {
  return Object.defineProperty(new Uint8Array(bytes), Symbol.toPrimitive, { value: () => Number.NaN });
}
