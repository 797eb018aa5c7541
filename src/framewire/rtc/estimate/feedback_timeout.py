"""Whether feedback stays out while packets leave: a sign that nothing gets through. Must not know rates, packets'
contents, sockets or clocks.

`FeedbackWatch` in `rtc/send/` answers another question: whether one message is late, so that requests for lost packets
may be late as well. It takes a fraction of a second, and no decision about the bitrate.
"""

from __future__ import annotations

from typing import Final

FEEDBACK_TIMEOUT_S: Final = 1.0
"""Feedback is overdue this long after the first unanswered packet, then again every half of this.

Source: libwebrtc `kTimeoutInterval` (send_side_bandwidth_estimation.cc)."""

TIMEOUT_MIN_PACKETS: Final = 10
"""At least this many packets must have left since the last feedback: fewer may all be lost by chance.

Source: chosen by hand; pinned by
`tests/rtc/estimate/test_feedback_timeout.py::test_a_few_packets_may_stay_unanswered`."""


class FeedbackTimeout:
    """Counts what leaves, and says when feedback on it is overdue."""

    def __init__(self) -> None:
        self.any_feedback: bool = False
        """Whether any feedback has come yet. A viewer that never sent any may not be able to."""
        self._packets = 0
        """Sent since the last feedback."""
        self._since = self._checked_at = float("-inf")

    def sent(self, packets: int, now: float) -> None:
        """Count packets that leave."""
        if not self._packets:
            self._since = now
        self._packets += packets

    def received(self) -> None:
        """A feedback message came in."""
        self.any_feedback, self._packets = True, 0

    def expired(self, now: float) -> bool:
        """Whether feedback is overdue now. To be called about ten times a second."""
        stood_still, self._checked_at = now - self._checked_at > FEEDBACK_TIMEOUT_S / 2, now
        if stood_still:
            # This process was stopped, and so was whatever reads its feedback.
            self._since = now
        if not self.any_feedback or self._packets < TIMEOUT_MIN_PACKETS or now - self._since < FEEDBACK_TIMEOUT_S:
            return False
        self._since = now - FEEDBACK_TIMEOUT_S / 2
        return True
