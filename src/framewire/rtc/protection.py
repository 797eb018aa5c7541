"""How much parity a frame gets, and how large it may be: what loss does to frames, and what to do about it. Must not
know packets' contents, sockets or clocks.

A frame of n packets is late by a round trip if one of them is lost, and so are all after it. Parity costs bits and
saves the round trip; where that is short, or little is lost, it does not pay.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from framewire.rtc.twcc import Outcome

MEMORY = 1200
"""Packets that the averages speak of, about: at 1 % loss some ten losses."""
RUSH = 200
"""Likewise while loss is rising."""
LITTLE = 0.001
"""Fraction lost below which nothing is done."""
NEAR = 0.015
"""Seconds of round trip within which asking again is as good."""
STUTTER = 0.05
"""Of the time that may be spent waiting for retransmissions: fraction of frames that need one times how long, in
frames, each holds up the others."""
MOST = 0.5
"""Parity packets for each packet, at most; but one for any frame."""
SMALL = 3
"""Packets up to which each may have a parity of its own, where they are lost in bursts."""

LEAST = 0.004
"""Fraction lost below which the bitrate is left alone."""
CEILING_AT, CEILING, STEEPNESS = 0.01, 10e6, 0.6
"""Fraction lost and the bits a second of media that are sent then, and how fast that falls with loss. Smaller
frames arrive whole more often."""


class LossModel:
    """What share of packets is lost, and in runs of which length."""

    def __init__(self) -> None:
        self.fraction = 0.0
        self._runs = 0.0
        self._last_lost = False
        self._fast = 0.0

    @property
    def burst(self) -> float:
        """Packets lost in a row, on average; 1 if each is lost on its own."""
        return max(1.0, self.fraction / self._runs) if self._runs > 1e-6 else 1.0

    def feed(self, outcomes: Sequence[Outcome]) -> None:
        """Outcomes in the order that the packets left in. What arrives late was not lost, but not in time either."""
        for outcome in outcomes:
            if outcome.late:
                continue
            lost = outcome.arrived_at is None
            self._fast += (lost - self._fast) / RUSH
            self.fraction += (lost - self.fraction) / MEMORY
            self._runs += ((lost and not self._last_lost) - self._runs) / MEMORY
            self._last_lost = lost
        if self._fast > 2 * self.fraction:
            # Known sooner than the long average would tell.
            scale = self._fast / max(self.fraction, 1e-6)
            self.fraction, self._runs = self._fast, min(self._runs * scale, self._fast)


def parity_count(packets: int, fraction: float, burst: float, rtt: float, interval: float) -> int:
    """Parities for a frame of so many packets.

    ``fraction`` is lost in runs of ``burst``; asking again takes ``rtt`` seconds, and frames come every ``interval``.
    """
    if fraction < LITTLE or rtt < NEAR:
        return 0
    most = packets if packets <= SMALL and burst > 1.5 else max(1, round(packets * MOST))
    allowed = STUTTER / (1 + rtt / interval)
    return next((count for count in range(1, most) if failing(packets, count, fraction, burst) <= allowed), most)


def failing(packets: int, count: int, fraction: float, burst: float) -> float:
    """About the fraction of frames that so many parities cannot restore, each covering every count-th packet.

    Runs of losses begin at random and end with the same chance at each packet (Gilbert's model). A frame fails if one
    run is longer than there are parities, or if two meet in what one parity covers.
    """
    runs = (packets + count) * fraction / burst
    some = 1 - math.exp(-runs)
    several = some - runs * math.exp(-runs)
    return some * (1 - 1 / burst) ** count + several * min(1.0, burst * burst / count)


def ceiling(fraction: float) -> float:
    """Bits a second of media that make sense where so much is lost."""
    return CEILING * float((CEILING_AT / fraction) ** STEEPNESS) if fraction > LEAST else math.inf
