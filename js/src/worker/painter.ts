// Puts images and video frames on the canvases of the views, and gives a canvas back as a PNG.
// Must not know subscriptions or modes.

import type { Shown } from "./lossless";

/** An OffscreenCanvas; on pages without one, the element itself. */
export interface CanvasLike {
  width: number;
  height: number;
}

interface Context {
  putImageData(image: ImageData, x: number, y: number, left: number, top: number, width: number, height: number): void;
  drawImage(image: VideoFrame, x: number, y: number, width: number, height: number, dx: number, dy: number, dwidth: number, dheight: number): void;
}

interface WithContext extends CanvasLike {
  getContext(kind: "2d", options: object): Context | null;
}

/** A frame this much older than the newest is not late: the publisher's clock was set back. */
const CLOCK_SET_US = 2_000_000;

/** The method of an HTMLCanvasElement that is used; the types of a worker do not have that class. */
interface WithBlob {
  toBlob(done: (blob: Blob | null) => void): void;
}

export class Painter {
  private readonly context: Context | null;
  /** When the picture on the canvas was published. Two subscriptions may carry one stream, and no older picture is painted over a newer one. */
  private newest_us = -Infinity;
  private painted = false;
  /** The image on the canvas; undefined where something else was drawn over it. */
  private on_canvas: Shown | undefined;

  constructor(private readonly canvas: CanvasLike) {
    this.context = (canvas as WithContext).getContext("2d", { desynchronized: false, alpha: true });
  }

  /** False where a newer frame is already there. */
  paint(shown: Shown): boolean {
    const { image, changed, header, turn } = shown;
    const { on_canvas } = this;
    if (!this.ready(image.width, image.height, header.time_us)) return false;
    const part = on_canvas !== undefined && on_canvas.turn === turn - 1 && on_canvas.image === image;
    const box = part ? changed : { left: 0, top: 0, right: image.width, bottom: image.height };
    if (box !== undefined) this.context?.putImageData(image, 0, 0, box.left, box.top, box.right - box.left, box.bottom - box.top);
    this.on_canvas = shown;
    return true;
  }

  /** Paints the top left part of a padded video frame. */
  draw(frame: VideoFrame, width: number, height: number, time_us: number): boolean {
    if (!this.ready(width, height, time_us)) return false;
    this.on_canvas = undefined;
    this.context?.drawImage(frame, 0, 0, width, height, 0, 0, width, height);
    return true;
  }

  async capture(): Promise<Blob | undefined> {
    const { canvas } = this;
    if (!this.painted) return undefined;
    if (typeof OffscreenCanvas !== "undefined" && canvas instanceof OffscreenCanvas) return canvas.convertToBlob({ type: "image/png" });
    return new Promise((done) => (canvas as CanvasLike & WithBlob).toBlob((blob) => done(blob ?? undefined)));
  }

  /** The next picture may come from another stream or engine, and so by another clock. */
  restart(): void {
    this.newest_us = -Infinity;
  }

  private ready(width: number, height: number, time_us: number): boolean {
    if (time_us < this.newest_us && time_us > this.newest_us - CLOCK_SET_US) return false;
    this.newest_us = time_us;
    this.painted = true;
    if (this.canvas.width !== width) this.canvas.width = width;
    if (this.canvas.height !== height) this.canvas.height = height;
    return true;
  }
}
