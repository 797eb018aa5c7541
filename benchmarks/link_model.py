"""A link as arithmetic: when a packet that enters now leaves, if it does. Pure: no clock and no sockets; the source of
random numbers is an argument. `link.py` emulates it between two network namespaces.

A packet passes, in this order: the loss process; a bounded queue in front of a wire of finite rate; the delay; and
jitter, which never reorders packets (as queues on a path behave).
"""

from __future__ import annotations

import bisect
import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random


@dataclass(frozen=True)
class Loss:
    """How packets are lost: the fraction ``rate`` of all, in runs of ``burst`` packets on average, 1 for single losses.

    The model is Gilbert-Elliott; its bad state loses everything.
    """

    rate: float = 0.0
    burst: float = 1.0

    def __post_init__(self) -> None:
        if not (0 <= self.rate < 1 and self.burst >= 1):
            raise ValueError(f"rate must be below 1 and burst at least 1: {self}")


@dataclass(frozen=True)
class Phase:
    """The link's properties for some time, the same in both directions."""

    delay: float = 0.0
    """Seconds in one direction; the round trip is twice that."""
    jitter: float = 0.0
    """Seconds: the delay's standard deviation; the delay is never negative."""
    rate: float = 0.0
    """Bits a second; 0 means no limit."""
    queue: float = 0.2
    """How much may wait before packets are dropped, in seconds of ``rate``; at least ten packets."""
    loss: Loss = Loss()


@dataclass(frozen=True)
class Link:
    """Phases and when each begins, in seconds after the start. The last one lasts."""

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
"""Bytes added to each packet's size: none, since rates are those of IP packets."""


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
    """One direction of a link. ``push`` what enters, ``pop`` what leaves; times in seconds of any one clock."""

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
        """When the next packet arrives; None while none is in flight."""
        return self._heap[0][0] if self._heap else None

    def _loses(self, loss: Loss) -> bool:
        if not loss.rate:
            return False
        if loss.burst == 1:
            return self.chance.random() < loss.rate
        # It leaves the bad state with probability 1/burst, and enters it so often that the fraction `rate` is bad.
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
    """Both directions of a link, each with random numbers of its own; the same seed gives the same ones."""
    return Direction(link, Random(seed), began), Direction(link, Random(seed + 1), began)


def soonest(directions: Sequence[Direction]) -> float | None:
    return min((d for direction in directions if (d := direction.deadline) is not None), default=None)
