"""Probes: a few packets sent faster than the estimate, to see whether they arrive so. Must not know sockets, clocks
or what is in the packets.

A stream that sends less than it might learns nothing from its own packets, and one that grows by a few percent
a second takes half a minute to find out that a link is ten times as wide. Twenty milliseconds at twice the
rate tell it at once, and cost the link that much of a queue if they are wrong.
"""

from __future__ import annotations

from dataclasses import dataclass

from framewire.rtc.rtp.twcc import PacketResult

DURATION = 0.02
"""Seconds that a probe lasts."""
NOISE, LONGER = 0.5, 4.0
"""Times the spread of delays: what is taken off the time that a probe took to arrive, and how long it lasts."""
PACKETS = 6
"""In a probe, at least."""
PACKET = 1200
"""Octets of a probe's packet, about."""
FIRST = 3.0
"""Times the estimate at which the first probe is sent; after one that succeeds, a `STEP` more at once."""
STEP = 2.0
LATER_STEP = 1.5
"""Times the estimate, once there is one: mostly it finds that nothing has changed, and fills a queue for that."""
LEAST = 1_000_000
"""Bits a second: `PACKETS` at less would take longer than they can fill any link for."""
GOOD = 0.7
"""Of a probe's rate: what it must have measured for another to follow at once."""
FULL = 0.9
"""Of the rate at which it left: a probe that arrives slower has found the link full, and `USABLE` of what it
measured may be used."""
USABLE = 0.94
COMPLETE = 0.7
"""Of a probe's packets: so many must have arrived to tell."""
PATIENCE = 0.7
"""Seconds until a probe that told nothing is given up."""
AGAIN, TRIALS = 0.4, 3
"""Seconds until one that was disturbed is sent again, and how often in a row."""
SOONEST, LATEST = 1.5, 4.0
"""Seconds between two probes: the longer, the more of them found nothing."""
BACK_OFF = 1.4


@dataclass(frozen=True, slots=True)
class ProbeCluster:
    """What to send: ``octets`` at ``rate`` bits a second, in packets marked with ``number``."""

    id: int
    rate_bps: float
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Found:
    """What a probe has shown."""

    bits_per_second: float
    """To send from now on."""
    full: bool
    """Whether the link took no more; it may take more otherwise."""


class _Trace:
    """What has arrived of one probe."""

    def __init__(self, probe: ProbeCluster, now: float) -> None:
        self.probe = probe
        self.begun_at = now
        self.arrived: list[PacketResult] = []
        self.lost = 0
        """Octets."""

    @property
    def torn(self) -> bool:
        """Whether so much of it is lost that it cannot tell anything any more."""
        return self.lost > (1 - COMPLETE) * self.probe.size_bytes

    def rates(self, spread: float) -> tuple[float, float] | None:
        """Bits a second at which the probe left and at which it arrived; None as long as it cannot be told.

        Delays that vary by ``spread`` seconds stretch a probe by as much, which is not the link's pace."""
        octets = sum(packet.size for packet in self.arrived)
        if len(self.arrived) < COMPLETE * PACKETS or octets < COMPLETE * self.probe.size_bytes:
            return None
        # What leaves or arrives last takes its own time after the moment that is known of it; on the way out,
        # a burst is one moment.
        left = [packet.sent_at for packet in self.arrived]
        last_burst = sum(packet.size for packet in self.arrived if max(left) - packet.sent_at < 0.001)
        sent = _rate(octets - last_burst, max(left) - min(left))
        times = self._in_order()
        span = times[-1][0] - times[0][0]
        span = max(span - NOISE * spread, min(span, max(left) - min(left)))
        arrived = _rate(octets - times[0][1], span)
        return None if sent is None or arrived is None else (sent, arrived)

    def _in_order(self) -> list[tuple[float, int]]:
        """Arrivals and octets without the packets that were overtaken: those took another way."""
        kept: list[tuple[float, int]] = []
        for packet in sorted(self.arrived, key=lambda packet: packet.sequence, reverse=True):
            assert packet.arrived_at is not None, "only those that arrived are noted"
            if not kept or packet.arrived_at <= kept[-1][0]:
                kept.append((packet.arrived_at, packet.size))
        return kept[::-1]


