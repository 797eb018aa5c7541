"""The frames that every system publishes, drawn once and kept on disk. Must not know systems or viewers.

A clip is an array (frames, height, width, 3) that plays forwards and backwards in turn, so that it never jumps. Drawing
takes seconds, copying a frame takes a millisecond: so streaming is measured, not drawing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

FRAMES = 48
CONTENTS = ("plot", "field", "text", "noise", "snow", "still")
VERSION = 2
"""Increase it when a drawing changes: clips of another version are drawn again."""


def cache_folder() -> Path:
    """Where clips and the other systems' environment are kept."""
    base = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return base / "framewire-benchmarks"


def clip_path(content: str, width: int, height: int) -> Path:
    """The file of a clip, drawn first where it is not there yet."""
    path = cache_folder() / f"{content}-{width}x{height}-v{VERSION}.npy"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(f".{os.getpid()}")
        clip = np.lib.format.open_memmap(draft, "w+", np.uint8, (FRAMES, height, width, 3))
        for index, frame in enumerate(_drawn(content, width, height)):
            clip[index] = frame
        clip.flush()
        draft.rename(path)
    return path


def position(number: int, frames: int = FRAMES) -> int:
    """Which frame of a clip is published under a number: 0 1 2 … n-1 … 2 1 0 1 …"""
    place = number % (2 * frames - 2)
    return place if place < frames else 2 * frames - 2 - place


def _drawn(content: str, width: int, height: int) -> Iterator[np.ndarray]:
    return map(_DRAWERS[content](width, height), range(FRAMES))


def _plot(width: int, height: int) -> Callable[[int], np.ndarray]:
    """Thin coloured curves, ticks and a legend; the curves and one number move."""
    from framewire.patterns import plot

    curves = plot(width, height)

    def draw(number: int) -> np.ndarray:
        image, pen = _paper(curves(number))
        for tick in range(10):
            pen.text((6, tick * height // 10 + 2), f"{1 - tick / 5:+.1f}", fill=(60, 60, 60), font=_font(13))
            pen.text((tick * width // 10 + 2, height - 20), f"{tick * 0.4:.1f} s", fill=(60, 60, 60), font=_font(13))
        pen.text((width - 220, 12), f"signal, t = {number / 30:6.3f} s", fill=(20, 20, 20), font=_font(15))
        return np.asarray(image)

    return draw


def _field(width: int, height: int) -> Callable[[int], np.ndarray]:
    """A smooth field, every pixel of which changes in every frame."""
    from framewire.patterns import plasma

    return plasma(width, height)


def _text(width: int, height: int) -> Callable[[int], np.ndarray]:
    """A page of small text that scrolls three pixels a frame."""
    page = np.full((height + 3 * FRAMES, width, 3), 255, np.uint8)
    image, pen = _paper(page)
    words = "numpy frames to a browser as they are now, every pixel as it was published and proof of it".split()
    for line in range(page.shape[0] // 18):
        text = " ".join(words[(line * 7 + i * (1 + line % 3)) % len(words)] for i in range(width // 45))
        pen.text((12, line * 18), text, fill=((20, 20, 20), (150, 30, 30), (20, 60, 140))[line % 7 % 3], font=_font(13))
    page = np.asarray(image)
    return lambda number: page[3 * number : 3 * number + height]


def _noise(width: int, height: int) -> Callable[[int], np.ndarray]:
    """The smooth field on the left; on the right noise that no codec can predict, new in every frame."""
    field = _field(width, height)

    def draw(number: int) -> np.ndarray:
        frame = field(number)
        frame[:, width // 2 :] = np.random.default_rng((7, number)).integers(
            0, 256, (height, width - width // 2, 3), np.uint8
        )
        return frame

    return draw


def _snow(width: int, height: int) -> Callable[[int], np.ndarray]:
    """Nothing but chance: no two frames have anything in common, and none gets smaller."""
    return lambda number: np.random.default_rng((11, number)).integers(0, 256, (height, width, 3), np.uint8)


def _still(width: int, height: int) -> Callable[[int], np.ndarray]:
    """A plot that stands still except for one number."""
    from framewire.patterns import plot

    ground = plot(width, height)(10)

    def draw(number: int) -> np.ndarray:
        image, pen = _paper(ground)
        pen.text((width - 220, 12), f"signal, t = {number / 30:6.3f} s", fill=(20, 20, 20), font=_font(15))
        return np.asarray(image)

    return draw


_DRAWERS: dict[str, Callable[[int, int], Callable[[int], np.ndarray]]] = {
    "plot": _plot,
    "field": _field,
    "text": _text,
    "noise": _noise,
    "snow": _snow,
    "still": _still,
}


def _paper(pixels: np.ndarray) -> tuple[Any, Any]:
    from PIL import Image, ImageDraw

    image = Image.fromarray(pixels)
    return image, ImageDraw.Draw(image)


def _font(size: int) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size)
