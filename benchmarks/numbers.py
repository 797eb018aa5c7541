"""Computes the table's numbers from what was published and what was seen. Pure; must not know which system streams."""

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

FROZEN_S = 0.2
"""A longer gap between two pictures counts as frozen."""
STABLE_S = 0.12
"""Latency is stable where 95 % of a second's frames take less than half a round trip and this."""
STEP_S = 0.1
"""A sliding second is judged at these intervals."""
BEFORE_S = 5.0
"""The state before a link changes is that of this time before."""
USED_FRACTION = 0.8
"""The link counts as used when the stream takes this part of what it could take."""
COLOURED = 48
"""A pixel counts as coloured when two of its three values differ by more than this."""
SHARP_DB = 45.0
"""A picture of at least this PSNR counts as the published one."""
REST_S = 3.0, 8.0
"""A stream counts as at rest between these times after the last motion."""
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
    """Of the server's processes: what would be free without them (USS)."""
    first_ms: float = NAN
    fall_behind_ms: float = NAN
    """The oldest that the picture on the screen was from the link's fall to its rise; only where its rate falls."""
    stable_s: float = NAN
    """From the fall until latencies stay within half a round trip and 120 ms."""
    narrow_p95_ms: float = NAN
    """Latency in the last seconds before the rise, for systems that never become stable."""
    rise_behind_ms: float = NAN
    """The oldest that the picture was after the rise."""
    demand_mbps: float = NAN
    """What the stream sent in the last seconds before the fall."""
    offered_mbps: float = NAN
    """What the link carries after the rise."""
    used_s: float = NAN
    """From the rise until 80 % of the less of these two was used for a second."""
    correct_ms: float = NAN
    """From the last publish until that frame is on the screen; only where a scenario stops."""
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
    """(seconds since the window began, what the link carries from then on)."""
    sharpness: list[tuple[float, float]] = field(default_factory=list, repr=False)
    """(seconds since the last publish, dB) of screenshots that show that frame's number."""


MEASURED = tuple(f.name for f in fields(Outcome) if f.type == "float")


def watch(outcome: Outcome, seen: Sequence[Sighting], sent: Mapping[int, float], begin: float, end: float) -> None:
    """Fill in what the probe saw on the screen from ``begin`` to ``end``."""
    window = [one for one in seen if begin <= one.at <= end]
    # A window without frames at its edges is frozen there as well.
    moments = [begin, *(one.at for one in window), end]
    gaps = [after - before for before, after in itertools.pairwise(moments)]
    outcome.shown = [(one.at - begin, (one.at - sent[one.number]) * 1000) for one in window if one.number in sent]
    outcome.shown_by = "+".join(dict.fromkeys(one.element for one in window))
    outcome.fps = len(window) / (end - begin)
    outcome.gap_ms = max(gaps) * 1000
    outcome.frozen_s = sum(gap for gap in gaps if gap > FROZEN_S)
    delays = [delay for _, delay in outcome.shown]
    if delays:
        outcome.p50_ms, outcome.p95_ms, outcome.p99_ms = (float(v) for v in np.percentile(delays, (50, 95, 99)))


class ByteCount(NamedTuple):
    """Bytes that the server's end had sent to the viewer by a moment."""

    at: float
    """Seconds since the Unix epoch."""
    octets: int


class Screenshot(NamedTuple):
    """A screenshot, compared with the frame whose number it shows."""

    at: float
    """When it was complete, in seconds since the Unix epoch; it shows the screen of at most 0.1 s before."""
    number: int
    psnr_db: float
    error_p99: float
    colour_db: float = NAN


def note_bytes(outcome: Outcome, counts: Sequence[ByteCount], link: Link | None, began: float, begin: float) -> None:
    """Note what passed over the link, and the link's rate; its schedule ``began`` then, the window at ``begin``."""
    outcome.octets = [(one.at - begin, one.octets - counts[0].octets) for one in counts]
    if link and all(phase.rate for phase in link.phases):
        steps = zip(link.starts, link.phases, strict=True)
        outcome.link_mbps = [(began + start - begin, phase.rate / 1e6) for start, phase in steps]


def follow(
    outcome: Outcome,
    seen: Sequence[Sighting],
    sent: Mapping[int, float],
    counts: Sequence[ByteCount],
    link: Link,
    began: float,
    end: float,
) -> None:
    """Fill in how picture and bitrate follow a link that falls and rises again; its schedule started at ``began``."""
    assert len(link.phases) == 3, "a scenario's link is steady, or falls and rises again"
    (_, down, up), (_, narrow, wide) = link.starts, link.phases
    fall, rise = began + down, began + up
    outcome.fall_behind_ms = behind(seen, sent, fall, rise) * 1000
    outcome.rise_behind_ms = behind(seen, sent, rise, end) * 1000
    outcome.stable_s = stable(seen, sent, fall, rise, narrow.delay + STABLE_S)
    narrow_delays = [
        one.at - sent[one.number] for one in seen if rise - BEFORE_S < one.at < rise and one.number in sent
    ]
    outcome.narrow_p95_ms = float(np.percentile(narrow_delays, 95)) * 1000 if narrow_delays else NAN
    demand = rate(counts, fall - BEFORE_S, fall)
    outcome.demand_mbps, outcome.offered_mbps = demand / 1e6, wide.rate / 1e6
    outcome.used_s = used(counts, rise, end, USED_FRACTION * min(demand, wide.rate))


