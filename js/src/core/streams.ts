// The streams that a server lists.
// Must not know subscriptions.

import type { StreamInfo } from "./wire";

export class Streams {
  private listed: readonly StreamInfo[] = [];
  /** Ended while still listed: the next list decides. */
  private readonly gone = new Set<string>();

  get all(): readonly StreamInfo[] {
    return this.listed;
  }

  list(streams: readonly StreamInfo[]): void {
    this.listed = streams;
    this.gone.clear();
  }

  end(name: string): void {
    this.gone.add(name);
  }

  get(name: string): StreamInfo | undefined {
    return this.listed.find((stream) => stream.name === name);
  }

  /** Whether it can be subscribed to. */
  has(name: string): boolean {
    return this.get(name) !== undefined && !this.gone.has(name);
  }

  nameOf(id: number): string | undefined {
    return this.listed.find((stream) => stream.id === id)?.name;
  }
}
