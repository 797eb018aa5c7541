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

/** Where the four corners of a picture are on the page: top left, top right, bottom right, bottom left. */
export type Corners = readonly [Point, Point, Point, Point];

/**
 * Where a point of the page is in a picture: (0, 0) is its top left corner and (1, 1) its bottom right one, whatever scales, turns,
 * skews or tilts it on the page. Undefined for a picture that is seen from its edge or has no area.
 *
 * Four corners fix the map of a plane: Heckbert, Fundamentals of Texture Mapping and Image Warping (1989), §2.2.3.
 */
export function toUnit({ x, y }: Point, [p0, p1, p2, p3]: Corners): Point | undefined {
  const [ax, ay] = [p1.x - p2.x, p1.y - p2.y];
  const [bx, by] = [p3.x - p2.x, p3.y - p2.y];
  const [sx, sy] = [p0.x - p1.x + p2.x - p3.x, p0.y - p1.y + p2.y - p3.y];
  const area = ax * by - bx * ay;
  const g = (sx * by - bx * sy) / area;
  const h = (ax * sy - sx * ay) / area;
  const right: Point = { x: p1.x - p0.x + g * (p1.x - x), y: p1.y - p0.y + g * (p1.y - y) };
  const down: Point = { x: p3.x - p0.x + h * (p3.x - x), y: p3.y - p0.y + h * (p3.y - y) };
  const scale = right.x * down.y - down.x * right.y;
  const unit = { x: ((x - p0.x) * down.y - down.x * (y - p0.y)) / scale, y: (right.x * (y - p0.y) - (x - p0.x) * right.y) / scale };
  return Number.isFinite(unit.x) && Number.isFinite(unit.y) ? unit : undefined;
}

/** A point of the unit square in frame pixels. (0, 0) is the top left corner of the first pixel, and (0.5, 0.5) its middle. */
export function toFrame(unit: Point, frame: Size): Point {
  return { x: unit.x * frame.width, y: unit.y * frame.height };
}

export function isInside(point: Point, frame: Size): boolean {
  return point.x >= 0 && point.y >= 0 && point.x < frame.width && point.y < frame.height;
}
