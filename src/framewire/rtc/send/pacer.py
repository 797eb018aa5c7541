"""When packets leave: at once where the way is wide, in small bursts where it is not. Must not know what is in
them, sockets or clocks."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from framewire.rtc.estimate.probe_bitrate import ProbeCluster

T = TypeVar("T")

PACE = 2.5
"""Times the estimate at which a frame leaves. Frames come in lumps: the link takes one until the next comes
anyway, and what waits here is no longer in a queue where others wait too."""
GENTLE_PACE = 1.3
"""Likewise, where packets are lost: perhaps to a queue that is shorter than a frame."""
BURST = 0.005
"""Seconds' worth that leaves in one go: a timer for every packet would cost more than it gives."""
CATCH_UP = 0.04
"""Seconds' worth that leaves at once, at most, where a timer fired late: a busy machine must not lower the pace."""
LONGEST = 0.4
"""Seconds after which even a keyframe has left, whatever the pace."""
DEBT = 0.6
"""Seconds' worth that may have been taken in and not been paid off at `DRAIN`."""
ROOM = 0.5
"""Of that debt: what may be left when frames are taken in again."""
DRAIN = 1.2
"""Times the estimate that may come in for good: encoders are not exact."""
WIDE = 1.5
"""Times a frame's own rate from which the estimate is far above it."""

NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class _Waiting(Generic[T]):
    item: T
    octets: int
    since: float
    at_once: bool


