// Where the picture is in its box, and which frame pixel is under a point of the view.
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

/** The smallest video that holds a frame. Width and height are even, for 4:2:0, and at least 16, for encoders; padding is right and below. */
export function codedSize(frame: Size): Size {
  const even = (pixels: number): number => Math.max(16, pixels + (pixels & 1));
  return { width: even(frame.width), height: even(frame.height) };
}

function same(one: Size, other: Size): boolean {
  return one.width === other.width && one.height === other.height;
}

/** Whether a `video` shows the frame at half its width and height, as the server sends it over a narrow link. */
export function isHalved(video: Size, frame: Size): boolean {
  const half = { width: Math.ceil(frame.width / 2), height: Math.ceil(frame.height / 2) };
  return same(video, codedSize(half)) && !same(video, codedSize(frame));
}

/** The part of a `video` that is the frame. A video of an unexpected size is shown whole: the stream is changing its size. */
export function visiblePart(video: Size, frame: Size): Size {
  if (isHalved(video, frame)) return { width: frame.width / 2, height: frame.height / 2 };
  return same(video, codedSize(frame)) ? { width: frame.width, height: frame.height } : { width: video.width, height: video.height };
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

/** A point of the box in frame pixels. (0, 0) is the top left corner of the first pixel, and (0.5, 0.5) its middle. */
export function toFrame(point: Point, picture: Rect, frame: Size): Point {
  return {
    x: picture.width > 0 ? ((point.x - picture.x) * frame.width) / picture.width : 0,
    y: picture.height > 0 ? ((point.y - picture.y) * frame.height) / picture.height : 0,
  };
}

export function isInside(point: Point, frame: Size): boolean {
  return point.x >= 0 && point.y >= 0 && point.x < frame.width && point.y < frame.height;
}
