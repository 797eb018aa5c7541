// Makes the subscriptions of a socket what its views need: subscribes, unsubscribes, and lets views share.
// Must not know why a view needs a subscription.

import type { SessionContext } from "./session-context";
import type { SessionPeer } from "./session-peer";
import type { SessionView } from "./session-view";
import type { Subscription } from "./subscription";
import { type SharedNeed, shareNeeds, type ViewNeed } from "./subscriptions";

export class Reconciler {
  constructor(
    private readonly context: SessionContext,
    private readonly peer: SessionPeer,
  ) {}

  run(now: number): void {
    const { context } = this;
    const needs = shareNeeds([...context.views.values()].flatMap((view) => this.needsOf(view)));
    for (const { sub } of context.subs.dropAllBut(needs)) context.send({ type: "unsubscribe", sub });
    for (const need of needs) this.share(context.subs.find(need) ?? this.subscribe(need, now), need.views, now);
    if (context.subs.videos.length === 0) this.peer.close();
  }

  private needsOf({ id: view, stream, plan }: SessionView): readonly ViewNeed[] {
    return plan.needs.map(({ mode, codec }) => ({ view, stream, mode, codec: mode === "webcodecs" ? this.context.webcodecsOf(stream).asked : codec }));
  }

  private subscribe(need: SharedNeed, now: number): Subscription {
    const { context } = this;
    const { stream, mode, codec } = need;
    const sub = context.subs.add(need, now);
    context.send({ type: "subscribe", sub: sub.sub, stream, mode, ...(codec === undefined ? {} : { codec }) });
    const id = context.streams.get(stream)?.id;
    if (mode === "webcodecs" && id !== undefined) context.emit({ type: "decoder_reset", stream: id });
    return sub;
  }

  private share(sub: Subscription, views: readonly number[], now: number): void {
    const joined = views.filter((id) => !sub.views.has(id));
    sub.views.clear();
    for (const id of views) sub.views.add(id);
    if (joined.length === 0) return;
    this.showAtOnce(sub, joined, now);
    if (sub.mid !== undefined) this.peer.notifyOffered(sub, joined.flatMap((id) => this.context.views.get(id) ?? []), now);
  }

  /** Views that join a subscription that has pictures do not wait for the next one: the scene may be still. */
  private showAtOnce(sub: Subscription, joined: readonly number[], now: number): void {
    const stream = this.context.streams.get(sub.stream)?.id;
    if (sub.received === 0 || stream === undefined) return;
    if (sub.mode === "webcodecs") sub.requestKeyframe(now);
    if (sub.mode === "lossless") for (const view of joined) this.context.emit({ type: "repaint", view, stream });
  }
}
