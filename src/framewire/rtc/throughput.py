"""How many bits a second pass: sent, and arrived. Must not know packets' contents, sockets or clocks."""

from __future__ import annotations

from collections import deque

INTERVAL = 0.15
"""Seconds of arrivals that make one sample."""
FIRST_INTERVAL = 0.3
"""Seconds of the first sample, for which there is nothing to weigh it against."""
LONGEST_PAUSE = 1.0
"""Seconds without an arrival after which the samples start over."""


class ArrivedRate:
    """The bitrate that arrives, on the viewer's clock.

    Frames make arrivals lumpy, so samples are smoothed; but one far off the estimate moves it less than one
    near, and three in a row that agree move it all the way: a link that changes is no outlier.
    """

    def __init__(self) -> None:
        self.bits_per_second: float | None = None
        self._variance = 50.0
        self._octets = 0
        self._since: float | None = None
        self._newest = 0.0

    def add(self, arrived_at: float, octets: int) -> None:
        """A packet arrived. In order of arrival, as far as may be."""
        if self._since is None or arrived_at - self._newest > LONGEST_PAUSE:
            self._since, self._octets = arrived_at, 0
        self._newest = max(self._newest, arrived_at)
        interval = FIRST_INTERVAL if self.bits_per_second is None else INTERVAL
        if arrived_at - self._since >= interval:
            self._sample(self._octets * 8 / (arrived_at - self._since))
            self._since, self._octets = arrived_at, 0
        self._octets += octets

    def _sample(self, rate: float) -> None:
        """A scalar Kalman filter whose measurement noise grows with the distance from the estimate; in units
        of 1 % of the estimate, so that it works alike at 0.2 and at 50 Mbit/s."""
        if self.bits_per_second is None:
            self.bits_per_second = rate
            return
        unit = max(self.bits_per_second, 1.0) / 100
        distance = abs(rate - self.bits_per_second) / unit
        noise = (4 + min(distance, 60) / 4) ** 2
        predicted = self._variance + 40
        gain = predicted / (predicted + noise)
        self.bits_per_second += gain * (rate - self.bits_per_second)
        self._variance = (1 - gain) * predicted


class SentRate:
    """The bitrate that left, over a sliding window."""

    def __init__(self, window: float) -> None:
        self._window = window
        self._events: deque[tuple[float, int]] = deque()
        self._octets = 0
        self._began: float | None = None

    def add(self, now: float, octets: int) -> None:
        if self._began is None:
            self._began = now
        self._events.append((now, octets))
        self._octets += octets
        self._trim(now)

    def bits_per_second(self, now: float) -> float:
        self._trim(now)
        span = self._window if self._began is None else min(self._window, now - self._began)
        return self._octets * 8 / max(span, self._window / 4)

    def _trim(self, now: float) -> None:
        while self._events and self._events[0][0] <= now - self._window:
            self._octets -= self._events.popleft()[1]
