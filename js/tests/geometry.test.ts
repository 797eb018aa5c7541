// Where the picture lies, and what pixel is under a point. Must not know the DOM.
import { describe, expect, test } from "vitest";
import { codedSize, isHalved, isInside, place, toFrame, visiblePart } from "../src/core/geometry";

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

describe("a point of the view", () => {
  const frame = { width: 200, height: 100 };
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
  ])("%o is frame pixel %o", (point, pixel, inside) => {
    const found = toFrame(point, picture, frame);
    expect(found).toEqual(pixel);
    expect(isInside(found, frame)).toBe(inside);
  });
  test("in a cropped picture the hidden part counts", () => {
    expect(toFrame({ x: 0, y: 0 }, place(box, frame, "cover"), frame).x).toBeCloseTo(100 / 3);
  });
  test("in a view of one pixel is found, and in one of no size nothing divides by zero", () => {
    expect(toFrame({ x: 0.5, y: 0.5 }, { x: 0, y: 0, width: 1, height: 1 }, frame)).toEqual({ x: 100, y: 50 });
    expect(toFrame({ x: 3, y: 3 }, { x: 0, y: 0, width: 0, height: 0 }, frame)).toEqual({ x: 0, y: 0 });
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
