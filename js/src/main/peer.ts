// RTCPeerConnection as a peripheral: carries out commands, reports what happens, and decides nothing.
// Must not know the socket, the session or why a view shows a video.

import { compactAnswer } from "../core/compact-answer";
import type { PeerCommand, PeerEvent } from "../core/ports";
import { VideoTracks, type VideoTotals } from "../core/video-tracks";
import { screenRefresh } from "./screen";

/** How often decoded and painted frames are reported; the first frame of a view is reported at once. */
const REPORT_MS = 250;

/** A longer answer would have the server close the connection; without it, the views stay with the WebSocket. */
const MAX_ANSWER_BYTES = 65_000;

interface Output {
  readonly video: HTMLVideoElement;
  callback: number;
}

type Offer = Extract<PeerCommand, { readonly type: "peer_offer" }>;

export class Peer {
  private pc: RTCPeerConnection | undefined;
  private id = 0;
  private negotiation: Promise<void> = Promise.resolve();
  private timer: ReturnType<typeof setInterval> | undefined;
  /** The tracks of the connection, by media section. */
  private readonly tracks = new Map<string, MediaStreamTrack>();
  private readonly outputs = new Map<number, Output>();
  private readonly counts = new VideoTracks();

  constructor(
    private readonly report: (event: PeerEvent) => void,
    private readonly now: () => number,
  ) {}

  /** `offset`: milliseconds to add to this thread's clock to have that of the view's RTP timestamps; undefined while unknown. */
  setClock(view: number, offset: number | undefined): void {
    this.counts.setClock(view, offset);
  }

  execute(command: PeerCommand): void {
    switch (command.type) {
      case "peer_offer":
        return this.take(command);
      case "peer_attach":
        return this.attach(command.view, command.mid);
      case "peer_detach":
        return this.detach(command.view);
      case "peer_close":
        if (command.peer === this.id) this.close();
        return;
      default:
        command satisfies never;
    }
  }

  /** From now on, the view's video goes to this element. */
  addView(view: number, video: HTMLVideoElement): void {
    this.outputs.set(view, { video, callback: 0 });
    this.counts.addView(view);
  }

  removeView(view: number): void {
    this.detach(view);
    this.outputs.delete(view);
    this.counts.removeView(view);
  }

  close(): void {
    clearInterval(this.timer);
    this.timer = undefined;
    this.tracks.clear();
    this.counts.clear();
    this.pc?.close();
    this.pc = undefined;
  }

  /** Takes the offers of one connection one after the other. A new connection does not wait for the old one: the promises of a closed connection never settle. */
  private take(offer: Offer): void {
    try {
      if (offer.peer !== this.id || this.pc === undefined) this.open(offer);
    } catch (error) {
      return this.failed(offer.peer, detailOf(error));
    }
    const { pc } = this;
    this.negotiation = this.negotiation.then(() => this.negotiate(offer, pc)).catch((error: unknown) => this.failed(offer.peer, detailOf(error)));
  }

  private async negotiate(offer: Offer, pc: RTCPeerConnection | undefined): Promise<void> {
    if (pc === undefined || pc !== this.pc) return;
    await pc.setRemoteDescription({ type: "offer", sdp: offer.sdp });
    await pc.setLocalDescription();
    if (pc !== this.pc) return;
    const sdp = compactAnswer(pc.localDescription?.sdp ?? "");
    if (JSON.stringify(sdp).length > MAX_ANSWER_BYTES) throw new Error("the answer is too long for a message");
    this.report({ type: "peer_answer", peer: offer.peer, offer: offer.offer, sdp });
  }

  private open(offer: Offer): void {
    this.close();
    this.id = offer.peer;
    this.negotiation = Promise.resolve();
    const ice_servers = offer.ice_servers.map((server) => ({ ...server, urls: [...server.urls] }));
    const pc = new RTCPeerConnection({ iceServers: ice_servers, bundlePolicy: "max-bundle" });
    this.pc = pc;
    pc.onicecandidate = ({ candidate }) => {
      const { peer } = offer;
      if (pc === this.pc) this.report({ type: "peer_candidate", peer, candidate: candidate?.candidate ?? "", sdp_mid: candidate?.sdpMid ?? "" });
    };
    pc.onconnectionstatechange = () => pc === this.pc && this.stateChanged(pc, offer.peer);
    pc.ontrack = ({ transceiver }) => this.addTrack(transceiver);
    this.timer = setInterval(() => void this.progress(), REPORT_MS);
  }

