// Where the picture lies in its box, and which frame pixel is under a point of the view.
// Must not know the DOM: sizes and points are numbers in CSS pixels.

export type Fit = "contain" | "cover" | "fill";

export interface Size {
  readonly width: number;
  readonly height: number;
}

export interface Rect extends Size {
  readonly x: number;
  readonly y: number;
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** The smallest video that holds a frame: even, at least 16 (4:2:0 and what encoders take); padding lies right and below. */
export function codedSize(frame: Size): Size {
  const even = (pixels: number): number => Math.max(16, pixels + (pixels & 1));
  return { width: even(frame.width), height: even(frame.height) };
}

/** The part of a `video` that is the frame. A video of another size is between two sizes: it is shown whole. */
export function visiblePart(video: Size, frame: Size): Size {
  const coded = codedSize(frame);
  const padded = video.width === coded.width && video.height === coded.height;
  return padded ? { width: frame.width, height: frame.height } : { width: video.width, height: video.height };
}

/** Where a frame lies in a box. */
export function place(box: Size, frame: Size, fit: Fit): Rect {
  if (frame.width <= 0 || frame.height <= 0) return { x: 0, y: 0, width: box.width, height: box.height };
  const across = box.width / frame.width;
  const down = box.height / frame.height;
  const scale = fit === "contain" ? Math.min(across, down) : Math.max(across, down);
  const width = fit === "fill" ? box.width : frame.width * scale;
  const height = fit === "fill" ? box.height : frame.height * scale;
  return { x: (box.width - width) / 2, y: (box.height - height) / 2, width, height };
}

/** A point of the box in frame pixels: (0, 0) is the top left corner of the first pixel, so its middle is (0.5, 0.5). */
export function toFrame(point: Point, picture: Rect, frame: Size): Point {
  return {
    x: picture.width > 0 ? ((point.x - picture.x) * frame.width) / picture.width : 0,
    y: picture.height > 0 ? ((point.y - picture.y) * frame.height) / picture.height : 0,
  };
}

export function isInside(point: Point, frame: Size): boolean {
  return point.x >= 0 && point.y >= 0 && point.x < frame.width && point.y < frame.height;
}
