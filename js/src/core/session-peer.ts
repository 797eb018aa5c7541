// The session's dealings with the peer connection: offers in, answers and candidates out, and what the videos show.
// Must not know SDP, nor RTCPeerConnection.

import type { PeerEvent, VideoProgress } from "./ports";
import type { SessionContext } from "./session-context";
import type { SessionView } from "./session-view";
import type { Subscription } from "./subscription";
import type { Offer } from "./wire";

export class SessionPeer {
  constructor(private readonly context: SessionContext) {}

  offered({ peer, offer, sdp, tracks }: Offer, now: number): void {
    const { context } = this;
    context.peer.offered(peer);
    context.emit({ type: "peer_offer", peer, offer, sdp, ice_servers: context.welcome?.ice_servers ?? [] });
    for (const { sub: id, mid, codec } of tracks) {
      const sub = context.subs.get(id);
      if (sub === undefined) continue;
      sub.mid = mid;
      sub.codec = codec;
      this.notifyOffered(sub, context.viewsOf(sub), now);
    }
  }

  /** These views share a subscription whose offer has come. */
  notifyOffered(sub: Subscription, views: readonly SessionView[], now: number): void {
    for (const { plan } of views) {
      plan.offered(sub.codec, now);
      if (this.context.peer.connected) plan.connected(now);
    }
  }

  handle(event: PeerEvent, now: number): void {
    const { context } = this;
    if (!context.peer.isCurrent(event.peer)) return;
    switch (event.type) {
      case "peer_answer":
        return context.send({ type: "answer", peer: event.peer, offer: event.offer, sdp: event.sdp });
      case "peer_candidate":
        return context.send({ type: "candidate", peer: event.peer, candidate: event.candidate, sdp_mid: event.sdp_mid });
      case "peer_connected":
        context.peer.connected = true;
        for (const { plan } of this.videoViews()) plan.connected(now);
        return;
      case "peer_failed":
        for (const { plan } of this.videoViews()) plan.failed("webrtc", { code: "peer_failed", ...(event.detail === "" ? {} : { detail: event.detail }) }, false, now);
        return;
      case "peer_progress":
        for (const video of event.videos) this.progress(video, now);
        return;
      default:
        event satisfies never;
    }
  }

  /** Each view gets the media section of its video; the commands are for what differs from before. */
  attach(): void {
    const wanted = new Map<number, string>();
    for (const { mid, views } of this.context.subs.videos) if (mid !== undefined) for (const view of views) wanted.set(view, mid);
    this.context.emit(...this.context.peer.attach(wanted));
  }

  /** Ends the connection, if there is one. */
  close(): void {
    this.context.emit(...this.context.peer.close());
  }

  private videoViews(): readonly SessionView[] {
    return this.context.subs.videos.flatMap((sub) => this.context.viewsOf(sub));
  }

  private progress(video: VideoProgress, now: number): void {
    const sub = this.context.subs.videos.find((one) => one.mid === video.mid);
    if (sub === undefined) return;
    if (video.arrived > 0) this.context.socket.videoReceived(now);
    sub.countVideo(video, now);
    for (const view of this.context.viewsOf(sub)) {
      const painted = video.views.find((one) => one.view === view.id)?.painted ?? 0;
      view.plan.videoArrived(video.arrived, video.decoded, painted, now);
    }
  }
}
