"""1080p at 60 frames a second, while the program goes on computing."""

import time

import numpy as np

import framewire as fw

WIDTH, HEIGHT, FPS = 1920, 1080, 60

columns = np.arange(WIDTH)
paper = np.full((HEIGHT, WIDTH, 3), 250, np.uint8)
paper[::90] = paper[:, ::90] = 226


def curve(picture, rows, colour, thickness=8):
    for row in range(thickness):
        picture[rows + row - thickness // 2, columns] = colour


def draw():
    """One frame: two waves on squared paper."""
    t = time.monotonic()
    phase = columns / WIDTH * 4 * np.pi
    picture = paper.copy()
    curve(picture, (HEIGHT / 2 - 400 * np.sin(phase + 2 * t) * np.cos(0.4 * t)).astype(int), (31, 119, 180))
    curve(picture, (HEIGHT / 2 - 250 * np.sin(2 * phase - 3 * t)).astype(int), (214, 88, 39))
    return picture


if __name__ == "__main__":
    with fw.serve(WIDTH, HEIGHT, fps=FPS) as display:
        print(display.url, flush=True)
        fw.publish_loop(display, draw, fps=FPS)  # on a thread of its own: the program goes on
        display.wait()
