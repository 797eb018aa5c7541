"""Whether frames are encoded at half size, since there is no time to encode all of them. Pure; time is an argument.

Must not know encoders or frames: it gets the time that encoding takes and the interval of frames. When three frames in
ten are dropped, even motion at half size looks better. A still picture is never halved.
"""

from __future__ import annotations

from typing import Final

KEEPS_UP_FRACTION: Final = 0.7
"""An encoder that encodes this fraction of the published frames is fast enough; below it the size is halved.

Source: chosen by hand; pinned by `tests/engine/stream/test_overload.py::test_five_of_six_frames_are_enough`.
"""

FULL_SIZE_FITS_FRACTION: Final = 0.9
"""Full size comes back when encoding it takes less than this fraction of the frame interval.

Source: chosen by hand; pinned by `tests/engine/stream/test_overload.py::test_full_size_comes_back_with_a_margin`.
"""

CHANGE_AFTER_S: Final = 2.0
"""The size changes once encoding has been too slow, or fast enough, for this long.

A shorter time may only mean that another program had the processor.

Source: chosen by hand;
pinned by `tests/engine/stream/test_overload.py::test_a_stream_that_is_too_much_is_halved_after_two_seconds`.
"""

STILL_AFTER_S: Final = 0.2
"""Without a new frame for this long, the picture is still, and is shown at full size at once.

Source: chosen by hand; pinned by `tests/engine/stream/test_overload.py::test_a_still_picture_has_full_size_at_once`.
"""

FULL_SIZE_RETRY_MIN_S: Final = 30.0
"""Full size is tried again after this long, and after twice as long each time it fails.

Full size that has held for this long counts as a success, and the time starts from here again.

Source: chosen by hand; pinned by `tests/engine/stream/test_overload.py::test_full_size_is_retried_less_and_less_often`.
"""

FULL_SIZE_RETRY_MAX_S: Final = 480.0
"""Full size is tried again after this long at most.

Source: chosen by hand; pinned by `tests/engine/stream/test_overload.py::test_full_size_is_retried_less_and_less_often`.
"""


class Overload:
    """Decides between full and half size for one encoder."""

    def __init__(self) -> None:
        self._full_size_cost_s: float | None = None
        """What encoding took at full size, since frames are halved; None while they are not."""
        self._wrong_since: float | None = None
        self._changed_at = 0.0
        self._retry_after_s = FULL_SIZE_RETRY_MIN_S

    @property
    def half(self) -> bool:
        """Whether frames are to be halved."""
        return self._full_size_cost_s is not None

    def update(self, cost_s: float, interval_s: float, now: float) -> None:
        """Encoding takes ``cost_s`` at the present size; a frame is published every ``interval_s``."""
        still = interval_s > STILL_AFTER_S
        if self._full_size_cost_s is not None:
            wrong = self._full_size_cost_s < FULL_SIZE_FITS_FRACTION * interval_s
            retry = now - self._changed_at > self._retry_after_s
        else:
            wrong = cost_s * KEEPS_UP_FRACTION > interval_s and not still
            retry = False
        if not (wrong or retry):
            self._wrong_since = None
            if not self.half and now - self._changed_at > FULL_SIZE_RETRY_MIN_S:
                self._retry_after_s = FULL_SIZE_RETRY_MIN_S
            return
        if self._wrong_since is None:
            self._wrong_since = now
        if retry or still or now - self._wrong_since > CHANGE_AFTER_S:
            self._change(cost_s, now, is_retry=retry and not wrong)

    def _change(self, cost_s: float, now: float, *, is_retry: bool) -> None:
        self._full_size_cost_s = None if self.half else cost_s
        self._changed_at = now
        self._wrong_since = None
        if is_retry:
            self._retry_after_s = min(2 * self._retry_after_s, FULL_SIZE_RETRY_MAX_S)
