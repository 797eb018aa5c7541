// Binary messages to pictures: assembles units, decodes only the newest, and paints it in every view that shows the stream.
// Must not know why a view shows it. The session gets a report of what came and what was painted.

import { Cadence } from "../core/cadence";
import type { FrameProof, FromWorker, SessionInput } from "../core/ports";
import { Assembler, type Unit } from "../core/units";
import { type ChunkHeader, isDelta, isLossless } from "../core/wire";
import { xxh32 } from "../core/xxh32";
import { CodedStream } from "./coded";
import { type Shown, Unpacker } from "./lossless";
import { type Native, startNative } from "./native";
import { type CanvasLike, Painter } from "./painter";
import { Refresh } from "./refresh";

export interface FramesPorts {
  feed(input: SessionInput): void;
  targets(stream: number, lossless: boolean): readonly number[];
  post(message: FromWorker<Blob>): void;
}

interface Lossless {
  readonly unpacker: Unpacker;
  readonly cadence: Cadence;
  /** Received and not unpacked yet, oldest first. */
  pending: Unit[];
  /** What was painted last, for a view that joins later; the unpacker owns its memory. */
  shown: Shown | undefined;
}

const PROOFS_MS = 250;
/** The console gets a warning for so many wrong frames; the statistics count all of them. */
const MAX_WARNINGS = 5;

