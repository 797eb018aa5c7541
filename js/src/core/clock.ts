// The server's clock as seen from here, from the echoes of reports; and the age of a frame by it.
// Must not know who asks, nor read any clock itself: milliseconds since the Unix epoch come in as arguments.

interface Sample {
  readonly rtt: number;
  readonly offset: number;
}

const KEEP = 16;
const RTP_CYCLE = 2 ** 32;
const TICKS_PER_MS = 90;

export class Clock {
  private samples: Sample[] = [];

  /** `sent` and `received` by the viewer's clock, `server` by the server's, in between. */
  echo(sent: number, server: number, received: number): void {
    const rtt = Math.max(0, received - sent);
    this.samples = [...this.samples.slice(1 - KEEP), { rtt, offset: server - (sent + received) / 2 }];
  }

  clear(): void {
    this.samples = [];
  }

  get known(): boolean {
    return this.samples.length > 0;
  }

  /** Milliseconds to add to the viewer's clock. The quickest echo errs least: its error is at most half its round trip. */
  get offset(): number {
    return this.best?.offset ?? 0;
  }

  /** The newest round trip, milliseconds. */
  get rtt(): number | undefined {
    return this.samples.at(-1)?.rtt;
  }

  /** How far off `offset` may be, milliseconds. */
  get error(): number {
    return (this.best?.rtt ?? 0) / 2;
  }

  private get best(): Sample | undefined {
    return this.samples.reduce<Sample | undefined>((best, one) => (best === undefined || one.rtt <= best.rtt ? one : best), undefined);
  }
}

/** Milliseconds since the frame sent under `rtp_timestamp` was published. `server_now`: milliseconds by the server's clock. */
export function rtpAge(rtp_timestamp: number, server_now: number): number {
  const now = Math.floor(server_now * TICKS_PER_MS) % RTP_CYCLE;
  const ahead = (((now - rtp_timestamp) % RTP_CYCLE) + RTP_CYCLE) % RTP_CYCLE;
  return (ahead >= RTP_CYCLE / 2 ? ahead - RTP_CYCLE : ahead) / TICKS_PER_MS;
}
