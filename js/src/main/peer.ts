// RTCPeerConnection as a peripheral: takes commands, tells what happened, decides nothing.
// Must not know the socket, the session or why a view wants a video.

import { Beat, medianGap } from "../core/beat";
import { rtpAge } from "../core/clock";
import { Meter } from "../core/meter";
import type { PeerCommand, PeerEvent, VideoProgress } from "../core/ports";

/** How often what was decoded and painted is told; the first frame of a view is told at once. */
const TELL_MS = 250;
/** Frames a second from which it matters where in the screen's rhythm they get ready. */
const FAST = 40;
/** Refreshes that the screen's interval is taken from, and how often anew: a window may move to another screen. */
const REFRESHES = 9;
const REFRESH_AGAIN_MS = 15_000;

interface Watched {
  readonly video: HTMLVideoElement;
  mid: string | undefined;
  painted: number;
  total: number;
  callback: number;
}

interface Carried {
  readonly track: MediaStreamTrack;
  readonly meter: Meter;
  readonly beat: Beat;
  /** As fast as a screen, or about. */
  fast: boolean;
  arrived: number;
  decoded: number;
  dropped: number;
}

type Offer = Extract<PeerCommand, { readonly type: "peer_offer" }>;

export class Peer {
  private pc: RTCPeerConnection | undefined;
  private id = 0;
  private negotiation: Promise<void> = Promise.resolve();
  private timer: ReturnType<typeof setInterval> | undefined;
  private readonly carried = new Map<string, Carried>();
  private readonly views = new Map<number, Watched>();
  private readonly screen = new Screen();
  /** Milliseconds to add to this thread's clock to have the server's; undefined until measured. */
  clock_offset: number | undefined;

  constructor(
    private readonly tell: (event: PeerEvent) => void,
    private readonly now: () => number,
  ) {}

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

  /** From now on `video` is where the view's video goes. */
  addView(view: number, video: HTMLVideoElement): void {
    this.views.set(view, { video, mid: undefined, painted: 0, total: 0, callback: 0 });
  }

  removeView(view: number): void {
    this.detach(view);
    this.views.delete(view);
  }

  close(): void {
    clearInterval(this.timer);
    this.timer = undefined;
    this.carried.clear();
    this.pc?.close();
    this.pc = undefined;
  }

  /** One offer of a connection after the other; a new connection waits for none of the old, which never settles what it owes once closed. */
  private take(offer: Offer): void {
    try {
      if (offer.peer !== this.id || this.pc === undefined) this.open(offer);
    } catch (error) {
      return this.failed(offer.peer, error);
    }
    const { pc } = this;
    this.negotiation = this.negotiation.then(() => this.negotiate(offer, pc)).catch((error: unknown) => this.failed(offer.peer, error));
  }

