"""Where the link was full recently: mean and deviation of what arrived whenever its queue grew. Must not know packets,
delays, sockets or clocks.

As libwebrtc's `LinkCapacityEstimator`, with its constants.
"""

from __future__ import annotations

import math
from typing import Final

SAMPLE_NEW_WEIGHT: Final = 0.05
"""The weight of the newest sample in mean and variance.

Source: libwebrtc `LinkCapacityEstimator::OnOveruseDetected`."""

MIN_VARIANCE: Final = 0.4
"""The variance, in units of the mean, is at least this. It also starts so.

Source: libwebrtc `LinkCapacityEstimator::deviation_kbps_` (0.4 is about 14 kbit/s at 500 kbit/s)."""

MAX_VARIANCE: Final = 2.5
"""The variance, in units of the mean, is at most this.

Source: libwebrtc `LinkCapacityEstimator::Update` (2.5 is about 35 kbit/s at 500 kbit/s)."""

BOUND_DEVIATIONS: Final = 3
"""Bitrates within this many standard deviations of the mean are near the capacity.

Source: libwebrtc `LinkCapacityEstimator::UpperBound`, `LowerBound`."""


class LinkCapacityEstimator:
    """The bitrate near which the link is full; unknown until it was."""

    def __init__(self) -> None:
        self._mean_kbps: float | None = None
        self._variance = MIN_VARIANCE

    def add_overuse(self, acked_bps: float) -> None:
        """Take a sample: the queue grew while this much arrived."""
        kbps = max(acked_bps / 1000, 1.0)
        if self._mean_kbps is None:
            self._mean_kbps = kbps
        error = self._mean_kbps - kbps
        self._mean_kbps += SAMPLE_NEW_WEIGHT * (kbps - self._mean_kbps)
        # In units of the mean, as the capacities of links vary in proportion to them.
        self._variance += SAMPLE_NEW_WEIGHT * (error * error / self._mean_kbps - self._variance)
        self._variance = min(max(self._variance, MIN_VARIANCE), MAX_VARIANCE)

    def reset(self) -> None:
        """The capacity is unknown again; how much it varies is kept."""
        self._mean_kbps = None

    @property
    def known(self) -> bool:
        return self._mean_kbps is not None

    def is_below(self, acked_bps: float) -> bool:
        """Whether so much arrives that the link must have become wider."""
        return self._mean_kbps is not None and acked_bps / 1000 > self._mean_kbps + self._margin_kbps(self._mean_kbps)

    def is_above(self, acked_bps: float) -> bool:
        """Whether the queue grew at so low a bitrate that the link must have become narrower."""
        return self._mean_kbps is not None and acked_bps / 1000 < self._mean_kbps - self._margin_kbps(self._mean_kbps)

    def _margin_kbps(self, mean_kbps: float) -> float:
        return BOUND_DEVIATIONS * math.sqrt(self._variance * mean_kbps)
