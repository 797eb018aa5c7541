"""How much parity a frame gets, and how large it may be: what loss does to frames, and what to do about it. Must not
know packets' contents, sockets or clocks.

A frame of n packets is late by a round trip if one of them is lost, and so are all after it. Parity costs bits and
saves the round trip; where that is short, or little is lost, it does not pay.
"""

from __future__ import annotations

import math

from framewire.rtc.rtp.flexfec import SECOND_COVER_MIN_PARITIES, interleaving_depths

LITTLE = 0.001
"""Fraction lost below which nothing is done."""
NEAR = 0.015
"""Seconds of round trip within which asking again is as good."""
STUTTER = 0.02
"""Of the time that may be spent waiting for retransmissions: fraction of frames that need one times how long, in
frames, each holds up the others."""
MOST, MOST_BURSTS, BURSTS = 0.5, 1.8, 1.5
"""Parity packets for each packet, at most: where they are lost alone, and in bursts of at least so many. But one for
any frame."""

TOO_LATE, TOO_LATE_FAR = 0.2, 0.05
"""Fraction of frames that come late from which a viewer holds all of them back instead: where each is a stutter, and
where it is a standing picture."""
STANDS = 0.2
"""Seconds without a frame from which the picture is seen to stand."""
LATE_MEMORY = 30
"""Frames that this fraction is taken over."""
AFTER_RTT = 0.06
"""Seconds that a retransmission takes beside the round trip: to notice the gap, for its copy, to decode."""
STEP, LONGEST = 0.01, 0.4
"""Seconds in which the delay is told, and at most."""
FAR, ROUGH = 0.08, 0.006
"""Seconds of round trip, and of jitter, from which frames are held for jitter's sake."""
JITTERS, MOST_FOR_JITTER = 3.0, 0.02
"""Times the jitter, and seconds at most, that they are."""
NOTICED = 0.015
"""Seconds: a smaller difference is left."""
SETTLED, AGAIN = 2.0, 10.0
"""Seconds until it is raised or lowered again: each change is seen."""
STRIDE = 0.01
"""Seconds, at most, by which one frame is held longer than the one before, or shorter: raised at one blow, the picture
would stand still for as long."""

TWICE = 1.4
"""How much better two covers are than their product of ways."""

LEAST = 0.004
"""Fraction lost below which the bitrate is left alone."""
CEILING_AT, CEILING, STEEPNESS = 0.01, 10e6, 0.75
"""Fraction lost and the bits a second of media that are sent then, and how fast that falls with loss. Smaller
frames arrive whole more often."""


def parity_count(packets: int, fraction: float, burst: float, rtt: float, interval: float) -> int:
    """Parities for a frame of so many packets.

    ``fraction`` is lost in runs of ``burst``; asking again takes ``rtt`` seconds, and frames come every ``interval``.
    """
    if fraction < LITTLE or rtt < NEAR:
        return 0
    most = max(1, round(packets * (MOST if burst < BURSTS else MOST_BURSTS)))
    if most < SECOND_COVER_MIN_PARITIES:
        # One turn has no more than one for each packet.
        most = min(most, packets)
    allowed = STUTTER / (1 + rtt / interval)
    return next((count for count in range(1, most) if failing(packets, count, fraction, burst) <= allowed), most)


class PlayoutDelay:
    """How long a viewer should hold frames back, so that most of those that wait for a retransmission are in time.

    None where few do: holding back costs every frame what it saves the few. Where many do, and each keeps those after
    it waiting, the picture would stand still half of the time. And a little on a long way whose delay varies: of two
    frames that arrive together, only one is seen.
    """

    def __init__(self, least: float = 0.0) -> None:
        self.seconds = self._least = self._aim = least
        self._late = self._jitter = 0.0
        self._rtt: float | None = None
        """On average: where it varies, one that was long is no long way."""
        self._changed_at = -math.inf

    def look(self, late: float, rtt: float, jitter: float, now: float) -> None:
        """A frame leaves, of whose kind the fraction ``late`` needs a retransmission or waits for one that does, over a
        way whose delay varies by ``jitter`` seconds."""
        self._late += (min(late, 1.0) - self._late) / LATE_MEMORY
        self._jitter += (jitter - self._jitter) / LATE_MEMORY
        self._rtt = rtt if not self._rtt else self._rtt + (rtt - self._rtt) / LATE_MEMORY
        wanted = max(self._wanted(self._rtt), self._least)
        patience = SETTLED if wanted > self._aim else AGAIN
        if abs(wanted - self._aim) > NOTICED and now - self._changed_at > patience:
            self._aim, self._changed_at = wanted, now
        step = min(max(self._aim - self.seconds, -STRIDE), STRIDE)
        self.seconds = round(self.seconds + step, 3)

    def forget(self) -> None:
        """Frames were not late for what the way is like. The delay goes as it comes, step by step."""
        self._late, self._aim, self._changed_at = 0.0, self._least, -math.inf

    def _wanted(self, rtt: float) -> float:
        too_late = TOO_LATE if rtt + AFTER_RTT < STANDS else TOO_LATE_FAR
        # Given up later than begun, or it would come and go.
        if self._late > (too_late / 2 if self._aim > rtt else too_late):
            return min(math.ceil((rtt + AFTER_RTT) / STEP) * STEP, LONGEST)
        if rtt > FAR and self._jitter > (ROUGH / 2 if self._aim else ROUGH):
            return min(math.ceil(JITTERS * self._jitter / STEP) * STEP, MOST_FOR_JITTER)
        return 0.0


def lateness(packets: int, count: int, fraction: float, burst: float, rtt: float, interval: float) -> float:
    """About the fraction of frames that wait for a retransmission: their own, or one of a frame before them."""
    return failing(packets, count, fraction, burst) * (1 + rtt / interval)


def failing(packets: int, count: int, fraction: float, burst: float) -> float:
    """About the fraction of frames that so many parities cannot restore, covering it as `flexfec.interleaving_depths`
    says.

    Runs of losses begin at random and end with the same chance at each packet (Gilbert's model). A frame fails if one
    run is longer than there are parities, or if several meet in what the same parities cover.
    """
    runs = (packets + count) * fraction / burst
    some = 1 - math.exp(-runs)
    if not count:
        return some
    several = some - runs * math.exp(-runs)
    first, second = interleaving_depths(count)
    # Covered once, two that meet are lost. Twice, it takes more than two; the exponent is fitted to simulated losses.
    apart = first if not second else (first * second) ** TWICE
    meeting = 1 - math.exp(-runs * runs / 2 * min(1.0, burst * burst / apart))
    return some * (1 - 1 / burst) ** (count - bool(second)) + min(several, meeting)


def ceiling(fraction: float) -> float:
    """Bits a second of media that make sense where so much is lost."""
    return CEILING * float((CEILING_AT / fraction) ** STEEPNESS) if fraction > LEAST else math.inf
