"""When and how much: target bitrate, keyframe throttle, settling, meters. Pure; time is an argument.

Must not know encoders or peers: it is asked, and answers in numbers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)

KEYFRAME_GAP: Final = 0.3
"""Seconds between keyframes of one encoding, at least; requests of many viewers meet in one."""
FLOOR: Final = 150_000
"""Bits a second: below this no picture is worth the name."""
SETTLE: Final = (0.12, 0.3, 0.6, 1.0)
"""Seconds after the last publish at which the newest frame is encoded again: it sharpens a still scene and
lets a receiver notice that the last packet before the silence was lost."""


class KeyframeThrottle:
    """Lets a keyframe through at most once per `KEYFRAME_GAP`."""

    def __init__(self) -> None:
        self._last = float("-inf")

    def due(self, now: float) -> bool:
        return now >= self.next

    def made(self, now: float) -> None:
        self._last = now

    @property
    def next(self) -> float:
        return self._last + KEYFRAME_GAP


class RembLimiter(Generic[K]):
    """Estimates to what the way to each viewer takes.

    What is measured at the sender holds as it is, up and down. A receiver's estimate (REMB) never rises above
    about 1.5x what it is sent, so for a stream that needs little it says nothing about the link. It counts as a
    brake only when it falls below what is really sent, and is let go as it rises.
    """

    DOUBT: Final = 0.8
    """Part of what is sent below which an estimate is believed: Chromium's first one, after about 5 s, lies at
    0.88 of what it gets over a way that is free."""

    def __init__(self, ceiling: int) -> None:
        self.ceiling = ceiling
        self._limits: dict[K, float] = {}

    def estimate(self, key: K, bits_per_second: float, sent: float) -> None:
        """A viewer's receiver says this, while ``sent`` bits a second go to it."""
        limit = self._limits.get(key, float(self.ceiling))
        if bits_per_second < sent * self.DOUBT:
            limit = min(limit, bits_per_second * 0.95)
        elif bits_per_second > limit:
            limit = bits_per_second
        else:
            limit *= 1.02
        self.measured(key, limit)

    def measured(self, key: K, bits_per_second: float) -> None:
        """The way to a viewer takes so much."""
        if bits_per_second >= self.ceiling:
            self._limits.pop(key, None)
        else:
            self._limits[key] = max(bits_per_second, FLOOR)

    def forget(self, key: K) -> None:
        self._limits.pop(key, None)

    def limit(self, key: K) -> float:
        """Bits a second that the way to a viewer takes, as far as is known: the ceiling where nothing is."""
        return self._limits.get(key, float(self.ceiling))


class Settle:
    """Which refreshes of a still scene are due."""

    def __init__(self) -> None:
        self._since = float("inf")
        self._done = len(SETTLE)

    def published(self, now: float) -> None:
        self._since, self._done = now, 0

    def age(self, now: float) -> float:
        """Seconds since the newest frame was published."""
        return max(now - self._since, 0.0)

    @property
    def next(self) -> float | None:
        """When the next refresh is due; None when the scene is settled."""
        return self._since + SETTLE[self._done] if self._done < len(SETTLE) else None

    def refreshed(self) -> None:
        self._done += 1


class Packing:
    """Whether compressing lossless units is faster, from the publisher's hand to the viewer's screen.

    Raw bytes cost the way; compressed ones cost packing, a shorter way and unpacking. The way's speed is
    read off the credits as they come back, the compressor's off a frame that is tried now and then.
    """

    UNPACK: Final = 500e6
    """Bytes a second that a browser unpacks, at least, once its WebAssembly runs."""
    AGAIN: Final = 2.0
    """Seconds between trials while raw wins: contents change."""

    def __init__(self) -> None:
        self._speed: float | None = None
        self._ratio = 0.0
        self._pack = 0.0
        self._tried = float("-inf")

    def arrived(self, octets: int, seconds: float) -> None:
        """A unit of so many bytes took so long from here to its credit."""
        speed = octets / max(seconds, 1e-4)
        # Small units measure the round trip, not the way: they may only raise the estimate.
        if octets < 100_000 and self._speed is not None and speed < self._speed:
            return
        self._speed = speed if self._speed is None else 0.7 * self._speed + 0.3 * speed

    def tried(self, raw: int, packed: int, seconds: float, now: float) -> None:
        """Compressing ``raw`` bytes gave ``packed`` in so many seconds."""
        self._ratio, self._pack, self._tried = packed / raw, seconds / raw, now

    def compress(self, raw: int, now: float) -> bool:
        """Whether to compress the next ``raw`` bytes."""
        if self._speed is None or now - self._tried >= self.AGAIN:
            return True
        plain = raw / self._speed
        return raw * self._pack + raw * self._ratio / self._speed + raw / self.UNPACK < plain


class Meter:
    """Events a second and their mean value over the last two seconds."""

    WINDOW: Final = 2.0

    def __init__(self) -> None:
        self._events: deque[tuple[float, float]] = deque()

    def add(self, now: float, value: float = 1.0) -> None:
        self._events.append((now, value))
        self._trim(now)

    def per_second(self, now: float) -> float:
        """Sum of values a second."""
        self._trim(now)
        return sum(value for _, value in self._events) / self.WINDOW

    def rate(self, now: float) -> float:
        """Events a second, right from the second event on."""
        self._trim(now)
        if len(self._events) < 2:
            return 0.0
        span = self._events[-1][0] - self._events[0][0]
        if now - self._events[-1][0] > 2 * span / (len(self._events) - 1) + 0.1:
            return len(self._events) / self.WINDOW
        return (len(self._events) - 1) / span if span > 0 else 0.0

    def mean(self, now: float) -> float:
        self._trim(now)
        return sum(value for _, value in self._events) / len(self._events) if self._events else 0.0

    def _trim(self, now: float) -> None:
        while self._events and self._events[0][0] < now - self.WINDOW:
            self._events.popleft()
