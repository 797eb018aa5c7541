// All subscriptions of a socket: which there are, and which of them the views' needs add or end.
// Must not know why a view needs one, nor how anything is sent.

import type { CodecName } from "./codecs";
import { Subscription } from "./subscription";
import type { Mode } from "./wire";

/** What one view needs. */
export interface ViewNeed {
  readonly view: number;
  readonly stream: string;
  readonly mode: Mode;
  readonly codec: CodecName | undefined;
}

/** The same need of one or more views: it is one subscription. */
export interface SharedNeed {
  readonly stream: string;
  readonly mode: Mode;
  readonly codec: CodecName | undefined;
  readonly views: readonly number[];
}

const keyOf = (stream: string, mode: Mode, codec: CodecName | undefined): string => `${mode} ${codec ?? ""} ${stream}`;

export function shareNeeds(needs: readonly ViewNeed[]): readonly SharedNeed[] {
  const shared = new Map<string, SharedNeed>();
  for (const { view, stream, mode, codec } of needs) {
    const key = keyOf(stream, mode, codec);
    shared.set(key, { stream, mode, codec, views: [...(shared.get(key)?.views ?? []), view] });
  }
  return [...shared.values()];
}

export class Subscriptions {
  private readonly active = new Map<number, Subscription>();
  private next = 1;

  get all(): readonly Subscription[] {
    return [...this.active.values()];
  }

  get videos(): readonly Subscription[] {
    return this.all.filter((sub) => sub.mode === "webrtc");
  }

  get(sub: number): Subscription | undefined {
    return this.active.get(sub);
  }

  find({ stream, mode, codec }: SharedNeed): Subscription | undefined {
    const key = keyOf(stream, mode, codec);
    return this.all.find((sub) => keyOf(sub.stream, sub.mode, sub.asked) === key);
  }

  /** The one that carries a stream's units over the WebSocket; there is at most one of each kind. */
  carrier(stream: string | undefined, lossless: boolean): Subscription | undefined {
    return this.all.find((sub) => sub.mode === (lossless ? "lossless" : "webcodecs") && sub.stream === stream);
  }

  /** The one that input of a view goes to: what it shows, or else anything it has. */
  ofView(view: number, mode: string): Subscription | undefined {
    const mine = this.all.filter((sub) => sub.views.has(view));
    return mine.find((sub) => sub.mode === mode) ?? mine[0];
  }

  /** A number is never used twice on a socket: a message that crosses an ending cannot be mistaken for one of a newer subscription. */
  add({ stream, mode, codec }: SharedNeed, now: number): Subscription {
    const sub = new Subscription(this.next++, stream, mode, codec, now);
    this.active.set(sub.sub, sub);
    return sub;
  }

  delete(sub: Subscription): void {
    this.active.delete(sub.sub);
  }

  /** Removes and returns those that no view needs any more. */
  dropAllBut(needs: readonly SharedNeed[]): readonly Subscription[] {
    const keys = new Set(needs.map(({ stream, mode, codec }) => keyOf(stream, mode, codec)));
    const dropped = this.all.filter((sub) => !keys.has(keyOf(sub.stream, sub.mode, sub.asked)));
    for (const sub of dropped) this.delete(sub);
    return dropped;
  }

  /** The socket is gone, and its subscriptions with it. */
  clear(): void {
    this.active.clear();
    this.next = 1;
  }
}
