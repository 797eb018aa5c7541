"""When the picture moves again, and what a row of the table says about many such times. Pure: arithmetic of sightings.

Must not know faults, browsers or clocks. All times are seconds of the monotonic clock, which all processes of a machine
share; a frame's number is the milliseconds since a moment that one run has chosen, so it says when it was published.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

GAP_S = 0.5
"""A picture that stands still for longer does not move."""
STEADY_S = 1.5
"""The picture moves again when it then goes on for so long."""


class Seen(NamedTuple):
    """A frame that appeared on a screen."""

    at: float
    published: float


def moving_again(seen: Sequence[Seen], since: float, until: float) -> float | None:
    """Seconds from ``since`` to the first picture published after it, from which on the picture keeps moving.

    A picture that comes and stops again is no end of the fault: a frame may reach the screen before the fault takes
    effect. None as long as it cannot be known, looking at the screen ``until`` then.
    """
    fresh = [one.at for one in seen if one.published >= since and one.at >= since]
    if not fresh or until - fresh[-1] > GAP_S:
        return None
    began = fresh[0]
    for before, after in itertools.pairwise(fresh):
        if after - before > GAP_S:
            began = after
    return began - since if until - began >= STEADY_S else None


def longest_gap(seen: Sequence[Seen], since: float, until: float) -> float:
    """The longest time without a new picture between two moments."""
    times = [since, *(one.at for one in seen if since <= one.at <= until), until]
    return max(after - before for before, after in itertools.pairwise(times))


@dataclass(frozen=True)
class Row:
    """What many repetitions of one fault took, in seconds; infinity where the picture never came back."""

    times: int
    median: float
    p95: float
    worst: float


def row(seconds: Sequence[float]) -> Row:
    """The percentiles are measured values: the smallest one that so large a part of them does not exceed."""
    ordered = sorted(seconds)
    assert ordered, "a row has repetitions"

    def part(fraction: float) -> float:
        return ordered[max(0, math.ceil(fraction * len(ordered)) - 1)]

    return Row(len(ordered), part(0.5), part(0.95), ordered[-1])
