"""Which part of the bandwidth media may use, and when that is reported. Must not know packets, sockets or clocks.

The encoder fills only what headers, parity and retransmissions leave.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

RAISE_INTERVAL_S: Final = 0.1
"""A raised bitrate is reported this often at most; a lowered one at once.

Source: chosen by hand; pinned by
`tests/rtc/send/test_media_bitrate.py::test_a_rise_is_reported_ten_times_a_second_at_most`."""

REMIND_INTERVAL_S: Final = 1.0
"""The bitrate is reported again after this long: subscriptions added meanwhile do not know it yet.

Source: chosen by hand; pinned by
`tests/rtc/send/test_media_bitrate.py::test_an_unchanged_bitrate_is_reported_once_a_second`."""

MIN_CHANGE_FRACTION: Final = 0.02
"""A smaller change is not reported.

Source: chosen by hand; pinned by
`tests/rtc/send/test_media_bitrate.py::test_a_change_below_two_percent_waits_for_the_reminder`."""

OVERHEAD_NEW_WEIGHT: Final = 1 / 8
"""The weight of the newest frame in the part that headers and parity take: when loss begins, parity doubles that part
within a few frames.

Source: benchmark `lossy-150ms-10%-bursts`; pinned by
`tests/rtc/send/test_media_bitrate.py::test_parity_is_taken_off_within_a_few_frames`."""

MAX_RETRANSMITTED_FRACTION: Final = 0.25
"""At most this fraction is kept for retransmissions.

Source: chosen by hand; pinned by
`tests/rtc/send/test_media_bitrate.py::test_at_most_a_quarter_is_kept_for_retransmissions`."""

INITIAL_PAYLOAD_BYTES: Final = 9_500.0
"""Bytes of media in a frame, until frames are sent: about what the first estimate allows at 30 frames per second.

Source: chosen by hand; pinned by
`tests/rtc/send/test_controller.py::test_the_first_estimate_is_reported_at_once_and_repeated_every_second`."""

INITIAL_WIRE_BYTES: Final = 10_000.0
"""Wire bytes of the frame that `INITIAL_PAYLOAD_BYTES` assumes, headers included.

Source: chosen by hand; pinned by
`tests/rtc/send/test_controller.py::test_the_first_estimate_is_reported_at_once_and_repeated_every_second`."""


class MediaBitrate:
    """Reports the bits per second that media may use, headers, parity and retransmissions taken off."""

    def __init__(self, on_bitrate: Callable[[int], None], max_bps: Callable[[float], float]) -> None:
        """``on_bitrate`` is called with each report, never more than ``max_bps(loss_fraction)``."""
        self._on_bitrate = on_bitrate
        self._max_bps = max_bps
        self._payload_bytes, self._wire_bytes = INITIAL_PAYLOAD_BYTES, INITIAL_WIRE_BYTES
        self._reported_bps = 0
        self._reported_at = float("-inf")

    def add_frame(self, payload_bytes: int, wire_bytes: int) -> None:
        """Count a frame: its media, and all that it takes on the wire with headers and parity."""
        self._payload_bytes += (payload_bytes - self._payload_bytes) * OVERHEAD_NEW_WEIGHT
        self._wire_bytes += (wire_bytes - self._wire_bytes) * OVERHEAD_NEW_WEIGHT

    def update(self, bandwidth_bps: float, loss_fraction: float, retransmitted_fraction: float, now: float) -> None:
        """Take a new bandwidth, and report how much of it media may use, if a report is due."""
        usable_bps = bandwidth_bps * self._payload_bytes / self._wire_bytes
        usable_bps *= 1 - min(retransmitted_fraction, MAX_RETRANSMITTED_FRACTION)
        media_bps = int(min(usable_bps, self._max_bps(loss_fraction)))
        since_s = now - self._reported_at
        fell = media_bps < self._reported_bps * (1 - MIN_CHANGE_FRACTION)
        rose = media_bps > self._reported_bps * (1 + MIN_CHANGE_FRACTION) and since_s >= RAISE_INTERVAL_S
        if fell or rose or since_s >= REMIND_INTERVAL_S:
            self._reported_bps, self._reported_at = media_bps, now
            self._on_bitrate(media_bps)
