// Puts images and video frames on the canvases of the views, and gives a canvas back as a PNG.
// Must not know subscriptions or modes.

/** An OffscreenCanvas; on pages without one, the element itself. */
export interface CanvasLike {
  width: number;
  height: number;
}

interface Context {
  putImageData(image: ImageData, x: number, y: number): void;
  drawImage(image: VideoFrame, x: number, y: number, width: number, height: number, dx: number, dy: number, dwidth: number, dheight: number): void;
}

interface WithContext extends CanvasLike {
  getContext(kind: "2d", options: object): Context | null;
}

/** A frame so much older is no late one: the publisher's clock was set. */
const CLOCK_SET_US = 2_000_000;

/** What an HTMLCanvasElement has of it; this thread knows none by name. */
interface WithBlob {
  toBlob(done: (blob: Blob | null) => void): void;
}

export class Painter {
  private readonly context: Context | null;
  /** Publish time of what is on the canvas: two roads may carry one stream, and time never runs back. */
  private newest = -Infinity;
  private painted = false;

  constructor(private readonly canvas: CanvasLike) {
    this.context = (canvas as WithContext).getContext("2d", { desynchronized: false, alpha: true });
  }

  /** False where a newer frame is already there. */
  paint(image: ImageData, time_us: number): boolean {
    if (!this.ready(image.width, image.height, time_us)) return false;
    this.context?.putImageData(image, 0, 0);
    return true;
  }

  /** Paints the top left part of a padded video frame. */
  draw(frame: VideoFrame, width: number, height: number, time_us: number): boolean {
    if (!this.ready(width, height, time_us)) return false;
    this.context?.drawImage(frame, 0, 0, width, height, 0, 0, width, height);
    return true;
  }

  async capture(): Promise<Blob | undefined> {
    const { canvas } = this;
    if (!this.painted) return undefined;
    if (typeof OffscreenCanvas !== "undefined" && canvas instanceof OffscreenCanvas) return canvas.convertToBlob({ type: "image/png" });
    return new Promise((done) => (canvas as CanvasLike & WithBlob).toBlob((blob) => done(blob ?? undefined)));
  }

  /** A new source may have another clock. */
  restart(): void {
    this.newest = -Infinity;
  }

  private ready(width: number, height: number, time_us: number): boolean {
    if (time_us < this.newest && time_us > this.newest - CLOCK_SET_US) return false;
    this.newest = time_us;
    this.painted = true;
    if (this.canvas.width !== width) this.canvas.width = width;
    if (this.canvas.height !== height) this.canvas.height = height;
    return true;
  }
}
