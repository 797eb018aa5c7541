"""Test patterns, as `framewire demo` shows them. Must not know displays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from framewire.frame import Pixels

Pattern = Callable[[int], Pixels]
"""Renders the frame of a number, counted from 0, as RGB of shape (height, width, 3)."""

BACKGROUND: Final = (17, 20, 26)
CURVES: Final = ((86, 180, 233), (230, 159, 0), (0, 200, 140), (240, 110, 160))


def bouncing_box(width: int, height: int) -> Pattern:
    """A bright square that moves over a dark grid: motion with sharp edges."""
    ground = np.empty((height, width, 3), np.uint8)
    ground[:] = BACKGROUND
    ground[:: max(1, height // 12)] = (34, 39, 48)
    ground[:, :: max(1, height // 12)] = (34, 39, 48)
    side = max(2, min(width, height) // 5)

    def render(number: int) -> Pixels:
        frame = ground.copy()
        x = _bounce(number * max(1, width // 160), width - side)
        y = _bounce(number * max(1, height // 120), height - side)
        frame[y : y + side, x : x + side] = (240, 120, 40)
        inner = side // 6
        frame[y + inner : y + side - inner, x + inner : x + side - inner] = (255, 200, 120)
        return frame

    return render


def plot(width: int, height: int) -> Pattern:
    """Thin coloured curves that run over a grid: hard for codecs, and common in science."""
    paper = np.empty((height, width, 3), np.uint8)
    paper[:] = (250, 250, 248)
    step = max(8, height // 10)
    paper[::step] = (225, 228, 232)
    paper[:, ::step] = (225, 228, 232)
    columns = np.arange(width)
    t = columns / width * 4 * np.pi

    def render(number: int) -> Pixels:
        frame = paper.copy()
        phase = number / 30
        for i, ink in enumerate(CURVES):
            wave = np.sin(t * (1 + i / 2) + phase * (1 + i / 3)) * np.cos(t / 3 - phase / (i + 2))
            rows = (height / 2 + wave * height * (0.42 - 0.06 * i)).astype(int)
            rise = np.diff(rows, append=rows[-1:])
            colour = tuple(int(c * 0.8) for c in ink)
            # Fill the column towards its neighbour's row, so that steep parts are lines and not dots.
            for part in range(8):
                frame[np.clip(rows + rise * part // 8, 0, height - 1), columns] = colour
        return frame

    return render


def plasma(width: int, height: int) -> Pattern:
    """A smooth field of colour. Nearly every pixel changes in every frame."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    turn = 256 / max(width, height)
    radius = (np.hypot(x - width / 2, y - height / 2) * turn * 2.5).astype(np.uint8)
    columns = (np.arange(width) * turn * 1.5).astype(np.uint8)
    rows = (np.arange(height) * turn * 2).astype(np.uint8)[:, None]
    sine = (np.sin(np.arange(256) / 256 * 2 * np.pi) * 42).astype(np.int8).view(np.uint8)
    rings = radius.tobytes()
    palette = [channel.tobytes() for channel in _palette()]

    def render(number: int) -> Pixels:
        # Sums of bytes wrap around, as the palette does, so no pixel needs a float or a sine. `bytes.translate` looks
        # bytes up four times as fast as indexing an array.
        around = rings.translate(np.roll(sine, number * 2).tobytes())
        field = np.frombuffer(bytearray(around), np.uint8).reshape(height, width)
        field += sine[columns + np.uint8(number % 256)] + sine[rows - np.uint8(number * 3 // 2 % 256)]
        field += np.uint8(number // 2 % 256)
        frame = np.empty((height, width, 3), np.uint8)
        flat = field.tobytes()
        for channel, table in enumerate(palette):
            frame[:, :, channel] = np.frombuffer(flat.translate(table), np.uint8).reshape(height, width)
        return frame

    return render


def test_card(width: int, height: int) -> Pattern:
    """Colour bars, a gray ramp, fine lines and a running hand: shows colours, range and sharpness at a glance."""
    card = np.zeros((height, width, 3), np.uint8)
    bars = (
        (235, 235, 235),
        (235, 235, 16),
        (16, 235, 235),
        (16, 235, 16),
        (235, 16, 235),
        (235, 16, 16),
        (16, 16, 235),
    )
    edges = np.linspace(0, width, len(bars) + 1).astype(int)
    top, middle = int(height * 0.55), int(height * 0.7)
    for bar, left, right in zip(bars, edges[:-1], edges[1:], strict=True):
        card[:top, left:right] = bar
    card[top:middle] = np.linspace(0, 255, width).astype(np.uint8)[None, :, None]
    lines = np.arange(width)
    for i, period in enumerate((2, 4, 8, 16)):
        left, right = i * width // 4, (i + 1) * width // 4
        card[middle:, left:right] = np.where((lines[left:right] // max(1, period // 2)) % 2, 255, 0)[None, :, None]
    radius = max(2, min(width, height) // 6)
    centre = (height // 2, width // 2)
    y, x = np.mgrid[0:height, 0:width]
    disc = (y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= radius**2
    card[disc] = BACKGROUND
    reach = np.linspace(0, radius * 0.9, radius * 2)

    def render(number: int) -> Pixels:
        frame = card.copy()
        angle = number / 60 * 2 * np.pi
        ys = (centre[0] - np.cos(angle) * reach).astype(int)
        xs = (centre[1] + np.sin(angle) * reach).astype(int)
        for dy in range(-2, 3):
            frame[np.clip(ys + dy, 0, height - 1), np.clip(xs, 0, width - 1)] = (255, 90, 60)
        return frame

    return render


PATTERNS: Final[dict[str, Callable[[int, int], Pattern]]] = {
    "bouncing_box": bouncing_box,
    "plot": plot,
    "plasma": plasma,
    "test_card": test_card,
}


def _bounce(position: int, span: int) -> int:
    """A position that runs from 0 to ``span`` and back, over and over."""
    if span <= 0:
        return 0
    position %= 2 * span
    return position if position <= span else 2 * span - position


def _palette() -> Pixels:
    """A smooth circle of 256 colours, of shape (3, 256): from indigo over teal and gold back to indigo."""
    t = np.linspace(0, 2 * np.pi, 256, endpoint=False)[:, None]
    centre, swing = np.array([128, 118, 132]), np.array([96, 88, 92])
    return np.ascontiguousarray((centre + swing * np.cos(t + np.array([0.3, 2.2, 4.4]))).astype(np.uint8).T)
