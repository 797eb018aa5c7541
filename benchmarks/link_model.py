"""A link as arithmetic: when a packet that enters now leaves, if it does. Pure: no clock, no sockets, and chance
is an argument. `link.py` plays it between two network namespaces.

A packet passes, in this order: the loss process, a bounded queue in front of a wire of finite rate, the delay,
and jitter that never reorders (as queues on the way behave).
"""

from __future__ import annotations

import bisect
import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random


@dataclass(frozen=True)
class Loss:
    """How packets are lost: ``rate`` of all; in runs of ``burst`` on average (Gilbert-Elliott, whose bad state
    loses everything), one by one where burst is 1."""

    rate: float = 0.0
    burst: float = 1.0

    def __post_init__(self) -> None:
        if not (0 <= self.rate < 1 and self.burst >= 1):
            raise ValueError(f"no such loss: {self}")


@dataclass(frozen=True)
class Phase:
    """What the link is like for a while, the same both ways."""

    delay: float = 0.0
    """Seconds one way; the round trip is twice that."""
    jitter: float = 0.0
    """Seconds: the delay's standard deviation; never less than nothing."""
    rate: float = 0.0
    """Bits a second; 0 is without end."""
    queue: float = 0.2
    """Seconds of ``rate`` that may wait before packets are dropped; never less than ten packets."""
    loss: Loss = Loss()


@dataclass(frozen=True)
class Link:
    """Phases and when each begins, seconds after the start. The last one stays."""

    phases: tuple[Phase, ...]
    starts: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.phases) != len(self.starts) or self.starts[0] != 0 or list(self.starts) != sorted(self.starts):
            raise ValueError("a link has phases that begin one after the other, the first at 0")

    @classmethod
    def steady(cls, phase: Phase) -> Link:
        return cls((phase,), (0.0,))

    def at(self, since: float) -> Phase:
        return self.phases[max(0, bisect.bisect_right(self.starts, since) - 1)]


MIN_QUEUE = 10 * 1500
HEADER = 0
"""Bytes counted beside the packet itself: none, rates are those of IP packets."""


@dataclass
class Counters:
    """Packets and bytes of one direction."""

    packets: int = 0
    octets: int = 0
    lost: int = 0
    overflowed: int = 0
    delivered: int = 0
    delivered_octets: int = 0


@dataclass
class Direction:
    """One way of a link. ``push`` what enters, ``pop`` what leaves; times in seconds of any one clock."""

    link: Link
    chance: Random
    began: float = 0.0
    counters: Counters = field(default_factory=Counters)
    _heap: list[tuple[float, int, bytes]] = field(default_factory=list)
    _sequence: int = 0
    _wire_free: float = 0.0
    _last_out: float = 0.0
    _bad: bool = False

    def push(self, packet: bytes, now: float) -> None:
        phase = self.link.at(now - self.began)
        self.counters.packets += 1
        self.counters.octets += len(packet)
        if self._loses(phase.loss):
            self.counters.lost += 1
            return
        left = self._through_wire(len(packet), phase, now)
        if left is None:
            self.counters.overflowed += 1
            return
        out = left + max(0.0, phase.delay + (self.chance.gauss(0.0, phase.jitter) if phase.jitter else 0.0))
        # Queues keep the order: a late packet holds up those behind it.
        self._last_out = max(out, self._last_out)
        heapq.heappush(self._heap, (self._last_out, self._sequence, packet))
        self._sequence += 1

    def pop(self, now: float) -> list[bytes]:
        """Packets that have arrived by now, in order."""
        arrived = []
        while self._heap and self._heap[0][0] <= now:
            packet = heapq.heappop(self._heap)[2]
            self.counters.delivered += 1
            self.counters.delivered_octets += len(packet)
            arrived.append(packet)
        return arrived

    @property
    def deadline(self) -> float | None:
        """When the next packet arrives; None while none is on the way."""
        return self._heap[0][0] if self._heap else None

    def _loses(self, loss: Loss) -> bool:
        if not loss.rate:
            return False
        if loss.burst == 1:
            return self.chance.random() < loss.rate
        # Leaves the bad state with probability 1/burst, and enters it so often that `rate` of the time is bad.
        leave = 1 / loss.burst
        enter = leave * loss.rate / (1 - loss.rate)
        self._bad = self.chance.random() >= leave if self._bad else self.chance.random() < enter
        return self._bad

    def _through_wire(self, octets: int, phase: Phase, now: float) -> float | None:
        """When the packet's last bit is on the wire; None if the queue before it is full."""
        if not phase.rate:
            return now
        start = max(now, self._wire_free)
        waiting = (start - now) * phase.rate / 8
        if round(waiting) + octets > max(MIN_QUEUE, phase.queue * phase.rate / 8):
            return None
        self._wire_free = start + octets * 8 / phase.rate
        return self._wire_free


def pair(link: Link, seed: int, began: float) -> tuple[Direction, Direction]:
    """Both ways of a link, each with chances of its own; the same seed gives the same."""
    return Direction(link, Random(seed), began), Direction(link, Random(seed + 1), began)


def soonest(directions: Sequence[Direction]) -> float | None:
    return min((d for direction in directions if (d := direction.deadline) is not None), default=None)
