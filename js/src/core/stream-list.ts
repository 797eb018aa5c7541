// The streams that a server lists.
// Must not know subscriptions.

import type { StreamInfo } from "./wire";

export class StreamList {
  private listed: readonly StreamInfo[] = [];
  /** Streams that ended while still listed. The next list is the truth again. */
  private readonly ended = new Set<string>();

  get all(): readonly StreamInfo[] {
    return this.listed;
  }

  replace(streams: readonly StreamInfo[]): void {
    this.listed = streams;
    this.ended.clear();
  }

  end(name: string): void {
    this.ended.add(name);
  }

  get(name: string): StreamInfo | undefined {
    return this.listed.find((stream) => stream.name === name);
  }

  /** Whether the stream can be subscribed to. */
  has(name: string): boolean {
    return this.get(name) !== undefined && !this.ended.has(name);
  }

  nameOf(id: number): string | undefined {
    return this.listed.find((stream) => stream.id === id)?.name;
  }
}
