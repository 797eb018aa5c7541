"""From what was published and what was seen to the numbers of the table. Pure; must not know who streams."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import NamedTuple

import numpy as np

from benchmarks.link_model import Link
from benchmarks.probe import Sighting

FROZEN = 0.2
"""Seconds between two pictures from which on a viewer calls it frozen."""
CALM = 0.12
"""Seconds above half a round trip that 95 % of a second's frames may take where a link is called calm."""
STEP = 0.1
"""Seconds from one look at a sliding second to the next."""
BEFORE = 5.0
"""Seconds before a link changes by which it is said how things were."""
ENOUGH = 0.8
"""Of what could be used: so much of it is called used again."""
COLOURED = 48
"""Difference of two of a pixel's three values from which it counts as coloured."""
SHARP = 45.0
"""dB: what passes for the picture itself."""
REST = 3.0, 8.0
"""Seconds after the last motion between which a stream is at rest."""
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
    colour_db: float = NAN
    """PSNR where the published frame is coloured."""
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
    fall_behind_ms: float = NAN
    """The oldest that the picture on the screen was from the link's fall to its rise; only where its rate falls."""
    calm_s: float = NAN
    """From the fall until latencies stay within half a round trip and 120 ms."""
    thin_p95_ms: float = NAN
    """Latency in the last seconds before the rise, for those who never come within that."""
    rise_behind_ms: float = NAN
    """The oldest that the picture was after the rise."""
    demand_mbps: float = NAN
    """What the stream took in the last seconds before the fall."""
    offered_mbps: float = NAN
    """What the link takes after the rise."""
    used_s: float = NAN
    """From the rise until 80 % of the less of these two was used for a second."""
    correct_ms: float = NAN
    """From the last publish until that very frame is on the screen; only where a scenario stops."""
    settled_ms: float = NAN
    """From the last publish until that frame is on the screen with 45 dB."""
    still_psnr_db: float = NAN
    rest_kbps: float = NAN
    """From the server, 3 to 8 seconds after the last publish."""
    error: str = ""
    shown: list[tuple[float, float]] = field(default_factory=list, repr=False)
    """(seconds since the window began, latency in ms) of each frame, for plots."""
    octets: list[tuple[float, int]] = field(default_factory=list, repr=False)
    """(seconds since the window began, bytes until then) from the server."""
    link_mbps: list[tuple[float, float]] = field(default_factory=list, repr=False)
    """(seconds since the window began, what the link takes from then on)."""
    sharpness: list[tuple[float, float]] = field(default_factory=list, repr=False)
    """(seconds since the last publish, dB) of pictures of the screen that say they are that frame."""


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


class Tally(NamedTuple):
    """Bytes that the server's end had sent the viewer by a moment."""

    at: float
    """Seconds since the Unix epoch."""
    octets: int


class Look(NamedTuple):
    """A picture that was taken of the screen, against the frame that it says it is."""

    at: float
    """Seconds since the Unix epoch, when it was there; it is of a tenth of a second before, at most."""
    number: int
    psnr_db: float
    error_p99: float
    colour_db: float = NAN


def tally(outcome: Outcome, tallies: Sequence[Tally], link: Link | None, began: float, begin: float) -> None:
    """Note what went over the link, and the link itself, whose schedule ``began``, in seconds of the window."""
    outcome.octets = [(one.at - begin, one.octets - tallies[0].octets) for one in tallies]
    if link and all(phase.rate for phase in link.phases):
        steps = zip(link.starts, link.phases, strict=True)
        outcome.link_mbps = [(began + start - begin, phase.rate / 1e6) for start, phase in steps]


def follow(
    outcome: Outcome,
    seen: Sequence[Sighting],
    sent: Mapping[int, float],
    tallies: Sequence[Tally],
    link: Link,
    began: float,
    end: float,
) -> None:
    """Fill in how picture and bitrate follow a link that falls and rises again, whose schedule ``began`` then."""
    assert len(link.phases) == 3, "a scenario's link stays as it is, or falls and rises again"
    (_, down, up), (_, thin, wide) = link.starts, link.phases
    fall, rise = began + down, began + up
    outcome.fall_behind_ms = behind(seen, sent, fall, rise) * 1000
    outcome.rise_behind_ms = behind(seen, sent, rise, end) * 1000
    outcome.calm_s = calm(seen, sent, fall, rise, thin.delay + CALM)
    thin_delays = [one.at - sent[one.number] for one in seen if rise - BEFORE < one.at < rise and one.number in sent]
    outcome.thin_p95_ms = float(np.percentile(thin_delays, 95)) * 1000 if thin_delays else NAN
    demand = rate(tallies, fall - BEFORE, fall)
    outcome.demand_mbps, outcome.offered_mbps = demand / 1e6, wide.rate / 1e6
    outcome.used_s = used(tallies, rise, end, ENOUGH * min(demand, wide.rate))


