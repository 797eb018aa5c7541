"""Whether the viewer's feedback is overdue, by its own usual interval. Must not know what is in it, sockets or clocks.

This one decides within a quarter of a second whether to send packets again unrequested; being wrong costs a few
packets. `FeedbackTimeout` of the estimator waits for a whole second, because being wrong halves the bitrate.
"""

from __future__ import annotations

from typing import Final

OVERDUE_FACTOR: Final = 2.2
"""Feedback is overdue after this multiple of its usual interval: then the viewer's other messages may be lost as well.

Source: benchmark `lossy-150ms-10%-bursts`; pinned by
`tests/rtc/send/test_feedback_watch.py::test_feedback_is_overdue_after_twice_its_usual_interval`."""

MAX_FEEDBACK_INTERVAL_S: Final = 0.25
"""The usual interval counts as at most this: a viewer that receives nothing sends no feedback either.

Source: libwebrtc `RemoteEstimatorProxy` (`kMaxInterval`, 250 ms)."""

INITIAL_FEEDBACK_INTERVAL_S: Final = 0.1
"""The usual interval until one is measured.

Source: libwebrtc `RemoteEstimatorProxy` (`kDefaultInterval`, 100 ms)."""

FEEDBACK_INTERVAL_NEW_WEIGHT: Final = 1 / 8
"""The weight of the newest interval in the usual one.

Source: chosen by hand; pinned by
`tests/rtc/send/test_feedback_watch.py::test_the_usual_interval_is_an_average`."""


class FeedbackWatch:
    """Measures how often feedback comes."""

    def __init__(self) -> None:
        self._newest_at = float("inf")
        self._interval_s = INITIAL_FEEDBACK_INTERVAL_S

    def received(self, now: float) -> None:
        """Feedback came."""
        if now > self._newest_at:
            interval_s = min(now - self._newest_at, MAX_FEEDBACK_INTERVAL_S)
            self._interval_s += (interval_s - self._interval_s) * FEEDBACK_INTERVAL_NEW_WEIGHT
        self._newest_at = now

    def overdue(self, now: float) -> bool:
        """Whether feedback should have come long ago; False before the first."""
        return now - self._newest_at > OVERDUE_FACTOR * self._interval_s
