// What the parts of a session share: its tables, and the effects of the input that is being handled.
// Must not know what any input leads to.

import type { Capabilities } from "./capabilities";
import { CodecChoice } from "./codec-choice";
import { PeerState } from "./peer-state";
import type { Effect } from "./ports";
import { RetrySchedule } from "./retry-schedule";
import { ServerClock } from "./server-clock";
import type { SessionView } from "./session-view";
import { SocketState } from "./socket-state";
import { StreamList } from "./stream-list";
import type { Subscription } from "./subscription";
import { Subscriptions } from "./subscriptions";
import type { ViewerMessage, Welcome } from "./wire";

export interface SessionOptions {
  readonly token: string;
  readonly agent: string;
  readonly capabilities: Capabilities;
}

export class SessionContext {
  readonly socket = new SocketState();
  readonly clock = new ServerClock();
  readonly retries = new RetrySchedule();
  readonly peer = new PeerState();
  readonly subs = new Subscriptions();
  readonly views = new Map<number, SessionView>();
  readonly streams = new StreamList();
  welcome: Welcome | undefined;
  /** By the stream's id: one that comes back under the same name may have other codecs. */
  private readonly webcodecs = new Map<number | undefined, CodecChoice>();
  private effects: Effect[] = [];

  constructor(readonly options: SessionOptions) {}

  emit(...effects: readonly Effect[]): void {
    this.effects.push(...effects);
  }

  send(message: ViewerMessage): void {
    this.effects.push({ type: "send", message });
  }

  /** The effects since the last call, in order. */
  takeEffects(): readonly Effect[] {
    const { effects } = this;
    this.effects = [];
    return effects;
  }

  viewsOf(sub: Subscription): readonly SessionView[] {
    return [...sub.views].flatMap((id) => this.views.get(id) ?? []);
  }

  /** The subscription that carries units of this stream over the WebSocket. */
  carrier(stream: number, lossless: boolean): Subscription | undefined {
    return this.subs.carrier(this.streams.nameOf(stream), lossless);
  }

  /** The codec of a stream's video over the WebSocket. All views of the stream share the one subscription, and so the choice. */
  webcodecsOf(stream: string): CodecChoice {
    const id = this.streams.get(stream)?.id;
    const found = this.webcodecs.get(id) ?? new CodecChoice(this.options.capabilities.webcodecs);
    this.webcodecs.set(id, found);
    return found;
  }

  /** Another engine process has started: what was learned about the old one may not hold. */
  resetEngine(): void {
    this.retries.clear();
    this.clock.clear();
    this.webcodecs.clear();
  }
}
