// Where the picture lies, and what pixel is under a point. Must not know the DOM.
import { describe, expect, test } from "vitest";
import { type Corners, codedSize, isHalved, isInside, type Point, place, type Rect, toFrame, toUnit, visiblePart } from "../src/core/geometry";

const box = { width: 400, height: 300 };

describe("a frame in a box", () => {
  test("contain leaves bars where the shapes differ", () => {
    expect(place(box, { width: 200, height: 100 }, "contain")).toEqual({ x: 0, y: 50, width: 400, height: 200 });
    expect(place(box, { width: 100, height: 100 }, "contain")).toEqual({ x: 50, y: 0, width: 300, height: 300 });
  });
  test("cover overflows instead", () => {
    expect(place(box, { width: 200, height: 100 }, "cover")).toEqual({ x: -100, y: 0, width: 600, height: 300 });
  });
  test("fill stretches", () => {
    expect(place(box, { width: 7, height: 5 }, "fill")).toEqual({ x: 0, y: 0, ...box });
  });
  test.each([[0, 0], [0, 5], [5, 0]])("a frame of unknown size (%i by %i) takes the box", (width, height) => {
    expect(place(box, { width, height }, "contain")).toEqual({ x: 0, y: 0, ...box });
  });
  test("a frame of one pixel is as large as any", () => {
    expect(place(box, { width: 1, height: 1 }, "contain")).toEqual({ x: 50, y: 0, width: 300, height: 300 });
  });
});

/** The corners of a rectangle on the page, moved by `map`. */
function cornersOf({ x, y, width, height }: Rect, map: (point: Point) => Point = (point) => point): Corners {
  return [map({ x, y }), map({ x: x + width, y }), map({ x: x + width, y: y + height }), map({ x, y: y + height })];
}

describe("a point of the page", () => {
  const frame = { width: 200, height: 100 };
  const pixel = (point: Point, corners: Corners): Point | undefined => {
    const unit = toUnit(point, corners);
    return unit && toFrame(unit, frame);
  };
  const picture = place(box, frame, "contain");
  test.each([
    [{ x: 0, y: 50 }, { x: 0, y: 0 }, true],
    [{ x: 1, y: 51 }, { x: 0.5, y: 0.5 }, true],
    [{ x: 399, y: 249 }, { x: 199.5, y: 99.5 }, true],
    [{ x: 400, y: 250 }, { x: 200, y: 100 }, false],
    [{ x: 400, y: 150 }, { x: 200, y: 50 }, false],
    [{ x: 200, y: 250 }, { x: 100, y: 100 }, false],
    [{ x: -2, y: 150 }, { x: -1, y: 50 }, false],
    [{ x: 10, y: 10 }, { x: 5, y: -20 }, false],
  ])("%o is frame pixel %o", (point, expected, inside) => {
    const found = pixel(point, cornersOf(picture)) as Point;
    expect(found.x).toBeCloseTo(expected.x);
    expect(found.y).toBeCloseTo(expected.y);
    expect(isInside(expected, frame)).toBe(inside);
  });
  test("in a cropped picture the hidden part counts", () => {
    expect(pixel({ x: 0, y: 0 }, cornersOf(place(box, frame, "cover")))?.x).toBeCloseTo(100 / 3);
  });
  const turn = ({ x, y }: Point): Point => ({ x: 300 + 0.6 * x - 0.8 * y, y: -20 + 0.8 * x + 0.6 * y });
  const skew = ({ x, y }: Point): Point => ({ x: 2 * x + 0.5 * y - 7, y: 0.25 * x - 1.5 * y + 90 });
  const tilt = ({ x, y }: Point): Point => ({ x: (3 * x + y + 40) / (0.001 * x + 0.002 * y + 1), y: (0.5 * x + 2 * y - 10) / (0.001 * x + 0.002 * y + 1) });
  test.each([["turned", turn], ["skewed and mirrored", skew], ["tilted", tilt]])("is found in a picture that is %s", (_, map) => {
    for (const point of [{ x: 0, y: 50 }, { x: 123, y: 77 }, { x: 399, y: 249 }, { x: 450, y: 20 }]) {
      const found = pixel(map(point), cornersOf(picture, map)) as Point;
      expect(found.x).toBeCloseTo(point.x / 2, 6);
      expect(found.y).toBeCloseTo((point.y - 50) / 2, 6);
    }
  });
  test("in a view of one pixel is found, and in one of no size nothing divides by zero", () => {
    expect(pixel({ x: 0.5, y: 0.5 }, cornersOf({ x: 0, y: 0, width: 1, height: 1 }))).toEqual({ x: 100, y: 50 });
    for (const flat of [{ width: 0, height: 0 }, { width: 3, height: 0 }, { width: 0, height: 3 }]) {
      expect(pixel({ x: 3, y: 3 }, cornersOf({ x: 0, y: 0, ...flat }))).toBeUndefined();
    }
  });
});

describe("a padded video", () => {
  test.each([
    [{ width: 641, height: 481 }, { width: 642, height: 482 }],
    [{ width: 1, height: 1 }, { width: 16, height: 16 }],
    [{ width: 640, height: 480 }, { width: 640, height: 480 }],
  ])("%o travels as %o", (frame, coded) => {
    expect(codedSize(frame)).toEqual(coded);
    expect(visiblePart(coded, frame)).toEqual(frame);
  });
  test.each([
    [{ width: 1280, height: 720 }, { width: 640, height: 360 }],
    [{ width: 1281, height: 721 }, { width: 642, height: 362 }],
    [{ width: 260, height: 130 }, { width: 130, height: 66 }],
  ])("%o at half size is %o", (frame, half) => {
    expect(isHalved(half, frame)).toBe(true);
    expect(visiblePart(half, frame)).toEqual({ width: frame.width / 2, height: frame.height / 2 });
  });
  test("of full size is not at half of it, however small", () => {
    for (const frame of [{ width: 1, height: 1 }, { width: 16, height: 16 }, { width: 30, height: 20 }]) {
      expect(isHalved(codedSize(frame), frame)).toBe(false);
    }
  });
  test.each([{ width: 642, height: 240 }, { width: 320, height: 482 }, { width: 322, height: 480 }])("that fits in one direction only (%o) is shown whole", (video) => {
    expect(isHalved(video, { width: 641, height: 481 })).toBe(false);
    expect(visiblePart(video, { width: 641, height: 481 })).toEqual(video);
  });
  test("of a size that is not the stream's any more is shown whole", () => {
    expect(visiblePart({ width: 320, height: 240 }, { width: 641, height: 481 })).toEqual({ width: 320, height: 240 });
  });
});
