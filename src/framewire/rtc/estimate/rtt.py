"""How long a round trip to one viewer takes. Must not know packets, rates, sockets or clocks.

Two measures, because they answer two questions. `PathRtt` is the path alone: when a packet that is sent again arrives.
`ResponseTime` includes the time for which the viewer collects feedback: when a change of the bitrate shows.
"""

from __future__ import annotations

from typing import Final

INITIAL_RESPONSE_S: Final = 0.1
"""The response time before the first feedback: a viewer sends feedback about so often.

Source: libwebrtc `kDefaultSendInterval` (transport_sequence_number_feedback_generator.cc); pinned by
`tests/rtc/estimate/test_rtt.py::test_the_response_time_is_an_average_of_eight`."""

RESPONSE_WEIGHT: Final = 1 / 8
"""The weight of the newest feedback message in the average.

Source: RFC 6298 §2 (alpha of the smoothed RTT)."""


class ResponseTime:
    """Seconds from the departure of a packet until feedback covers it, on average."""

    def __init__(self) -> None:
        self.seconds = INITIAL_RESPONSE_S

    def add(self, newest_sent_at: float, now: float) -> None:
        """Feedback came in now; the newest packet that it covers left at ``newest_sent_at``."""
        self.seconds += (max(now - newest_sent_at, 0.0) - self.seconds) * RESPONSE_WEIGHT