export class Frames {
  private readonly assembler = new Assembler();
  private readonly painters = new Map<number, Painter>();
  private readonly lossless = new Map<number, Lossless>();
  private readonly coded = new Map<number, CodedStream>();
  private readonly proofs = new Map<number, FrameProof[]>();
  private native: Native | undefined;
  private readonly refresh = new Refresh(() => this.decodePending());
  private warnings = 0;
  private proofs_timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly ports: FramesPorts) {
    void startNative().then((native) => {
      this.native = native;
    });
  }

  addCanvas(view: number, canvas: CanvasLike): void {
    this.painters.set(view, new Painter(canvas));
  }

  removeCanvas(view: number): void {
    this.painters.delete(view);
    this.proofs.delete(view);
  }

  /** The view shows another stream from now on. */
  restart(view: number): void {
    this.painters.get(view)?.restart();
  }

  /** A new socket: unfinished units and decoders belong to the old one, and the server's clock may be another. */
  clear(): void {
    this.assembler.clear();
    for (const stream of this.coded.values()) stream.close();
    this.coded.clear();
    for (const { unpacker } of this.lossless.values()) unpacker.close();
    this.lossless.clear();
    for (const painter of this.painters.values()) painter.restart();
  }

  /** Gives a view the newest checked picture of a stream that other views show already. */
  repaint(view: number, stream: number): void {
    const shown = this.lossless.get(stream)?.shown;
    if (shown === undefined || !this.painters.get(view)?.paint(shown)) return;
    this.ports.feed({ type: "repainted", view });
    this.prove(view, [shown.header.frame, shown.header.checksum]);
  }

  resetDecoder(stream: number): void {
    this.coded.get(stream)?.close();
    this.coded.delete(stream);
  }

  /** One binary message. Throws `WireError`. */
  receive(message: Uint8Array): void {
    const unit = this.assembler.add(message);
    if (unit === undefined) return;
    const { stream, frame, codec } = unit.header;
    this.ports.feed({ type: "unit", stream, lossless: isLossless(codec), frame });
    if (isLossless(codec)) this.keep(unit);
    else this.decodeCoded(unit);
  }

  async capture(view: number, request: number): Promise<void> {
    const image = await this.painters.get(view)?.capture();
    this.ports.post({ type: "captured", request, image });
  }

  /** Unpacking waits for the next refresh: of a picture that a newer one replaces by then, only the changed tiles are unpacked. */
  private keep(unit: Unit): void {
    const { stream } = unit.header;
    const entry = this.lossless.get(stream) ?? { unpacker: new Unpacker(), cadence: new Cadence(), pending: [], shown: undefined };
    this.lossless.set(stream, entry);
    // At most one picture is shown before the newest. A whole picture makes older ones useless.
    if (!isDelta(unit.header) && entry.pending.length > 1) this.drop(entry.pending.splice(0));
    entry.pending.push(unit);
    this.refresh.wait();
  }

  private decodePending(): void {
    for (const [stream, entry] of this.lossless) {
      const units = entry.pending.splice(0, entry.cadence.take(entry.pending.length));
      if (units.length > 0) this.showLossless(stream, entry, units);
      if (entry.pending.length > 0) this.refresh.wait();
    }
  }

  /** Takes units in order and shows the picture of the last. */
  private showLossless(stream: number, entry: Lossless, all: readonly Unit[]): void {
    const whole = Math.max(0, all.findLastIndex((unit) => !isDelta(unit.header)));
    this.drop(all.slice(0, whole));
    const units = all.slice(whole);
    const views = this.ports.targets(stream, true);
    const lost = !entry.unpacker.hasBase && units[0] !== undefined && isDelta(units[0].header);
    if (views.length === 0 || lost) {
      // Deltas of a subscription that is over, or that were sent before the request for a whole picture arrived.
      for (const unit of units) unit.release();
      return entry.unpacker.dropBase();
    }
    for (const _ of units.slice(1)) this.ports.feed({ type: "dropped", stream, lossless: true });
    const unpacked = entry.unpacker.unpack(units, this.native);
    if (!unpacked.ok) return this.mismatched(stream, entry, unpacked.why);
    entry.shown = unpacked;
    const { time_us, frame, checksum } = unpacked.header;
    const painted = views.filter((view) => this.painters.get(view)?.paint(unpacked));
    if (painted.length > 0) this.ports.feed({ type: "painted", stream, lossless: true, views: painted, time_us });
    for (const view of painted) this.prove(view, [frame, checksum]);
  }

  private drop(units: readonly Unit[]): void {
    for (const unit of units) {
      this.ports.feed({ type: "dropped", stream: unit.header.stream, lossless: true });
      unit.release();
    }
  }

  private mismatched(stream: number, entry: Lossless, why: string): void {
    entry.shown = undefined;
    this.warnings += 1;
    if (this.warnings <= MAX_WARNINGS) this.ports.post({ type: "log", level: "warn", text: `framewire: ${why}` });
    this.ports.feed({ type: "mismatched", stream });
    this.ports.feed({ type: "keyframe_wanted", stream, lossless: true });
  }

  private decodeCoded(unit: Unit): void {
    const { stream, checksum } = unit.header;
    const found = this.coded.get(stream) ?? this.openCoded(stream);
    if (xxh32(unit.data) === checksum) found.decode(unit.header, unit.data);
    else found.skip();
    unit.release();
  }

  private openCoded(stream: number): CodedStream {
    const opened = new CodedStream({
      frame: (frame, header) => this.showCoded(frame, header),
      keyframeWanted: () => this.ports.feed({ type: "keyframe_wanted", stream, lossless: false }),
      failed: (detail) => this.ports.feed({ type: "decoder_failed", stream, detail }),
    });
    this.coded.set(stream, opened);
    return opened;
  }

  private showCoded(frame: VideoFrame, header: ChunkHeader): void {
    const { stream, width, height, time_us } = header;
    const views = this.ports.targets(stream, false);
    const painted = views.filter((view) => this.painters.get(view)?.draw(frame, width, height, time_us));
    if (painted.length > 0) this.ports.feed({ type: "painted", stream, lossless: false, views: painted, time_us });
    else this.ports.feed({ type: "dropped", stream, lossless: false });
  }

  /** Reports what was checked and painted, from time to time: for tests, and for people who want the proof. */
  private prove(view: number, proof: FrameProof): void {
    const proofs = this.proofs.get(view) ?? [];
    proofs.push(proof);
    this.proofs.set(view, proofs);
    this.proofs_timer ??= setTimeout(() => this.postProofs(), PROOFS_MS);
  }

  private postProofs(): void {
    this.proofs_timer = undefined;
    for (const [id, list] of this.proofs) this.ports.post({ type: "proofs", view: id, proofs: list });
    this.proofs.clear();
  }
}
