"""Probes: a few packets sent faster than the estimate, to see whether they arrive so. Must not know sockets, clocks
or what is in the packets.

A stream that sends less than it might learns nothing from its own packets, and one that grows by a few percent
a second takes half a minute to find out that a link is ten times as wide. Twenty milliseconds at twice the
rate tell it at once, and cost the link that much of a queue if they are wrong.
"""

from __future__ import annotations

from dataclasses import dataclass

DURATION = 0.02
"""Seconds that a probe lasts."""
PACKETS = 6
"""In a probe, at least."""
PACKET = 1200
"""Octets of a probe's packet, about."""
FIRST = 3.0
"""Times the estimate at which the first probe is sent, and each after it while they succeed a `STEP` more."""
STEP = 2.0
GOOD = 0.7
"""Of a probe's rate: what it must have measured for another to follow at once."""
FULL = 0.9
"""Of the rate at which it left: a probe that arrives slower has found the link full, and `USABLE` of what it
measured may be used."""
USABLE = 0.92
COMPLETE = 0.8
"""Of a probe's packets: so many must have arrived to tell."""
PATIENCE = 1.0
"""Seconds until a probe that told nothing is given up."""
SOONEST, LATEST = 1.5, 4.0
"""Seconds between two probes: the longer, the more of them found nothing."""
BACK_OFF = 1.4


@dataclass(frozen=True, slots=True)
class Probe:
    """What to send: ``octets`` at ``rate`` bits a second, in packets marked with ``number``."""

    number: int
    rate: float
    octets: int


class _Trace:
    """What has arrived of one probe."""

    def __init__(self, probe: Probe, now: float) -> None:
        self.probe = probe
        self.begun_at = now
        self.sent: list[tuple[float, int]] = []
        self.arrived: list[tuple[float, float, int]] = []

    def rate(self) -> tuple[float, float] | None:
        """Bits a second at which the probe left and at which it arrived; None as long as it cannot be told."""
        octets = sum(size for _, _, size in self.arrived)
        if len(self.arrived) < COMPLETE * PACKETS or octets < COMPLETE * self.probe.octets:
            return None
        first, last = min(self.arrived), max(self.arrived)
        # What leaves or arrives last takes its own time after the moment that is known of it, and on the way
        # out a burst is one moment.
        sent = _rate(octets - sum(size for at, _, size in self.arrived if last[0] - at < 0.001), last[0] - first[0])
        times = [at for _, at, _ in self.arrived]
        earliest = min(self.arrived, key=lambda arrival: arrival[1])
        arrived = _rate(octets - earliest[2], max(times) - min(times))
        return None if sent is None or arrived is None else (sent, arrived)


def _rate(octets: int, seconds: float) -> float | None:
    # A timer that fired late makes one burst of a probe: it has measured nothing.
    return octets * 8 / seconds if seconds >= DURATION / 4 and octets > 0 else None


class Prober:
    """When to probe, at which rate, and what a probe has found."""

    def __init__(self) -> None:
        self._number = 0
        self._trace: _Trace | None = None
        self._due_at = float("-inf")
        self._next_rate: float | None = None
        self._interval = SOONEST
        self.began = False
        """Whether the first probe has been sent."""

    @property
    def busy(self) -> bool:
        return self._trace is not None

    def next(self, estimate: float, goal: float, now: float, *, calm: bool) -> Probe | None:
        """The probe to send now, if one is due; ``goal`` bits a second would be enough for anything."""
        trace = self._trace
        if trace is not None and now - trace.begun_at > PATIENCE:
            self._end(now, found=False)
        if self._trace is not None or now < self._due_at or not calm:
            return None
        rate, self._next_rate = self._next_rate or estimate * (STEP if self.began else FIRST), None
        # A first probe goes on beyond the goal by no more than a step; later ones look for what is needed only.
        if estimate >= goal:
            return None
        self.began = True
        self._number += 1
        rate = min(rate, STEP * goal)
        octets = max(PACKETS * PACKET, int(rate * DURATION / 8))
        probe = Probe(self._number, rate, octets)
        self._trace = _Trace(probe, now)
        return probe

    def arrived(self, number: int, sent_at: float, arrived_at: float, size: int) -> None:
        """A packet of a probe arrived."""
        if self._trace is not None and self._trace.probe.number == number:
            self._trace.arrived.append((sent_at, arrived_at, size))

    def result(self, now: float) -> float | None:
        """Bits a second that the newest probe has found the link to take, once, when it is known."""
        rates = self._trace.rate() if self._trace is not None else None
        if self._trace is None or rates is None:
            return None
        probe = self._trace.probe
        sent, arrived = rates
        if arrived > 2 * sent:
            # Held back somewhere and let go at once: not the pace of any link.
            self._end(now, found=False)
            return None
        found = min(sent, arrived) if arrived >= FULL * sent else USABLE * arrived
        good = found >= GOOD * probe.rate
        self._end(now, found=good)
        if good:
            self._next_rate, self._due_at = found * STEP, now
        return found

    def lost_ground(self, now: float) -> None:
        """The estimate fell: look again before long whether that was for good."""
        self._interval = SOONEST
        self._next_rate = None
        self._due_at = max(self._due_at, now + SOONEST)

    def _end(self, now: float, *, found: bool) -> None:
        self._trace = None
        self._interval = SOONEST if found else min(self._interval * BACK_OFF, LATEST)
        self._due_at = now + self._interval
