"""Rates over a sliding window, and the interval between published frames. Pure; time is an argument.

Must not know streams or encoders: events and times go in, numbers come out.
"""

from __future__ import annotations

from collections import deque
from typing import Final

WINDOW_S: Final = 2.0
"""Rates and means cover this long: viewers read them as "now", and one frame more or less must not show.

Source: chosen by hand; pinned by `tests/engine/stream/test_meter.py::test_the_window_is_two_seconds`.
"""

IDLE_AFTER_INTERVALS: Final = 2
"""After this many mean intervals without an event, the rate counts the silence too.

Source: chosen by hand; pinned by `tests/engine/stream/test_meter.py::test_a_rate_falls_once_events_stop`.
"""

IDLE_SLACK_S: Final = 0.1
"""Further time without an event before the rate counts the silence: events come in bursts when a machine is busy.

Source: chosen by hand; pinned by `tests/engine/stream/test_meter.py::test_a_rate_falls_once_events_stop`.
"""

INTERVAL_NEW_WEIGHT: Final = 1 / 8
"""The weight of the newest interval in the smoothed one, as for TCP's round-trip time.

Source: RFC 6298 §2 (alpha = 1/8); pinned by `tests/engine/stream/test_meter.py::test_the_interval_follows_in_eighths`.
"""

MAX_INTERVAL_S: Final = 1.0
"""A longer interval counts as this one: after a pause the mean must come down within a few frames.

Source: chosen by hand; pinned by `tests/engine/stream/test_meter.py::test_a_pause_counts_as_one_second`.
"""

MAX_MISSED_FRAMES: Final = 1000
"""Frame numbers further apart count as this many frames: the publisher started anew and counts from elsewhere.

Source: chosen by hand; pinned by `tests/engine/stream/test_meter.py::test_numbers_that_start_anew_are_no_flood`.
"""

UNSEEN_FRAMES_PER_LOOK: Final = 1.5
"""If more frames than this were published per wake-up, wake-ups are too rare to time frames: the window counts them.

Source: chosen by hand; pinned by `tests/engine/stream/test_meter.py::test_frames_between_two_looks_are_counted`.
"""


class Meter:
    """Events a second and the sum and mean of their values, over the last `WINDOW_S`."""

    def __init__(self) -> None:
        self._events: deque[tuple[float, float]] = deque()

    def add(self, now: float, value: float = 1.0) -> None:
        """An event happened now."""
        self._events.append((now, value))
        self._trim(now)

    def per_second(self, now: float) -> float:
        """Sum of values a second."""
        self._trim(now)
        return sum(value for _, value in self._events) / WINDOW_S

    def rate(self, now: float) -> float:
        """Events a second, right from the second event on."""
        self._trim(now)
        if len(self._events) < 2:
            return 0.0
        span = self._events[-1][0] - self._events[0][0]
        mean_interval = span / (len(self._events) - 1)
        if now - self._events[-1][0] > IDLE_AFTER_INTERVALS * mean_interval + IDLE_SLACK_S:
            return len(self._events) / WINDOW_S
        return 1 / mean_interval if span > 0 else 0.0

    def mean(self, now: float) -> float:
        """Mean of values; 0 without events."""
        self._trim(now)
        return sum(value for _, value in self._events) / len(self._events) if self._events else 0.0

    def _trim(self, now: float) -> None:
        while self._events and self._events[0][0] < now - WINDOW_S:
            self._events.popleft()


class FrameMeter:
    """How often a stream's frames are published, counted by their numbers: also those that were overwritten unseen.

    The one meter of the published interval; encodings, vsync and statistics share it. Two others measure other things:
    the RTP sender the interval of frames that reach one viewer, and an encoder's rate control the time that its next
    frame may spend bits for.
    """

    def __init__(self) -> None:
        self.interval_s: float = MAX_INTERVAL_S
        """Seconds from one published frame to the next, smoothed."""
        self._frames = Meter()
        self._newest: tuple[int, int] | None = None
        """Number and time of the newest frame."""

    def published(self, number: int, time_us: int, now: float) -> None:
        """The newest frame is the ``number``-th, published at ``time_us``. The same frame may be reported again."""
        before, self._newest = self._newest, (number, time_us)
        if before is None:
            self._frames.add(now)
        elif number != before[0]:
            frames = min((number - before[0]) & 0xFFFFFFFF, MAX_MISSED_FRAMES)
            self._frames.add(now, frames)
            interval_s = max(time_us - before[1], 0) / 1e6 / frames
            self.interval_s += (min(interval_s, MAX_INTERVAL_S) - self.interval_s) * INTERVAL_NEW_WEIGHT

    def fps(self, now: float) -> float:
        """Frames published a second."""
        every_frame_was_seen = self._frames.mean(now) <= UNSEEN_FRAMES_PER_LOOK
        return self._frames.rate(now) if every_frame_was_seen else self._frames.per_second(now)
