"""Measured times as figures, and figures as a table. Pure; must not know what was timed, nor how."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np


@dataclass(frozen=True)
class Spread:
    """How long something takes, in milliseconds: median, 95th and 99th percentile, mean. NaN of no times at all."""

    p50_ms: float
    p95_ms: float
    p99_ms: float
    mean_ms: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Spread:
        if not seconds:
            return cls(math.nan, math.nan, math.nan, math.nan)
        p50, p95, p99 = (float(value) * 1000 for value in np.percentile(seconds, (50, 95, 99)))
        return cls(p50, p95, p99, float(np.mean(seconds)) * 1000)


@dataclass(frozen=True)
class Row:
    """One thing that was timed, at one frame size."""

    size: str
    what: str
    times: Spread
    fps: float = math.nan
    """Frames a second if nothing else is done. Of a stream to a viewer, those that arrived."""
    mbps: float = math.nan
    """At the frame rate that was asked for."""
    ratio: float = math.nan
    """Raw bytes divided by packed bytes."""
    note: str = ""


TITLES: Final = ("size", "what", "p50 ms", "p95 ms", "p99 ms", "frames/s", "Mbps", "raw : packed", "")
TEXT_COLUMNS: Final = (0, 1, 8)
"""The columns without numbers, aligned to the left."""


def table(rows: Sequence[Row]) -> str:
    """Markdown, padded so that its source reads as a table."""
    lines = [list(TITLES), [("---" if i in TEXT_COLUMNS else "---:") for i in range(len(TITLES))], *map(_cells, rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(TITLES))]
    return "\n".join(f"| {' | '.join(_padded(line, widths))} |" for line in lines)


def _padded(line: Sequence[str], widths: Sequence[int]) -> list[str]:
    return [
        cell.ljust(width) if i in TEXT_COLUMNS else cell.rjust(width)
        for i, (cell, width) in enumerate(zip(line, widths, strict=True))
    ]


def _cells(row: Row) -> list[str]:
    times = row.times
    spread = [_text(value, 3 if times.p50_ms < 1 else 1) for value in (times.p50_ms, times.p95_ms, times.p99_ms)]
    numbers = [_text(row.fps, 0), _text(row.mbps, 1), _text(row.ratio, 1)]
    return [row.size, row.what, *spread, *numbers, row.note]


def _text(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else "-"
