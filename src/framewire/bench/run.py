"""Everything that is timed, size by size, and the machine it is timed on. Must not know how it is timed or shown."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any, Final

from framewire._version import __version__
from framewire.bench.codecs import clip_of, colours, encoding, lossless
from framewire.bench.figures import Row
from framewire.bench.live import live
from framewire.codec.colour import cv2
from framewire.options import MAX_BITRATE_BPS
from framewire.patterns import PATTERNS

CLIP_FRAMES: Final = 16
"""Pictures of a clip: 100 MB in 1080p.

Source: chosen by hand."""


def run(sizes: Iterable[tuple[int, int]], content: str, fps: float, seconds: float) -> Iterator[Row]:
    """Each row as soon as it is known: nine for each size, about ``seconds`` each.

    Raises ``EngineError`` where the engine cannot be started.
    """
    for width, height in sizes:
        size = f"{width}x{height}"
        clip = clip_of(PATTERNS[content](width, height), CLIP_FRAMES)
        yield from encoding(size, clip, fps, MAX_BITRATE_BPS, seconds)
        yield from colours(size, clip, fps, seconds)
        yield from lossless(size, clip, fps, seconds)
        yield from live(size, clip, fps, seconds)


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    return {
        "framewire": __version__,
        "system": platform.platform(),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "colours": "swscale" if cv2 is None else f"OpenCV {cv2.__version__}",
    }


def facts(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """The rows as plain values, with None for NaN, which JSON does not have."""
    plain: list[dict[str, Any]] = [_known(asdict(row)) for row in rows]
    return plain


def _known(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _known(each) for key, each in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
