"""From times to figures, and from figures to a table. Pure; must not know what was timed, nor how."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Spread:
    """How long something takes: milliseconds at the median and where 5 and 1 of 100 take longer; NaN of nothing."""

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
    """One thing that was timed, at one size."""

    size: str
    what: str
    times: Spread
    fps: float = math.nan
    """Frames a second, if nothing else is done; of a way to a viewer, those that came."""
    mbps: float = math.nan
    """At the rate that frames are said to come."""
    ratio: float = math.nan
    """Raw bytes to packed ones."""
    note: str = ""


TITLES = ("size", "what", "p50 ms", "p95 ms", "p99 ms", "frames/s", "Mbps", "raw : packed", "")
WORDS = (0, 1, 8)
"""The columns that are no numbers."""


def table(rows: Sequence[Row]) -> str:
    """Markdown that can be read as it is."""
    lines = [list(TITLES), [("---" if i in WORDS else "---:") for i in range(len(TITLES))], *map(_cells, rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(TITLES))]
    return "\n".join(f"| {' | '.join(_padded(line, widths))} |" for line in lines)


def _padded(line: Sequence[str], widths: Sequence[int]) -> list[str]:
    return [
        cell.ljust(width) if i in WORDS else cell.rjust(width)
        for i, (cell, width) in enumerate(zip(line, widths, strict=True))
    ]


def _cells(row: Row) -> list[str]:
    times = row.times
    spread = [_text(value, 3 if times.p50_ms < 1 else 1) for value in (times.p50_ms, times.p95_ms, times.p99_ms)]
    numbers = [_text(row.fps, 0), _text(row.mbps, 1), _text(row.ratio, 1)]
    return [row.size, row.what, *spread, *numbers, row.note]


def _text(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else "-"
