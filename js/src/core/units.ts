// Chunks to whole units, with few copies: a unit of one chunk is not copied, larger ones go into a reused buffer.
// Must not know what is in a unit, nor who reads it.

import { type ChunkHeader, HEADER_BYTES, isLossless, MAX_UNIT_BYTES, readHeader, WireError } from "./wire";

/** One whole unit. `release` gives its memory back: `data` must not be read after that. */
export interface Unit {
  readonly header: ChunkHeader;
  readonly data: Uint8Array;
  release(): void;
}

interface Partial {
  readonly header: ChunkHeader;
  readonly buffer: Uint8Array;
  filled: number;
}

/** Released buffers that are kept. */
const MAX_SPARE = 3;
const nothing = (): void => {};

export class Assembler {
  /** By stream and kind: lossless and coded units of one stream may interleave, two of one kind may not. */
  private readonly open = new Map<string, Partial>();
  private spare: Uint8Array[] = [];

  /** Takes one binary message; returns the unit that it completes, if it does. Throws `WireError`. */
  add(message: Uint8Array): Unit | undefined {
    const header = readHeader(message);
    const chunk = message.subarray(HEADER_BYTES);
    const key = `${header.stream} ${isLossless(header.codec)}`;
    const partial = this.open.get(key);
    if (header.offset !== 0) return this.append(key, partial, header, chunk);
    if (partial !== undefined) throw new WireError(`frame ${header.frame} begins before frame ${partial.header.frame} is whole`);
    if (chunk.byteLength === header.size) return { header, data: chunk, release: nothing };
    if (this.openBytes() + header.size > MAX_UNIT_BYTES) throw new WireError(`frame ${header.frame} begins while too much is not whole`);
    const begun = { header, buffer: this.take(header.size), filled: chunk.byteLength };
    begun.buffer.set(chunk);
    this.open.set(key, begun);
    return undefined;
  }

  /** Drops unfinished units: their socket is gone. */
  clear(): void {
    for (const partial of this.open.values()) this.give(partial.buffer);
    this.open.clear();
  }

  private openBytes(): number {
    let bytes = 0;
    for (const { buffer } of this.open.values()) bytes += buffer.byteLength;
    return bytes;
  }

  private append(key: string, partial: Partial | undefined, header: ChunkHeader, chunk: Uint8Array): Unit | undefined {
    if (partial === undefined) throw new WireError(`frame ${header.frame} begins at ${header.offset}`);
    if (!continues(partial, header)) throw new WireError(`chunk of frame ${header.frame} at ${header.offset} does not continue`);
    partial.buffer.set(chunk, partial.filled);
    partial.filled += chunk.byteLength;
    if (partial.filled < header.size) return undefined;
    this.open.delete(key);
    const { buffer } = partial;
    return { header: partial.header, data: buffer.subarray(0, header.size), release: () => this.give(buffer) };
  }

  private take(size: number): Uint8Array {
    const at = this.spare.findIndex((one) => one.byteLength >= size && one.byteLength <= 4 * size);
    if (at < 0) return new Uint8Array(size);
    const [found] = this.spare.splice(at, 1);
    return found ?? new Uint8Array(size);
  }

  private give(buffer: Uint8Array): void {
    this.spare = [buffer, ...this.spare].slice(0, MAX_SPARE);
  }
}

function continues(partial: Partial, header: ChunkHeader): boolean {
  const first = partial.header;
  return (
    header.frame === first.frame &&
    header.codec === first.codec &&
    header.keyframe === first.keyframe &&
    header.size === first.size &&
    header.checksum === first.checksum &&
    header.offset === partial.filled
  );
}
