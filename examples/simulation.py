"""A long computation that you look at now and then: its picture is drawn only while a viewer looks."""

import time

import numpy as np

import framewire as fw

HEIGHT, WIDTH = 360, 720
FRAME_INTERVAL_S = 1 / 30

height, speed = np.zeros((2, HEIGHT, WIDTH))
drops = np.random.default_rng(1)


def step():
    """Waves on a pond, and a drop that falls into it now and then."""
    global height
    if drops.random() < 0.02:
        height[drops.integers(HEIGHT), drops.integers(WIDTH)] = 60
    neighbours = np.roll(height, 1, 0) + np.roll(height, -1, 0) + np.roll(height, 1, 1) + np.roll(height, -1, 1)
    speed[:] = 0.997 * (speed + 0.4 * (neighbours - 4 * height))
    height += speed


def draw():
    """The pond in blue, crests white."""
    light = np.clip(0.4 + height / 2, 0, 1)[..., None]
    return light**2 * [1.0, 1.0, 1.0] + (1 - light) * [0.02, 0.10, 0.30]


if __name__ == "__main__":
    with fw.serve(WIDTH, HEIGHT, fps=30) as display:
        print(display.url, flush=True)
        drawn_at = 0.0
        try:
            while True:
                step()
                if display.watched and time.monotonic() - drawn_at >= FRAME_INTERVAL_S:
                    drawn_at = time.monotonic()
                    display.publish(draw())
        except KeyboardInterrupt:
            pass
