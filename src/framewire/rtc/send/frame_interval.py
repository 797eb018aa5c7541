"""How far apart frames are sent. Must not know frames, sockets or clocks."""

from __future__ import annotations

from typing import Final

MAX_FRAME_INTERVAL_S: Final = 0.1
"""A longer gap counts as this: it is a pause, and frames after it come as they came before.

Source: chosen by hand; pinned by
`tests/rtc/send/test_frame_interval.py::test_a_pause_counts_as_a_tenth_of_a_second`."""

INITIAL_FRAME_INTERVAL_S: Final = 1 / 30
"""The interval until one is measured: 30 frames per second.

Source: chosen by hand; pinned by
`tests/rtc/send/test_frame_interval.py::test_before_any_frame_there_are_thirty_a_second`."""

FRAME_INTERVAL_NEW_WEIGHT: Final = 1 / 8
"""The weight of the newest gap between frames in the interval.

Source: chosen by hand; pinned by `tests/rtc/send/test_frame_interval.py::test_the_interval_is_an_average`."""


class FrameInterval:
    """Measures the interval between frames, in seconds."""

    def __init__(self) -> None:
        self.seconds: float = INITIAL_FRAME_INTERVAL_S
        self.newest_at: float = float("-inf")
        """When the newest frame was sent."""

    def frame_sent(self, now: float) -> float:
        """Count a frame. Returns the interval."""
        interval_s = min(now - self.newest_at, MAX_FRAME_INTERVAL_S)
        self.seconds += (interval_s - self.seconds) * FRAME_INTERVAL_NEW_WEIGHT
        self.newest_at = now
        return self.seconds
