"""How many bits a second pass: sent, and arrived. Must not know packets' contents, sockets or clocks."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

WINDOW = 0.5
"""Seconds. Frames come in lumps, some eight of them at the slowest rate that still is motion."""

SHORT_WINDOW = 0.2
"""Seconds. Behind a full link arrivals are even, and show how wide it is now."""


class SlidingRate:
    """The bitrate over the newest `WINDOW` seconds; of the times it is told, not of any clock.

    The same for what is sent, on our clock, and for what arrives, on the viewer's: they are compared.
    """

    def __init__(self, window: float = WINDOW) -> None:
        self._window = window
        self._events: deque[tuple[float, int]] = deque()
        self._octets = 0
        self._began: float | None = None
        self._newest = float("-inf")

    def add(self, at: float, octets: int) -> None:
        """So much passed."""
        self.add_all([(at, octets)])

    def add_all(self, passed: Sequence[tuple[float, int]]) -> None:
        """When how much passed, in order of time."""
        if not passed:
            return
        if self._began is None:
            self._began = passed[0][0]
        self._events.extend(passed)
        self._octets += sum(octets for _, octets in passed)
        self._trim(passed[-1][0])

    @property
    def known(self) -> bool:
        """Whether enough time has passed to tell."""
        return self._began is not None and self._newest - self._began >= self._window / 2

    def bits_per_second(self, at: float | None = None) -> float:
        """In the window that ends at ``at``, or with the newest event."""
        if at is not None:
            self._trim(at)
        span = self._window if self._began is None else min(self._window, self._newest - self._began)
        return self._octets * 8 / max(span, self._window / 4)

    def _trim(self, at: float) -> None:
        self._newest = max(self._newest, at)
        events, until = self._events, self._newest - self._window
        while events and events[0][0] <= until:
            self._octets -= events.popleft()[1]