  private async negotiate(offer: Offer, pc: RTCPeerConnection | undefined): Promise<void> {
    if (pc === undefined || pc !== this.pc) return;
    await pc.setRemoteDescription({ type: "offer", sdp: offer.sdp });
    await pc.setLocalDescription();
    if (pc !== this.pc) return;
    this.tell({ type: "peer_answer", peer: offer.peer, offer: offer.offer, sdp: pc.localDescription?.sdp ?? "" });
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
      if (pc === this.pc) this.tell({ type: "peer_candidate", peer, candidate: candidate?.candidate ?? "", sdp_mid: candidate?.sdpMid ?? "" });
    };
    pc.onconnectionstatechange = () => pc === this.pc && this.stateChanged(pc, offer.peer);
    pc.ontrack = ({ transceiver }) => this.carry(transceiver);
    this.timer = setInterval(() => void this.progress(), TELL_MS);
  }

  private stateChanged(pc: RTCPeerConnection, peer: number): void {
    if (pc.connectionState === "connected") this.tell({ type: "peer_connected", peer });
    if (pc.connectionState === "failed") this.failed(peer, new Error("The WebRTC connection failed"));
  }

  private failed(peer: number, error: unknown): void {
    const detail = error instanceof Error ? error.message : String(error);
    if (peer === this.id || this.pc === undefined) this.tell({ type: "peer_failed", peer, detail });
  }

  private carry(transceiver: RTCRtpTransceiver): void {
    const { mid, receiver } = transceiver;
    if (mid === null) return;
    // Chromium's low-latency path comes from the playout-delay extension; other browsers listen to this.
    if ("jitterBufferTarget" in receiver) receiver.jitterBufferTarget = 0;
    // A pooled transceiver fires again for the same mid: the track is the same, its new views are not.
    const known = this.carried.get(mid);
    if (known?.track !== receiver.track) this.carried.set(mid, { track: receiver.track, meter: new Meter(), beat: new Beat(), fast: false, arrived: 0, decoded: 0, dropped: 0 });
    for (const [view, watched] of this.views) if (watched.mid === mid) this.show(view, watched);
  }

  private attach(view: number, mid: string): void {
    const watched = this.views.get(view);
    if (watched === undefined) return;
    watched.mid = mid;
    this.show(view, watched);
  }

  private show(view: number, watched: Watched): void {
    const track = watched.mid === undefined ? undefined : this.carried.get(watched.mid)?.track;
    const stream = watched.video.srcObject;
    if (track === undefined) return;
    watched.painted = 0;
    watched.total = 0;
    // A view that comes back to a pooled section finds its old track: nothing to set, but its frames count again.
    if (!(stream instanceof MediaStream) || stream.getTracks()[0] !== track) {
      watched.video.srcObject = new MediaStream([track]);
      // A refusal (data saver, no gesture) shows as no frame: the session knows what to do then.
      watched.video.play().catch(() => undefined);
    }
    this.watch(view, watched);
  }

  private detach(view: number): void {
    const watched = this.views.get(view);
    if (watched === undefined) return;
    watched.mid = undefined;
    if ("cancelVideoFrameCallback" in watched.video) watched.video.cancelVideoFrameCallback(watched.callback);
  }

  private watch(view: number, watched: Watched): void {
    const { video } = watched;
    if (!("requestVideoFrameCallback" in video)) return;
    video.cancelVideoFrameCallback(watched.callback);
    const again = (): void => {
      watched.callback = video.requestVideoFrameCallback((now, metadata) => {
        this.painted(view, watched, now, metadata);
        again();
      });
    };
    again();
  }

  private painted(view: number, watched: Watched, shown: number, metadata: VideoFrameCallbackMetadata): void {
    const { mid } = watched;
    const carried = mid === undefined ? undefined : this.carried.get(mid);
    // A track that ended shows black, which is no frame of the stream's: a refused codec ends its track at once.
    if (mid === undefined || carried === undefined || carried.track.readyState === "ended") return;
    watched.painted += 1;
    watched.total += 1;
    if (this.leader(mid) === view) this.time(carried, shown, metadata);
    if (watched.total === 1) void this.progress();
  }

  private time({ meter, beat, fast }: Carried, shown: number, metadata: VideoFrameCallbackMetadata): void {
    meter.add(this.now(), this.late(metadata));
    const refresh = fast ? this.screen.refresh() : undefined;
    if (refresh !== undefined) beat.add(metadata.presentationTime, shown, refresh);
  }

  /** Of several views of one video, the first one is timed. */
  private leader(mid: string): number | undefined {
    for (const [view, watched] of this.views) if (watched.mid === mid) return view;
    return undefined;
  }

  private late(metadata: VideoFrameCallbackMetadata): number | undefined {
    if (this.clock_offset === undefined || metadata.rtpTimestamp === undefined) return undefined;
    // The callback runs before the frame is seen; the browser says when it will be.
    const ahead = Math.max(0, metadata.expectedDisplayTime - performance.now());
    return rtpAge(metadata.rtpTimestamp, this.now() + ahead + this.clock_offset);
  }

  private async progress(): Promise<void> {
    const { pc, id } = this;
    if (pc === undefined) return;
    const counted = await countFrames(pc);
    if (pc !== this.pc) return;
    const videos = [...this.carried].flatMap(([mid, carried]) => this.progressOf(mid, carried, counted.get(mid)) ?? []);
    if (videos.length > 0) this.tell({ type: "peer_progress", peer: id, videos });
  }

  private progressOf(mid: string, carried: Carried, counted: Counted | undefined): VideoProgress | undefined {
    const arrived = Math.max(0, (counted?.arrived ?? 0) - carried.arrived);
    const decoded = Math.max(0, (counted?.decoded ?? 0) - carried.decoded);
    const dropped = Math.max(0, (counted?.dropped ?? 0) - carried.dropped);
    carried.arrived += arrived;
    carried.decoded += decoded;
    carried.dropped += dropped;
    const views = [...this.views].flatMap(([view, watched]) => (watched.mid === mid ? [{ view, painted: takePainted(watched) }] : []));
    const fps = carried.meter.rate(this.now());
    const slack = carried.beat.take();
    carried.fast = fps >= FAST;
    const refresh_ms = carried.fast ? this.screen.refresh() : undefined;
    const rhythm = slack === undefined || refresh_ms === undefined ? undefined : { refresh_ms, slack_ms: slack * refresh_ms };
    if (arrived + decoded === 0 && views.every((one) => one.painted === 0) && fps === 0) return undefined;
    return { mid, arrived, decoded, dropped, fps, latency_ms: carried.meter.median(this.now()), rhythm, views };
  }
}

/** How often the screen is drawn, looked at again now and then. */
class Screen {
  private interval: number | undefined;
  private looked_at = -Infinity;
  private looking = false;

  /** Milliseconds between two refreshes; undefined until known. */
  refresh(): number | undefined {
    const now = performance.now();
    // A hidden page is not drawn: one look that has not come to its end is enough.
    if (!this.looking && now - this.looked_at > REFRESH_AGAIN_MS) {
      this.looking = true;
      this.looked_at = now;
      this.look([]);
    }
    return this.interval;
  }

  private look(times: readonly number[]): void {
    if (times.length < REFRESHES) {
      requestAnimationFrame((now) => this.look([...times, now]));
      return;
    }
    this.looking = false;
    const gap = medianGap(times) ?? 0;
    this.interval = gap > 0 ? gap : undefined;
  }
}

interface Counted {
  readonly arrived: number;
  readonly decoded: number;
  readonly dropped: number;
}

async function countFrames(pc: RTCPeerConnection): Promise<Map<string, Counted>> {
  const counted = new Map<string, Counted>();
  const report = await pc.getStats();
  report.forEach((stats: RTCStats) => {
    if (stats.type !== "inbound-rtp") return;
    const { mid, framesReceived, packetsReceived, framesDecoded, framesDropped } = stats as RTCInboundRtpStreamStats;
    // Browsers that do not count frames before they decode them count packets.
    const arrived = framesReceived ?? packetsReceived ?? 0;
    if (mid !== undefined) counted.set(mid, { arrived, decoded: framesDecoded ?? 0, dropped: framesDropped ?? 0 });
  });
  return counted;
}

/** Frames painted since the last call. Browsers without the callback count for the whole element. */
function takePainted(watched: Watched): number {
  if (!("requestVideoFrameCallback" in watched.video)) {
    const total = (watched.video as HTMLVideoElement).getVideoPlaybackQuality().totalVideoFrames;
    const painted = Math.max(0, total - watched.total);
    watched.total = total;
    return painted;
  }
  const { painted } = watched;
  watched.painted = 0;
  return painted;
}
