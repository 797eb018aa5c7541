"""How long each frame lasts, as rate control counts it. Must not know encoders, clocks or streams."""

from __future__ import annotations

from typing import Final

MAX_DURATION_S: Final = 0.05
"""A frame after a pause may spend the bits of at most this much time.

On a link of just the target bitrate the frame takes as long to arrive, so more would pay for sharpness with delay. A
stream whose nominal interval is longer keeps its nominal interval as the limit.
Source: chosen by hand; pinned by `tests/codec/test_frame_duration.py::test_a_frame_after_a_pause_spends_50_ms`."""

MIN_DURATION_FRACTION: Final = 1 / 4
"""A frame that follows at once may still spend the bits of this fraction of the nominal interval.

Source: chosen by hand; pinned by `tests/codec/test_frame_duration.py::test_two_frames_at_once_still_get_bits_each`."""


class FrameDuration:
    """How long each frame lasts: the time since the frame before it, within limits."""

    def __init__(self, fps: float) -> None:
        self._nominal_s = 1 / fps
        self._last_us: int | None = None

    def since_last(self, time_us: int) -> float:
        """Seconds from the frame before to the one published at ``time_us``, within the limits above.

        The nominal interval where the times say nothing: for the first frame, a frame that is encoded again, and after
        a clock was set back.
        """
        last_us, self._last_us = self._last_us, time_us
        if last_us is None or time_us <= last_us:
            return self._nominal_s
        longest = max(MAX_DURATION_S, self._nominal_s)
        return min(max((time_us - last_us) / 1e6, self._nominal_s * MIN_DURATION_FRACTION), longest)
