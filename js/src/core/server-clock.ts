// The server's clock as seen from the viewer, from the echoes of reports, though either clock may be set at any time; and the age of a frame by that clock.
// Must not know who asks, nor read a clock: milliseconds since the Unix epoch come in as arguments.

interface Sample {
  readonly rtt: number;
  readonly offset: number;
}

const MAX_SAMPLES = 16;
/** Clocks are read in steps, and drift: two echoes may contradict each other by this much. */
const READING_MS = 5;
/** RTP timestamps of video count 90 000 a second and wrap at 32 bits (RFC 3551 §5). */
const RTP_CYCLE = 2 ** 32;
const RTP_TICKS_PER_MS = 90;

export class ServerClock {
  private samples: Sample[] = [];

  /** `sent` and `received` are the viewer's times of a report and its answer; `server` is the server's time in between. */
  echo(sent: number, server: number, received: number): void {
    const sample = { rtt: Math.max(0, received - sent), offset: server - (sent + received) / 2 };
    this.samples = [...this.samples.filter((one) => agree(one, sample)).slice(1 - MAX_SAMPLES), sample];
  }

  clear(): void {
    this.samples = [];
  }

  get known(): boolean {
    return this.samples.length > 0;
  }

  /** Milliseconds to add to the viewer's clock. The quickest echo has the smallest error: at most half its round trip. */
  get offset(): number {
    return this.best?.offset ?? 0;
  }

  /** The newest round trip, milliseconds. */
  get rtt(): number | undefined {
    return this.samples.at(-1)?.rtt;
  }

  /** The largest error of `offset`, milliseconds. */
  get error(): number {
    return (this.best?.rtt ?? 0) / 2;
  }

  private get best(): Sample | undefined {
    return this.samples.reduce<Sample | undefined>((best, one) => (best === undefined || one.rtt <= best.rtt ? one : best), undefined);
  }
}

/** An offset is wrong by half its round trip at most. Two that differ by more were measured before and after a clock was set. */
function agree(one: Sample, other: Sample): boolean {
  return Math.abs(one.offset - other.offset) <= (one.rtt + other.rtt) / 2 + READING_MS;
}

/** Milliseconds since the frame with this RTP timestamp was published. `server_now`: milliseconds by the server's clock. */
export function rtpAge(rtp_timestamp: number, server_now: number): number {
  const now = Math.floor(server_now * RTP_TICKS_PER_MS) % RTP_CYCLE;
  const ahead = (((now - rtp_timestamp) % RTP_CYCLE) + RTP_CYCLE) % RTP_CYCLE;
  return (ahead >= RTP_CYCLE / 2 ? ahead - RTP_CYCLE : ahead) / RTP_TICKS_PER_MS;
}