  private stateChanged(pc: RTCPeerConnection, peer: number): void {
    if (pc.connectionState === "connected") this.report({ type: "peer_connected", peer });
    if (pc.connectionState === "failed") this.failed(peer, "");
  }

  private failed(peer: number, detail: string): void {
    if (peer === this.id || this.pc === undefined) this.report({ type: "peer_failed", peer, detail });
  }

  private addTrack({ mid, receiver }: RTCRtpTransceiver): void {
    if (mid === null) return;
    // Chromium takes its low-latency path for the playout-delay extension; other browsers read this attribute.
    if ("jitterBufferTarget" in receiver) receiver.jitterBufferTarget = 0;
    // A reused transceiver fires again for the same mid: the track is the same, its views are new.
    if (this.tracks.get(mid) !== receiver.track) this.counts.addVideo(mid);
    this.tracks.set(mid, receiver.track);
    for (const view of this.counts.viewsOf(mid)) this.attach(view, mid);
  }

  private attach(view: number, mid: string): void {
    const output = this.outputs.get(view);
    const track = this.tracks.get(mid);
    this.counts.attach(view, mid);
    if (output === undefined || track === undefined) return;
    const stream = output.video.srcObject;
    // A view that comes back to a reused media section has its old track already.
    if (!(stream instanceof MediaStream) || stream.getTracks()[0] !== track) {
      output.video.srcObject = new MediaStream([track]);
      // If the browser refuses to play (data saver, no gesture), no frame is painted, and the session acts on that.
      output.video.play().catch(() => undefined);
    }
    this.watch(view, output);
  }

  private detach(view: number): void {
    const output = this.outputs.get(view);
    this.counts.detach(view);
    if (output !== undefined && "cancelVideoFrameCallback" in output.video) output.video.cancelVideoFrameCallback(output.callback);
  }

  private watch(view: number, output: Output): void {
    const { video } = output;
    if (!("requestVideoFrameCallback" in video)) return;
    video.cancelVideoFrameCallback(output.callback);
    const again = (): void => {
      output.callback = video.requestVideoFrameCallback((now, metadata) => {
        this.painted(view, now, metadata);
        again();
      });
    };
    again();
  }

  private painted(view: number, shown_at: number, metadata: VideoFrameCallbackMetadata): void {
    const track = this.tracks.get(this.counts.midOf(view) ?? "");
    // A track that has ended shows black, which is no frame of the stream. The track of a refused codec ends at once.
    if (track === undefined || track.readyState === "ended") return;
    const { presentationTime, expectedDisplayTime, rtpTimestamp } = metadata;
    const frame = { ready_at: presentationTime, shown_at, ahead_ms: expectedDisplayTime - performance.now(), rtp_timestamp: rtpTimestamp };
    if (this.counts.painted(view, frame, this.now(), screenRefresh)) void this.progress();
  }

  private async progress(): Promise<void> {
    const { pc, id } = this;
    if (pc === undefined) return;
    const totals = await totalsOf(pc);
    if (pc !== this.pc) return;
    this.countWithoutCallback();
    const videos = this.counts.report(totals, this.now(), screenRefresh);
    if (videos.length > 0) this.report({ type: "peer_progress", peer: id, videos });
  }

  /** Browsers without requestVideoFrameCallback count the painted frames of the whole element. */
  private countWithoutCallback(): void {
    for (const [view, { video }] of this.outputs) {
      if (!("requestVideoFrameCallback" in video)) this.counts.countPainted(view, (video as HTMLVideoElement).getVideoPlaybackQuality().totalVideoFrames);
    }
  }
}

function detailOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

async function totalsOf(pc: RTCPeerConnection): Promise<Map<string, VideoTotals>> {
  const totals = new Map<string, VideoTotals>();
  const report = await pc.getStats();
  report.forEach((stats: RTCStats) => {
    if (stats.type !== "inbound-rtp") return;
    const { mid, framesReceived, packetsReceived, framesDecoded, framesDropped } = stats as RTCInboundRtpStreamStats;
    // Browsers that do not count frames before decoding count packets.
    const arrived = framesReceived ?? packetsReceived ?? 0;
    if (mid !== undefined) totals.set(mid, { arrived, decoded: framesDecoded ?? 0, dropped: framesDropped ?? 0 });
  });
  return totals;
}
