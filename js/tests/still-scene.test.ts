// When a scene under video is still, and when it moves again. Must not know subscriptions.
import { expect, test } from "vitest";
import { StillScene } from "../src/core/still-scene";

/** A scene that was still at `now` and moved again after `for_ms`. */
function moveAgain(scene: StillScene, now: number, for_ms: number): void {
  scene.observe(100_000, now);
  expect(scene.painted(1, now + 10)).toBe("exact");
  expect(scene.painted(1, now + for_ms)).toBe("moving");
}

/** How long the newest frame must have been the newest; 0.5 ms exact. */
function waitOf(scene: StillScene): number {
  for (let ms = 0; ms <= 10_000; ms += 1) {
    scene.observe(ms, 0);
    if (scene.active) return ms - 1;
  }
  return Infinity;
}

test("a scene is still after 400 ms", () => {
  expect(waitOf(new StillScene())).toBe(400);
});

test("the first exact picture is the still scene, the second says that it moves again", () => {
  const scene = new StillScene();
  expect(scene.painted(1, 0)).toBeUndefined();
  scene.observe(500, 1000);
  expect(scene.active).toBe(true);
  expect(scene.painted(1, 1100)).toBe("exact");
  expect(scene.active).toBe(true);
  expect(scene.painted(1, 9000)).toBe("moving");
  expect(scene.active).toBe(false);
});

test("two exact pictures at once say that it moves", () => {
  const scene = new StillScene();
  scene.observe(500, 1000);
  expect(scene.painted(2, 1100)).toBe("moving");
});

test("the wait doubles each time that the scene was still only briefly, up to eight seconds", () => {
  const scene = new StillScene();
  for (const wait of [800, 1600, 3200, 6400, 8000, 8000]) {
    moveAgain(scene, 10_000, 2999);
    expect(waitOf(scene)).toBe(wait);
    scene.clear();
  }
});

test("the wait is 400 ms again after a scene that was still for three seconds", () => {
  const scene = new StillScene();
  moveAgain(scene, 0, 100);
  moveAgain(scene, 50_000, 3000);
  expect(waitOf(scene)).toBe(400);
});

test("observing again does not change when the scene became still", () => {
  const scene = new StillScene();
  scene.observe(500, 0);
  scene.observe(2500, 2000);
  scene.painted(1, 2000);
  scene.painted(1, 3000);
  expect(waitOf(scene)).toBe(400);
});

test("the end of the video ends it, and keeps the wait", () => {
  const scene = new StillScene();
  moveAgain(scene, 0, 100);
  scene.observe(5000, 200);
  scene.clear();
  expect(scene.active).toBe(false);
  expect(waitOf(scene)).toBe(800);
});
