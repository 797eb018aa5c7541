"""From what was published and what was seen to the numbers of the table. Pure; must not know who streams."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields

import numpy as np

from benchmarks.probe import Sighting

FROZEN = 0.2
"""Seconds between two pictures from which on a viewer calls it frozen."""
NAN = float("nan")


@dataclass
class Outcome:
    """One system in one scenario, once. NaN is what was not measured."""

    system: str
    scenario: str
    shown_by: str = ""
    """video, canvas or img."""
    fps: float = NAN
    p50_ms: float = NAN
    p95_ms: float = NAN
    p99_ms: float = NAN
    gap_ms: float = NAN
    frozen_s: float = NAN
    psnr_db: float = NAN
    error_p99: float = NAN
    """99th percentile of the absolute difference of a colour, 0 to 255."""
    mbps: float = NAN
    cpu_server: float = NAN
    """Percent of one core."""
    cpu_browser: float = NAN
    others: float = NAN
    """Percent of one core that this machine spent on anything else meanwhile: how far to trust the row."""
    memory_mb: float = NAN
    """Of the server's processes, what would be free without them."""
    first_ms: float = NAN
    settled_ms: float = NAN
    """From the last motion to a picture of 45 dB; only where a scenario stops."""
    still_psnr_db: float = NAN
    error: str = ""
    shown: list[tuple[float, float]] = field(default_factory=list, repr=False)
    """(seconds since the window began, latency in ms) of each frame, for plots."""


MEASURED = tuple(f.name for f in fields(Outcome) if f.type == "float")


def watch(outcome: Outcome, seen: Sequence[Sighting], sent: Mapping[int, float], begin: float, end: float) -> None:
    """Fill in what the eye on the screen says of the window from ``begin`` to ``end``."""
    window = [one for one in seen if begin <= one.at <= end]
    # A window without frames at its edges is frozen there as well.
    moments = [begin, *(one.at for one in window), end]
    gaps = [after - before for before, after in itertools.pairwise(moments)]
    outcome.shown = [(one.at - begin, (one.at - sent[one.number]) * 1000) for one in window if one.number in sent]
    outcome.shown_by = "+".join(dict.fromkeys(one.element for one in window))
    outcome.fps = len(window) / (end - begin)
    outcome.gap_ms = max(gaps) * 1000
    outcome.frozen_s = sum(gap for gap in gaps if gap > FROZEN)
    delays = [delay for _, delay in outcome.shown]
    if delays:
        outcome.p50_ms, outcome.p95_ms, outcome.p99_ms = (float(v) for v in np.percentile(delays, (50, 95, 99)))


def psnr(painted: np.ndarray, published: np.ndarray) -> tuple[float, float]:
    """(PSNR in dB, capped at 99; 99th percentile of the absolute error) of two uint8 RGB pictures."""
    error = np.abs(painted.astype(np.int16) - published.astype(np.int16))
    mean = float(np.mean(np.square(error, dtype=np.int32)))
    ratio = 10 * np.log10(255**2 / mean) if mean else 99.0
    return float(min(99.0, ratio)), float(np.percentile(error, 99))


def median_of(outcomes: Iterable[Outcome]) -> Outcome:
    """The runs of one system in one scenario as one: the median of each number, all the frames."""
    runs = list(outcomes)
    good = [run for run in runs if not run.error] or runs
    merged = Outcome(good[0].system, good[0].scenario, good[0].shown_by, error=good[0].error)
    for name in MEASURED:
        values = [value for run in good if not np.isnan(value := getattr(run, name))]
        setattr(merged, name, statistics.median(values) if values else NAN)
    merged.shown = [frame for run in good for frame in run.shown]
    return merged
