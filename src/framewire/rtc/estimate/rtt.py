"""How long a round trip to one viewer takes. Must not know packets, rates, sockets or clocks.

Two measures, because they answer two questions. `PathRtt` is the path alone: when a packet that is sent again arrives.
`ResponseTime` includes the time for which the viewer collects feedback: when a change of the bitrate shows.
The playout delay averages the first over its frames, as one long round trip does not make a long path.
"""

from __future__ import annotations

from typing import Final

INITIAL_RESPONSE_S: Final = 0.1
"""The response time before the first feedback: a viewer sends feedback about so often.

Source: libwebrtc `kDefaultSendInterval` (transport_sequence_number_feedback_generator.cc); pinned by
`tests/rtc/estimate/test_rtt.py::test_the_response_time_is_an_average_of_eight`."""

RESPONSE_NEW_WEIGHT: Final = 1 / 8
"""The weight of the newest feedback message in the average.

Source: RFC 6298 §2 (alpha of the smoothed RTT)."""


class PathRtt:
    """The newest round trip of the path alone. One for a peer connection: all its senders share the path, so each
    uses the newest report of any."""

    def __init__(self, seconds: float | None = None) -> None:
        self.seconds = seconds
        """None until it is known."""
        self._reported = False

    def add_check(self, seconds: float | None) -> None:
        """Take the round trip of an ICE check, if one was answered. It counts until the viewer reports: checks are
        rare, and the caller keeps the shortest one."""
        if not self._reported and seconds is not None:
            self.seconds = seconds

    def add_report(self, seconds: float) -> None:
        """Take the round trip of an RTCP report."""
        self.seconds, self._reported = seconds, True


class ResponseTime:
    """Seconds from the departure of a packet until feedback covers it, on average."""

    def __init__(self) -> None:
        self.seconds: float = INITIAL_RESPONSE_S

    def add(self, newest_sent_at: float, now: float) -> None:
        """Feedback came in now; the newest packet that it covers left at ``newest_sent_at``."""
        self.seconds += (max(now - newest_sent_at, 0.0) - self.seconds) * RESPONSE_NEW_WEIGHT
