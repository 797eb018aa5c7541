"""The time that frames stand for, as rate control sees it. Must not know encoders, clocks or streams."""

from __future__ import annotations

LONGEST = 0.05
"""Seconds of bitrate that one frame may spend at most, however long nothing was published before it. On a
link of just that bitrate a frame takes this long to arrive, so more would buy sharpness with delay."""


class Pace:
    """Turns publish times into the span of time that each frame may spend bits for."""

    def __init__(self, fps: float) -> None:
        self._nominal = 1 / fps
        self._last_us: int | None = None

    def step(self, time_us: int) -> float:
        """Seconds since the frame before, within reason; the nominal interval where that says nothing (the
        first frame, one that is encoded again, a clock that was set back)."""
        last, self._last_us = self._last_us, time_us
        if last is None or time_us <= last:
            return self._nominal
        longest = max(LONGEST, self._nominal)
        return min(max((time_us - last) / 1e6, self._nominal / 4), longest)
