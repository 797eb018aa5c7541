// All subscriptions of a socket: which there are, and which of them the views' wishes add or end.
// Must not know why a view wishes what it wishes, nor how anything is sent.

import { Subscription } from "./subscription";
import type { Codec, Mode } from "./wire";

/** One subscription that at least one view wants. */
export interface Wanted {
  readonly stream: string;
  readonly mode: Mode;
  readonly codec: Codec | undefined;
  readonly views: readonly number[];
}

interface Wish {
  readonly view: number;
  readonly stream: string;
  readonly mode: Mode;
  readonly codec: Codec | undefined;
}

const keyOf = (stream: string, mode: Mode, codec: Codec | undefined): string => `${mode} ${codec ?? ""} ${stream}`;

/** Wishes for the same thing are one subscription. */
export function gather(wishes: readonly Wish[]): readonly Wanted[] {
  const wanted = new Map<string, Wanted>();
  for (const { view, stream, mode, codec } of wishes) {
    const key = keyOf(stream, mode, codec);
    wanted.set(key, { stream, mode, codec, views: [...(wanted.get(key)?.views ?? []), view] });
  }
  return [...wanted.values()];
}

export class Subscriptions {
  private readonly live = new Map<number, Subscription>();
  private next = 1;

  get all(): readonly Subscription[] {
    return [...this.live.values()];
  }

  get videos(): readonly Subscription[] {
    return this.all.filter((sub) => sub.mode === "webrtc");
  }

  get(sub: number): Subscription | undefined {
    return this.live.get(sub);
  }

  find({ stream, mode, codec }: Wanted): Subscription | undefined {
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

  /** Numbers are never used twice on a socket: what crosses an ending cannot be mistaken. */
  add({ stream, mode, codec }: Wanted, now: number): Subscription {
    const sub = new Subscription(this.next++, stream, mode, codec, now);
    this.live.set(sub.sub, sub);
    return sub;
  }

  delete(sub: Subscription): void {
    this.live.delete(sub.sub);
  }

  /** Removes and returns those that nobody wants any more. */
  dropAllBut(wanted: readonly Wanted[]): readonly Subscription[] {
    const keys = new Set(wanted.map(({ stream, mode, codec }) => keyOf(stream, mode, codec)));
    const dropped = this.all.filter((sub) => !keys.has(keyOf(sub.stream, sub.mode, sub.asked)));
    for (const sub of dropped) this.delete(sub);
    return dropped;
  }

  /** The socket is gone, and they with it. */
  clear(): void {
    this.live.clear();
    this.next = 1;
  }
}