def rest(
    outcome: Outcome,
    seen: Sequence[Sighting],
    sent: Mapping[int, float],
    counts: Sequence[ByteCount],
    screenshots: Sequence[Screenshot],
) -> None:
    """Fill in when and how well the last published frame is shown."""
    if not sent:
        return
    last = max(sent)
    outcome.correct_ms = min((one.at - sent[last] for one in seen if one.number == last), default=math.inf) * 1000
    right = [each for each in screenshots if each.number == last]
    outcome.sharpness = [(each.at - sent[last], each.psnr_db) for each in right]
    sharp = [each.at - sent[last] for each in right if each.psnr_db >= SHARP_DB]
    outcome.settled_ms = min(sharp, default=math.inf) * 1000
    if right:
        outcome.psnr_db = outcome.still_psnr_db = right[-1].psnr_db
        outcome.error_p99 = right[-1].error_p99
    outcome.rest_kbps = rate(counts, sent[last] + REST_S[0], sent[last] + REST_S[1]) / 1000


def behind(seen: Sequence[Sighting], sent: Mapping[int, float], begin: float, end: float) -> float:
    """Seconds: the greatest age of the picture on the screen from ``begin`` to ``end``. A picture is oldest just before
    another one replaces it. NaN where nothing was on the screen."""
    known = [one for one in seen if one.number in sent]
    ends = [*(one.at for one in known[1:]), math.inf]
    ages = [
        min(over, end) - sent[one.number]
        for one, over in zip(known, ends, strict=False)
        if one.at < end and over > begin
    ]
    return max(ages, default=NAN)


def stable(seen: Sequence[Sighting], sent: Mapping[int, float], begin: float, end: float, bound: float) -> float:
    """Seconds from ``begin`` until latency is stable up to ``end``: each second shows 95 % of its frames in ``bound``.

    A second without frames is not stable. Infinite where the last second is not stable.
    """
    at = np.array([one.at for one in seen if one.number in sent])
    delays = np.array([one.at - sent[one.number] for one in seen if one.number in sent])
    unstable_until = 0.0
    for step in range(1, round((end - begin) / STEP_S) + 1):
        now = begin + step * STEP_S
        second = delays[(at > now - 1) & (at <= now)]
        if not second.size or np.percentile(second, 95) >= bound:
            unstable_until = step * STEP_S
    return unstable_until if unstable_until < end - begin - STEP_S / 2 else math.inf


def rate(counts: Sequence[ByteCount], begin: float, end: float) -> float:
    """Bits a second between two moments; NaN where the counts do not reach that far."""
    if not counts or begin < counts[0].at or end > counts[-1].at or begin >= end:
        return NAN
    octets = np.interp([begin, end], [one.at for one in counts], [one.octets for one in counts])
    return float(octets[1] - octets[0]) * 8 / (end - begin)


def used(counts: Sequence[ByteCount], begin: float, end: float, wanted: float) -> float:
    """Seconds from ``begin`` until the second before had ``wanted`` bits; infinite where none had before ``end``."""
    if math.isnan(wanted):
        return NAN
    moments = (begin + step * STEP_S for step in range(1, int((end - begin) / STEP_S) + 1))
    return next((now - begin for now in moments if rate(counts, now - 1, now) >= wanted), math.inf)


def psnr(painted: np.ndarray, published: np.ndarray) -> tuple[float, float]:
    """(PSNR in dB, capped at 99; 99th percentile of the absolute error) of two uint8 RGB pictures."""
    error = np.abs(painted.astype(np.int16) - published.astype(np.int16))
    mean = float(np.mean(np.square(error, dtype=np.int32)))
    ratio = 10 * np.log10(255**2 / mean) if mean else 99.0
    return float(min(99.0, ratio)), float(np.percentile(error, 99))


def coloured(pixels: np.ndarray) -> np.ndarray:
    """Where uint8 RGB pixels have a colour, and one pixel around them: there halved chroma blurs."""
    strokes = np.ptp(pixels, axis=2) > COLOURED
    around: np.ndarray = np.zeros_like(strokes)
    for row in (-1, 0, 1):
        for column in (-1, 0, 1):
            around |= np.roll(strokes, (row, column), (0, 1))
    return around


def median_of(outcomes: Iterable[Outcome]) -> Outcome:
    """The runs of one system in one scenario as one outcome: the median of each number, and all frames."""
    runs = list(outcomes)
    good = [run for run in runs if not run.error] or runs
    merged = Outcome(good[0].system, good[0].scenario, good[0].shown_by, error=good[0].error)
    for name in MEASURED:
        values = [value for run in good if not np.isnan(value := getattr(run, name))]
        setattr(merged, name, statistics.median(values) if values else NAN)
    merged.shown = [frame for run in good for frame in run.shown]
    # These are of one run, as a sum over runs means nothing.
    for name in ("octets", "link_mbps", "sharpness"):
        setattr(merged, name, getattr(good[0], name))
    return merged
