// The session's bookkeeping of frames that come over the WebSocket: credits, counts, keyframe requests, decoders that fail.
// Must not know pixels, decoders or canvases.

import type { SessionContext } from "./session-context";
import type { Subscription } from "./subscription";

export class SessionFrames {
  constructor(private readonly context: SessionContext) {}

  /** A whole unit was received. */
  unit(stream: number, lossless: boolean, frame: number, now: number): void {
    this.context.socket.received(now);
    const sub = this.context.carrier(stream, lossless);
    if (sub === undefined) return;
    sub.received += 1;
    // The credit goes back on receipt: a hidden tab does not paint, and must not run out of credits.
    this.context.send({ type: "ack", sub: sub.sub, frame });
  }

  /** A frame was painted in these views. `time_us`: when it was published, by the server's clock. */
  painted(stream: number, lossless: boolean, views: readonly number[], time_us: number, now: number): void {
    const { clock } = this.context;
    const sub = this.context.carrier(stream, lossless);
    if (sub === undefined) return;
    sub.countPainted(clock.known ? now + clock.offset - time_us / 1000 : undefined, now);
    for (const view of views.flatMap((id) => this.context.views.get(id) ?? [])) {
      if (lossless) view.exact += 1;
      view.plan.progress(sub.mode, 1, 1, now);
    }
  }

  /** A view that joined a subscription was given the picture that the other views have. */
  repainted(view: number, now: number): void {
    this.context.views.get(view)?.plan.progress("lossless", 0, 1, now); // mutants: decoded frames count for videos only
  }

  dropped(stream: number, lossless: boolean): void {
    const sub = this.context.carrier(stream, lossless);
    if (sub !== undefined) sub.dropped += 1;
  }

  /** A lossless frame did not have its checksum. */
  mismatched(stream: number): void {
    const sub = this.context.carrier(stream, true);
    if (sub !== undefined) for (const view of this.context.viewsOf(sub)) view.mismatched += 1;
  }

  keyframeWanted(stream: number, lossless: boolean, now: number): void {
    this.context.carrier(stream, lossless)?.requestKeyframe(now);
  }

  /** The next codec is tried for all views of the stream; after the last one, they show something else. */
  decoderFailed(stream: number, detail: string, now: number): void {
    const sub = this.context.carrier(stream, false);
    if (sub === undefined) return;
    const codecs = this.context.webcodecsOf(sub.stream);
    codecs.offered(sub.codec);
    if (codecs.next() === undefined) this.giveUpWebcodecs(sub, detail, now);
  }

  private giveUpWebcodecs(sub: Subscription, detail: string, now: number): void {
    for (const { plan } of this.context.viewsOf(sub)) plan.failed("webcodecs", { code: "decoder_failed", detail }, true, now); // mutants: for this mode, every failure is final
  }
}
