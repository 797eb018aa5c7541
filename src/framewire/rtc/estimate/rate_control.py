"""The rate that the delay allows: up until packets queue, then down to what arrives. Must not know packets, sockets
or clocks.

After draft-ietf-rmcat-gcc-02 §5.5, with libwebrtc's constants.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from framewire.rtc.estimate.trendline import Usage

BETA = 0.85
"""What is left of the arriving rate once the queue grows: less than arrives, so that it empties."""
MULTIPLY = 1.08
"""Growth in a second, far from where the link was last full."""
LEAD = 1.5
"""How far the estimate may run ahead of what arrives: more was never tried."""
LEAD_OFFSET = 10_000
FEEDBACK_TIME = 0.1
"""Seconds that a change takes to show, beside the round trip."""
LONG = 0.1
"""Seconds that packets wait only where more is sent than gets through."""
FRAME_INTERVAL = 1 / 30


@dataclass(frozen=True, slots=True)
class Signals:
    """What is known of the way when a feedback message is in."""

    usage: Usage
    arrived: float | None
    """Bits a second, None until measured."""
    arriving: float | None
    """Likewise, of the newest moments: lumpy, unless the link is full."""
    sent: float
    """Bits a second."""
    limited: bool
    """Whether less is sent than may be, so that what arrives says nothing about the link."""
    rtt: float
    """Seconds."""
    standing: float
    """Seconds that even the luckiest packet waits of late."""
    shrunk_to: float | None = None
    """Bits a second that a link lets through which has just become too narrow at one blow; None if none has."""


class Capacity:
    """Where the link was full of late: mean and spread of what arrived whenever its queue grew."""

    def __init__(self) -> None:
        self._mean: float | None = None
        self._variance = 0.4

    def full_at(self, rate: float) -> None:
        """The queue grew while this much arrived."""
        kilobits = max(rate / 1000, 1.0)
        if self._mean is None:
            self._mean = kilobits
        error = self._mean - kilobits
        self._mean += 0.05 * (kilobits - self._mean)
        # In units of the mean, as rates of links spread in proportion to them.
        self._variance += 0.05 * (error * error / self._mean - self._variance)
        self._variance = min(max(self._variance, 0.4), 2.5)

    def forget(self) -> None:
        self._mean = None

    @property
    def known(self) -> bool:
        return self._mean is not None

    def above(self, rate: float) -> bool:
        """Whether so much arrives that the link has become larger."""
        return self._mean is not None and rate / 1000 > self._mean + 3 * self._spread

    def below(self, rate: float) -> bool:
        """Whether the queue grew at so low a rate that the link has become smaller."""
        return self._mean is not None and rate / 1000 < self._mean - 3 * self._spread

    @property
    def _spread(self) -> float:
        assert self._mean is not None, "asked only once it is known"
        return math.sqrt(self._variance * self._mean)


class RateControl:
    """The delay-based estimate."""

    def __init__(self, start: float, floor: float) -> None:
        self.bits_per_second = start
        self._floor = floor
        self._capacity = Capacity()
        self._state: str = "hold"
        self._updated_at: float | None = None
        self.decreased_at = float("-inf")
        """When the queue last grew."""

    def set(self, bits_per_second: float, *, full: bool) -> None:
        """A probe has measured it; ``full`` says that the link took no more, so that little is left to gain."""
        self.bits_per_second = max(bits_per_second, self._floor)
        self._capacity.forget()
        if full:
            self._capacity.full_at(bits_per_second)

    def halve(self, now: float) -> None:
        """Nothing is heard of what is sent."""
        self.bits_per_second = max(self.bits_per_second / 2, self._floor)
        self._updated_at = now

    def update(self, signals: Signals, now: float) -> None:
        """A feedback message is in."""
        elapsed = 0.0 if self._updated_at is None else min(now - self._updated_at, 1.0)
        self._updated_at = now
        if signals.usage == "overuse":
            if self._may_decrease(signals, now):
                self._decrease(signals, now)
            self._state = "hold"
        elif signals.usage == "underuse":
            # The queue empties: let it.
            self._state = "hold"
        elif self._state == "hold":
            self._state = "increase"
        elif not signals.limited:
            self._increase(signals, elapsed)

    def _may_decrease(self, signals: Signals, now: float) -> bool:
        """A decrease shows after a round trip; until then the signals speak of before it. A rate of which not
        even half arrives needs no second opinion."""
        if now - self.decreased_at >= min(max(signals.rtt, 0.05), 0.3):
            return True
        if signals.shrunk_to is not None:
            return signals.shrunk_to < self.bits_per_second / 2
        return not signals.limited and signals.arriving is not None and signals.arriving < self.bits_per_second / 2

    def _decrease(self, signals: Signals, now: float) -> None:
        self.decreased_at = now
        arriving = signals.arriving if signals.shrunk_to is None else signals.shrunk_to
        arrived = self.bits_per_second if arriving is None else arriving
        few = signals.limited and signals.shrunk_to is None
        full = not few or signals.standing > LONG or (signals.arrived or 0.0) < 0.8 * signals.sent
        if full:
            if self._capacity.below(arrived):
                self._capacity.forget()
            self._capacity.full_at(arrived)
        # Where less was sent than may be and all of it arrived, what arrived is not what the link takes.
        target = BETA * arrived if full else max(BETA * self.bits_per_second, LEAD * signals.sent)
        if few:
            # They measure badly.
            target = max(target, self.bits_per_second / 2)
        self.bits_per_second = max(min(self.bits_per_second, target), self._floor)

    def _increase(self, signals: Signals, elapsed: float) -> None:
        if signals.arrived is None:
            return
        if self._capacity.above(signals.arrived):
            self._capacity.forget()
        rate = self.bits_per_second
        if self._capacity.known:
            rate += self._additive(signals.rtt) * elapsed
        else:
            rate += max(rate * (MULTIPLY**elapsed - 1), 1000 * elapsed)
        limit = LEAD * signals.arrived + LEAD_OFFSET
        self.bits_per_second = max(self.bits_per_second, min(rate, limit))

    def _additive(self, rtt: float) -> float:
        """Bits a second gained in a second: about one packet in each time that a change takes to show."""
        frame = self.bits_per_second * FRAME_INTERVAL
        packet = frame / max(1, -(-frame // (1200 * 8)))
        return max(4000.0, packet / (rtt + FEEDBACK_TIME))
