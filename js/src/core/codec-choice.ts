// Which of a browser's codecs is tried: the server chooses first, and after each failure comes the next one of the list.
// Must not know why a codec failed, nor what carries it.

import type { CodecName } from "./codecs";

export class CodecChoice {
  private at = 0;
  private taken: CodecName | undefined;

  /** `codecs`: what the browser decodes, best first. */
  constructor(private readonly codecs: readonly CodecName[]) {}

  /** The codec to ask the server for; undefined while the choice is the server's. */
  get asked(): CodecName | undefined {
    return this.at === 0 ? undefined : this.codecs[this.at];
  }

  /** The codec that is being tried. The server leaves out those that it does not have. */
  get current(): CodecName | undefined {
    return this.codecs[this.index];
  }

  /** What the server took; undefined until it says so. */
  offered(codec: CodecName | undefined): void {
    this.taken = codec;
  }

  /** Goes on to the codec after the current one, and returns it; undefined where there is none, and then nothing changes. */
  next(): CodecName | undefined {
    const next = this.codecs[this.index + 1];
    if (next !== undefined) this.at = this.index + 1;
    return next;
  }

  /** The choice is the server's again. */
  reset(): void {
    this.at = 0;
  }

  private get index(): number {
    return Math.max(this.at, this.taken === undefined ? 0 : this.codecs.indexOf(this.taken));
  }
}