def rest(
    outcome: Outcome,
    seen: Sequence[Sighting],
    sent: Mapping[int, float],
    tallies: Sequence[Tally],
    looks: Sequence[Look],
) -> None:
    """Fill in what becomes of the last frame that was published."""
    if not sent:
        return
    last = max(sent)
    outcome.correct_ms = min((one.at - sent[last] for one in seen if one.number == last), default=math.inf) * 1000
    right = [look for look in looks if look.number == last]
    outcome.sharpness = [(look.at - sent[last], look.psnr_db) for look in right]
    outcome.settled_ms = min((look.at - sent[last] for look in right if look.psnr_db >= SHARP), default=math.inf) * 1000
    if right:
        outcome.psnr_db = outcome.still_psnr_db = right[-1].psnr_db
        outcome.error_p99 = right[-1].error_p99
    outcome.rest_kbps = rate(tallies, sent[last] + REST[0], sent[last] + REST[1]) / 1000


def behind(seen: Sequence[Sighting], sent: Mapping[int, float], begin: float, end: float) -> float:
    """Seconds: the most that the picture on the screen was behind at any moment from ``begin`` to ``end``; it is oldest
    just before another one replaces it. NaN where nothing was ever on the screen."""
    known = [one for one in seen if one.number in sent]
    ends = [*(one.at for one in known[1:]), math.inf]
    ages = [
        min(over, end) - sent[one.number]
        for one, over in zip(known, ends, strict=False)
        if one.at < end and over > begin
    ]
    return max(ages, default=NAN)


def calm(seen: Sequence[Sighting], sent: Mapping[int, float], begin: float, end: float, bound: float) -> float:
    """Seconds from ``begin`` until of every second's frames 95 % are shown within ``bound`` seconds, up to ``end``; a
    second without frames is none such. Infinite where that is not so at the end."""
    at = np.array([one.at for one in seen if one.number in sent])
    delays = np.array([one.at - sent[one.number] for one in seen if one.number in sent])
    loud = 0.0
    for step in range(1, round((end - begin) / STEP) + 1):
        now = begin + step * STEP
        second = delays[(at > now - 1) & (at <= now)]
        if not second.size or np.percentile(second, 95) >= bound:
            loud = step * STEP
    return loud if loud < end - begin - STEP / 2 else math.inf


def rate(tallies: Sequence[Tally], begin: float, end: float) -> float:
    """Bits a second between two moments; NaN where the tallies do not reach that far."""
    if not tallies or begin < tallies[0].at or end > tallies[-1].at or begin >= end:
        return NAN
    octets = np.interp([begin, end], [one.at for one in tallies], [one.octets for one in tallies])
    return float(octets[1] - octets[0]) * 8 / (end - begin)


def used(tallies: Sequence[Tally], begin: float, end: float, wanted: float) -> float:
    """Seconds from ``begin`` until the second before had ``wanted`` bits; infinite where none has before ``end``."""
    if math.isnan(wanted):
        return NAN
    moments = (begin + step * STEP for step in range(1, int((end - begin) / STEP) + 1))
    return next((now - begin for now in moments if rate(tallies, now - 1, now) >= wanted), math.inf)


def psnr(painted: np.ndarray, published: np.ndarray) -> tuple[float, float]:
    """(PSNR in dB, capped at 99; 99th percentile of the absolute error) of two uint8 RGB pictures."""
    error = np.abs(painted.astype(np.int16) - published.astype(np.int16))
    mean = float(np.mean(np.square(error, dtype=np.int32)))
    ratio = 10 * np.log10(255**2 / mean) if mean else 99.0
    return float(min(99.0, ratio)), float(np.percentile(error, 99))


def coloured(pixels: np.ndarray) -> np.ndarray:
    """Where uint8 RGB pixels have a colour, and one pixel around them: that is where halved chroma smears."""
    strokes = np.ptp(pixels, axis=2) > COLOURED
    around: np.ndarray = np.zeros_like(strokes)
    for row in (-1, 0, 1):
        for column in (-1, 0, 1):
            around |= np.roll(strokes, (row, column), (0, 1))
    return around


def median_of(outcomes: Iterable[Outcome]) -> Outcome:
    """The runs of one system in one scenario as one: the median of each number, all the frames."""
    runs = list(outcomes)
    good = [run for run in runs if not run.error] or runs
    merged = Outcome(good[0].system, good[0].scenario, good[0].shown_by, error=good[0].error)
    for name in MEASURED:
        values = [value for run in good if not np.isnan(value := getattr(run, name))]
        setattr(merged, name, statistics.median(values) if values else NAN)
    merged.shown = [frame for run in good for frame in run.shown]
    # Of one run, as sums of several say nothing.
    for name in ("octets", "link_mbps", "sharpness"):
        setattr(merged, name, getattr(good[0], name))
    return merged
