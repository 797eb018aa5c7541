"""Whether frames are encoded at half their size, as there is no time for all of it. Pure; time is an argument.

Must not know encoders or frames: it is told what encoding takes and how often frames come. Where three frames in ten
are dropped, a picture that moves evenly at half the size is worth more; a still one is never halved.
"""

from __future__ import annotations

from typing import Final

KEEPS_UP: Final = 0.7
"""Of the published frames that are encoded: with fewer, for `PATIENCE`, the size is halved."""
FITS: Final = 0.9
"""Of the time between two frames that encoding at full size may take to come back to it."""
PATIENCE: Final = 2.0
"""Seconds that it must have been so: something else may have had the processor."""
STILL: Final = 0.2
"""Seconds without a frame after which the newest is one to look at."""
RETRY: Final = (30.0, 480.0)
"""Seconds until full size is tried again whatever it took before, first and at most; twice as long after each try."""


class Overload:
    """The size of one encoding's frames."""

    def __init__(self) -> None:
        self.half = False
        self._full_cost = 0.0
        self._since: float | None = None
        self._halved_at = self._full_at = 0.0
        self._retry = RETRY[0]

    def look(self, cost: float, interval: float, now: float) -> None:
        """Encoding a frame takes ``cost`` seconds of late, at the size that it has; one is published every
        ``interval`` seconds."""
        still = interval > STILL
        wrong = self._full_cost < FITS * interval if self.half else cost * KEEPS_UP > interval and not still
        tries = self.half and now - self._halved_at > self._retry
        if not (wrong or tries):
            self._since = None
            if not self.half and now - self._full_at > RETRY[0]:
                self._retry = RETRY[0]
            return
        since = self._since = now if self._since is None else self._since
        if tries or still or now - since > PATIENCE:
            self._change(cost, now, tries=tries and not wrong)

    def _change(self, cost: float, now: float, *, tries: bool) -> None:
        if self.half:
            self._full_at = now
        else:
            self._full_cost, self._halved_at = cost, now
        # What came back because there was time for it has not failed yet.
        self._retry = min(2 * self._retry, RETRY[1]) if tries else self._retry
        self.half = not self.half
        self._since = None


class Interval:
    """Seconds from one published frame to the next, whether or not they were all encoded."""

    def __init__(self) -> None:
        self.seconds = 1.0
        self._number = 0
        self._time_us: int | None = None

    def saw(self, number: int, time_us: int) -> None:
        """A frame is encoded that was published as the ``number``-th, at ``time_us``."""
        if self._time_us is not None and number != self._number:
            frames = (number - self._number) & 0xFFFFFFFF
            each = max(time_us - self._time_us, 0) / 1e6 / frames
            self.seconds += (min(each, 1.0) - self.seconds) / 8
        self._number, self._time_us = number, time_us