class Pacer(Generic[T]):
    """Holds packets back until they may leave; retransmissions first, as somebody waits for them."""

    def __init__(self, bits_per_second: float) -> None:
        self._estimate = bits_per_second
        self._pace = PACE
        self._urgent: deque[_Waiting[T]] = deque()
        self._queue: deque[_Waiting[T]] = deque()
        self._octets = 0
        self._free_at = 0.0
        self._debt = 0.0
        self._debt_at = 0.0
        self._full = False
        self._probe: ProbeCluster | None = None
        self._probe_left = 0

    def __len__(self) -> int:
        return len(self._urgent) + len(self._queue)

    def set_rate(self, bits_per_second: float, now: float, *, gentle: bool = False) -> None:
        """The estimate has changed."""
        self._pay_off(now)
        self._estimate = bits_per_second
        self._pace = GENTLE_PACE if gentle else PACE

    def admits(self, now: float) -> bool:
        """Whether a frame may come in. One that does not would only be late, and make all after it late."""
        self._pay_off(now)
        most = DEBT * self._estimate
        # Who was sent away comes back to some room, or the first frame would be the last again.
        self._full = self._debt > (most * ROOM if self._full else most)
        return not self._full

    @property
    def room(self) -> float:
        """What is left of the debt that frames may make, 0 to 1, as of the last look."""
        return max(1 - self._debt / (DEBT * self._estimate), 0.0)

    def push(self, packets: Iterable[tuple[T, int]], interval: float, now: float) -> None:
        """Take in a frame's packets, each with its octets; frames come about ``interval`` seconds apart."""
        packets = list(packets)
        self._wake(now)
        bits = 8 * sum(octets for _, octets in packets)
        at_once = not self._queue and bits * WIDE <= self._estimate * interval
        self._queue.extend(_Waiting(item, octets, now, at_once) for item, octets in packets)
        self._take_in(bits, now)

    def passes(self, octets: int, interval: float, now: float) -> bool:
        """Take in a frame of so many octets that leaves at once as a whole, if there is one wide way for it; False,
        and nothing is done, where its packets must be pushed one by one."""
        if len(self) or self._probe is not None or octets * 8 * WIDE > self._estimate * interval:
            return False
        self._wake(now)
        self._take_in(octets * 8, now)
        self._octets -= octets
        self._charge(octets, self._rate(now), now)
        return True

    def push_urgent(self, packets: Iterable[tuple[T, int]], now: float) -> None:
        """Take in packets that go before all others."""
        self._wake(now)
        for item, octets in packets:
            self._urgent.append(_Waiting(item, octets, now, at_once=False))
            self._take_in(octets * 8, now)

    def _wake(self, now: float) -> None:
        """What was not used while nothing waited is gone."""
        if not len(self) and self._probe is None:
            self._free_at = max(self._free_at, now)

    def _take_in(self, bits: int, now: float) -> None:
        self._pay_off(now)
        self._octets += bits // 8
        self._debt += bits

    def _pay_off(self, now: float) -> None:
        paid = max(now - self._debt_at, 0.0) * DRAIN * self._estimate
        self._debt, self._debt_at = max(self._debt - paid, 0.0), now

    def begin(self, probe: ProbeCluster, now: float) -> None:
        """From now on all that leaves is part of a probe, and leaves at its rate, until it is full."""
        self._probe, self._probe_left = probe, probe.size_bytes
        self._free_at = now

    def pop(self, now: float) -> list[tuple[T, int | None]]:
        """The packets that leave now, each with the number of the probe that it is part of."""
        leaving: list[tuple[T, int | None]] = []
        while waiting := self._urgent or self._queue:
            if not (self._free(now) or (waiting[0].at_once and self._probe is None)):
                break
            rate = self._rate(now)
            first = waiting.popleft()
            self._octets -= first.octets
            leaving.append((first.item, self._probe.id if self._probe else None))
            self._charge(first.octets, rate, now)
        return leaving

    def padding(self, now: float) -> tuple[int, int] | None:
        """The number of the probe that nothing is left for, and the octets of padding that shall leave now
        in its place. Whoever sends some says so by `padded`."""
        if self._probe is None or len(self) or not self._free(now):
            return None
        room = (now + BURST - max(self._free_at, now - CATCH_UP)) * self._probe.rate_bps / 8
        return self._probe.id, min(self._probe_left, int(room) + 1)

    def padded(self, octets: int, now: float) -> None:
        """So much padding left."""
        self._charge(octets, self._rate(now), now)

    def cancel_probe(self) -> None:
        """There is nothing to pad with."""
        self._probe = None

    @property
    def deadline(self) -> float:
        """When to `pop` again."""
        return self._free_at if len(self) or self._probe is not None else NEVER

    def waiting(self) -> float:
        """Seconds until all that waits has left, about."""
        return self._octets * 8 / (self._pace * self._estimate)

    def clear(self) -> list[T]:
        """Throw out all packets, and what they and those before them owe; returns them."""
        thrown = [waiting.item for waiting in (*self._urgent, *self._queue)]
        self._urgent.clear()
        self._queue.clear()
        self._octets, self._debt = 0, 0.0
        return thrown

    def keep(self, wanted: Callable[[T], bool]) -> None:
        """Throw out all packets but those wanted."""
        self._urgent = deque(waiting for waiting in self._urgent if wanted(waiting.item))
        self._queue = deque(waiting for waiting in self._queue if wanted(waiting.item))
        self._octets = sum(waiting.octets for waiting in (*self._urgent, *self._queue))

    def _free(self, now: float) -> bool:
        # A timer may fire a hair early.
        return self._free_at <= now + BURST - 0.0005

    def _rate(self, now: float) -> float:
        if self._probe is not None:
            return self._probe.rate_bps
        if self._urgent:
            # Many at once were lost to a queue, and that would lose them again.
            return GENTLE_PACE * self._estimate
        rate = self._pace * self._estimate
        if not self._queue:
            return rate
        left = max(LONGEST - (now - self._queue[0].since), BURST)
        return max(rate, self._octets * 8 / left)

    def _charge(self, octets: int, rate: float, now: float) -> None:
        self._free_at = max(self._free_at, now - CATCH_UP) + octets * 8 / rate
        if self._probe is not None:
            self._probe_left -= octets
            if self._probe_left <= 0:
                self._probe = None
