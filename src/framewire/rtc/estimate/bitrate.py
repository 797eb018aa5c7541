"""The bitrate over a sliding window: of what is sent, and of what is acknowledged. Must not know packets' contents,
sockets or clocks.

The engine's meters of frames and bytes in `engine.stream` are others: they average over two seconds for a person to
read. A control loop needs the newest half second.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

BITRATE_WINDOW_S: Final = 0.5
"""The bitrates that the estimate rests on cover this long. Frames leave in bursts; at the lowest frame rate that still
is motion, half a second holds about eight of them.

Source: libwebrtc `kInitialRateWindowMs` (bitrate_estimator.cc)."""

SHORT_BITRATE_WINDOW_S: Final = 0.2
"""The bitrate behind a full link covers this long: there packets arrive evenly, and the newest show its capacity.

Source: chosen by hand, libwebrtc has 150 ms (`kRateWindowMs`); pinned by
`tests/rtc/estimate/test_bitrate.py::test_the_usual_window_is_half_a_second_and_the_short_one_a_fifth`."""


class BitrateTracker:
    """The bitrate of the newest `BITRATE_WINDOW_S` seconds, by the times of the packets and not by any clock.

    One class for what is sent, on our clock, and for what is acknowledged, on the viewer's: the two are compared.
    """

    def __init__(self, window_s: float = BITRATE_WINDOW_S) -> None:
        self._window_s = window_s
        self._packets: deque[tuple[float, int]] = deque()
        self._bytes = 0
        self._first_at: float | None = None
        self._newest_at = float("-inf")

    def add(self, at: float, size: int) -> None:
        """Count ``size`` bytes at a moment."""
        self.add_all([(at, size)])

    def add_all(self, packets: Sequence[tuple[float, int]]) -> None:
        """Count packets, each with its moment and its size in bytes, in order of time."""
        if not packets:
            return
        if self._first_at is None:
            self._first_at = packets[0][0]
        self._packets.extend(packets)
        self._bytes += sum(size for _, size in packets)
        self._advance(packets[-1][0])

    @property
    def known(self) -> bool:
        """Whether packets over at least half a window have been counted."""
        return self._first_at is not None and self._newest_at - self._first_at >= self._window_s / 2

    def bits_per_second(self, at: float | None = None) -> float:
        """The bitrate in the window that ends at ``at``, or with the newest packet.

        In the beginning it covers what there is, and at least a quarter of the window: two packets are no bitrate.
        """
        if at is not None:
            self._advance(at)
        span = self._window_s if self._first_at is None else min(self._window_s, self._newest_at - self._first_at)
        return self._bytes * 8 / max(span, self._window_s / 4)

    def _advance(self, at: float) -> None:
        self._newest_at = max(self._newest_at, at)
        packets, until = self._packets, self._newest_at - self._window_s
        while packets and packets[0][0] <= until:
            self._bytes -= packets.popleft()[1]