def _rate(octets: int, seconds: float) -> float | None:
    # A timer that fired late makes one burst of a probe: it has measured nothing.
    return octets * 8 / seconds if seconds >= DURATION / 4 and octets > 0 else None


class Prober:
    """When to probe, at which rate, and what a probe has found."""

    def __init__(self) -> None:
        self._number = 0
        self._trace: _Trace | None = None
        self.due_at = float("-inf")
        """When there may be another."""
        self._next_rate: float | None = None
        self._interval = SOONEST
        self._found = False
        self._trials = 0

    @property
    def first(self) -> bool:
        """Whether nothing has been found yet."""
        return not self._found

    def next(self, estimate: float, goal: float, now: float, spread: float, *, calm: bool) -> ProbeCluster | None:
        """The probe to send now, if one is due; ``goal`` bits a second would be enough for anything, and delays vary
        by ``spread`` seconds."""
        trace = self._trace
        if trace is not None and (trace.torn or now - trace.begun_at > PATIENCE):
            self._trace, self.due_at = None, now
        if self._trace is not None or now < self.due_at or not calm:
            return None
        usual = max(estimate * (LATER_STEP if self._found else FIRST), LEAST)
        rate, self._next_rate = self._next_rate or usual, None
        # A first probe goes on beyond the goal by no more than a step; later ones look for what is needed only.
        if estimate >= goal:
            return None
        self._number += 1
        rate = min(rate, STEP * goal)
        octets = max(PACKETS * PACKET, int(rate * max(DURATION, LONGER * spread) / 8))
        probe = ProbeCluster(self._number, rate, octets)
        self._trace = _Trace(probe, now)
        return probe

    def arrived(self, packet: PacketResult) -> None:
        """A packet of a probe arrived."""
        if self._trace is not None and self._trace.probe.id == packet.probe_id:
            self._trace.arrived.append(packet)

    def lost(self, packet: PacketResult) -> None:
        """A packet of a probe is lost: on a way that loses much, another is sent at once instead of waiting for it."""
        if self._trace is not None and self._trace.probe.id == packet.probe_id:
            self._trace.lost += packet.size

    def result(self, now: float, spread: float) -> Found | None:
        """What the newest probe has found, once, when it is known."""
        rates = self._trace.rates(spread) if self._trace is not None else None
        if self._trace is None or rates is None:
            return None
        probe = self._trace.probe
        sent, arrived = rates
        if arrived > 2 * sent or sent < GOOD * probe.rate_bps:
            # Held back somewhere and let go at once, there or here: not the pace of any link.
            self._disturbed(probe, now)
            return None
        full = arrived < FULL * sent
        found = USABLE * arrived if full else min(sent, arrived)
        self._found, self._trials = True, 0
        good = found >= GOOD * probe.rate_bps
        self._end(now, found=good)
        if good:
            self._next_rate, self.due_at = found * STEP, now
        return Found(found, full)

    def _disturbed(self, probe: ProbeCluster, now: float) -> None:
        self._trials += 1
        if self._trials >= TRIALS:
            self._trials = 0
            self._end(now, found=False)
        else:
            self._trace, self._next_rate, self.due_at = None, probe.rate_bps, now + AGAIN

    def lost_ground(self, now: float) -> None:
        """The estimate fell: look again before long whether that was for good."""
        self._interval = SOONEST
        self._next_rate = None
        self.due_at = max(self.due_at, now + SOONEST)

    def _end(self, now: float, *, found: bool) -> None:
        self._trace = None
        self._interval = SOONEST if found else min(self._interval * BACK_OFF, LATEST)
        self.due_at = now + self._interval
