// One try of WebRTC, raced against the pictures over the WebSocket: whether it has won, and when and why it is given up.
// Must not know subscriptions, codecs or words.

/** A connection that takes longer than this is reported: UDP may be blocked. The race goes on. */
export const ANSWER_MS = 1000;
/** Without a connection, the race ends this long after the offer. Once connected, frames must arrive within this time. */
export const RACE_MS = 6000;
/** The server makes an offer within this time, or never. */
const OFFER_MS = 8000;
/** Frames arrive, but none is decoded for this long after the first one: the codec is at fault. */
const DECODE_MS = 2000;
/** After a stall, a single frame does not prove that frames flow again. */
const FRAMES_AFTER_STALL = 5;

/** Why a race is given up. */
export type Verdict = "blocked" | "no_offer" | "no_frames" | "not_decoded" | "stalled";

export class Race {
  private offered_at: number | undefined;
  private connected_at: number | undefined;
  /** When the first frame arrived whole. */
  private arrived_at: number | undefined;
  private decoded = 0;
  private painted = 0;

  /** `blocked_reported`: the user knows already why there is no video. */
  constructor(
    private readonly since: number,
    private blocked_reported: boolean,
    private readonly after_stall = false,
  ) {}

  /** Video that stalled has another chance on its own connection, for as long as a race. */
  static afterStall(now: number): Race {
    const race = new Race(now, true, true); // mutants: a connected race is never blocked, whether or not that was reported
    race.offered(now);
    race.connected(now);
    return race;
  }

  offered(now: number): void {
    this.offered_at ??= now;
  }

  connected(now: number): void {
    this.connected_at ??= now;
  }

  /** A frame arrived whole, whether or not it can be decoded. */
  arrived(now: number): void {
    this.arrived_at ??= now;
  }

  progress(decoded: number, painted: number): void {
    this.decoded += decoded;
    this.painted += painted;
  }

  /** A hidden view does not paint: there, decoding is enough. */
  isWon(visible: boolean): boolean {
    return (visible ? this.painted : this.decoded) >= (this.after_stall ? FRAMES_AFTER_STALL : 1);
  }

  /** True once, when the connection is late. */
  reportBlocked(now: number): boolean {
    if (this.blocked_reported || !this.isBlocked(now)) return false;
    this.blocked_reported = true;
    return true;
  }

  /** Why the race is given up now; undefined while it goes on. `comparable`: the view is seen and the WebSocket has shown it a picture. */
  verdict(comparable: boolean, now: number): Verdict | undefined {
    const silent = this.connected_at !== undefined && this.decoded === 0 && !this.after_stall;
    if (silent && comparable && now >= this.verdict_at) return this.arrived_at === undefined ? "no_frames" : "not_decoded";
    if (this.offered_at === undefined && now >= this.since + OFFER_MS) return "no_offer";
    if (this.isBlocked(now) && now >= (this.offered_at ?? now) + RACE_MS) return "blocked";
    return this.after_stall && now >= this.since + RACE_MS ? "stalled" : undefined;
  }

  /** When there is something to look at next. */
  get deadline(): number {
    if (this.after_stall) return this.since + RACE_MS;
    if (this.connected_at !== undefined) return this.verdict_at;
    if (this.offered_at !== undefined) return this.offered_at + (this.blocked_reported ? RACE_MS : ANSWER_MS);
    return this.since + OFFER_MS;
  }

  private isBlocked(now: number): boolean {
    return this.offered_at !== undefined && this.connected_at === undefined && now >= this.offered_at + ANSWER_MS;
  }

  /** What arrived whole is decoded soon. On a path with much loss, the first whole frame takes its time. */
  private get verdict_at(): number {
    return this.arrived_at === undefined ? (this.connected_at ?? Infinity) + RACE_MS : this.arrived_at + DECODE_MS;
  }
}
