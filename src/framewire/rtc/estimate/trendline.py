"""Whether packets take longer and longer: the sign of a queue that grows. Must not know packets, rates, sockets or
clocks.

The delay-based detector of Google congestion control (draft-ietf-rmcat-gcc-02 §5), with the trendline in place of the
Kalman filter, as libwebrtc's `TrendlineEstimator` has it and with its constants.
"""

from __future__ import annotations

from collections import deque
from typing import Final, Literal

Usage = Literal["normal", "overuse", "underuse"]
"""How the link is used: `overuse` while a queue grows, `underuse` while it empties."""

WINDOW_GROUPS: Final = 20
"""The trend is taken over this many packet groups.

Source: libwebrtc `kDefaultTrendlineWindowSize`."""

DELAY_NEW_WEIGHT: Final = 0.1
"""The weight of the newest value in the smoothed delay.

Source: libwebrtc `kDefaultTrendlineSmoothingCoeff` is the weight of the past, 0.9."""

TREND_GAIN_FACTOR: Final = 4.0
"""The slope is multiplied by this before it is compared to the threshold.

Source: libwebrtc `kDefaultTrendlineThresholdGain`."""

MAX_WEIGHT_GROUPS: Final = 60
"""The slope is multiplied by the number of groups so far, up to this: few groups make it less certain.

Source: libwebrtc `kMinNumDeltas`."""

INITIAL_THRESHOLD: Final = 12.5
"""The threshold that the trend must exceed, before it adapts. It has the trend's scaled unit.

Source: draft-ietf-rmcat-gcc-02 §5.4 (del_var_th(0)); libwebrtc `TrendlineEstimator::threshold_`."""

MIN_THRESHOLD: Final = 6.0
"""The threshold never falls below this.

Source: draft-ietf-rmcat-gcc-02 §5.4; libwebrtc `TrendlineEstimator::UpdateThreshold`."""

MAX_THRESHOLD: Final = 600.0
"""The threshold never rises above this.

Source: draft-ietf-rmcat-gcc-02 §5.4; libwebrtc `TrendlineEstimator::UpdateThreshold`."""

THRESHOLD_UP_PER_MS: Final = 0.0087
"""The threshold moves by this part of the difference in a millisecond, while the trend is above it.

Source: libwebrtc `TrendlineEstimator::k_up_` (K_u in draft-ietf-rmcat-gcc-02 §5.4)."""

THRESHOLD_DOWN_PER_MS: Final = 0.039
"""The threshold moves by this part of the difference in a millisecond, while the trend is below it.

Source: libwebrtc `TrendlineEstimator::k_down_` (K_d in draft-ietf-rmcat-gcc-02 §5.4)."""

MAX_ADAPT_OFFSET: Final = 15.0
"""A trend this far above the threshold does not move it: it is a change of route or a stall, and no noise.

Source: draft-ietf-rmcat-gcc-02 §5.4; libwebrtc `kMaxAdaptOffsetMs`."""

MAX_ADAPT_MS: Final = 100.0
"""The threshold adapts for at most this long in one step.

Source: libwebrtc `kMaxTimeDeltaMs`."""

OVERUSE_TIME_S: Final = 0.01
"""The trend must stay above the threshold for longer than this before it counts as overuse.

Source: draft-ietf-rmcat-gcc-02 §5.4 (overuse_time_th); libwebrtc `kOverUsingTimeThreshold`."""


class TrendlineEstimator:
    """The slope of the smoothed delay over the newest packet groups."""

    def __init__(self) -> None:
        self._accumulated_ms = self._smoothed_ms = 0.0
        self._points: deque[tuple[float, float]] = deque(maxlen=WINDOW_GROUPS)
        self._groups = 0

    def add(self, growth_s: float, arrived_at: float) -> float | None:
        """Take a group that took ``growth_s`` longer than the one before. Returns the trend, scaled as the detector's
        threshold is; None while there are too few groups."""
        self._groups += 1
        self._accumulated_ms += growth_s * 1000
        self._smoothed_ms += (self._accumulated_ms - self._smoothed_ms) * DELAY_NEW_WEIGHT
        self._points.append((arrived_at, self._smoothed_ms))
        if len(self._points) < WINDOW_GROUPS:
            return None
        return _slope(self._points) / 1000 * min(self._groups, MAX_WEIGHT_GROUPS) * TREND_GAIN_FACTOR


def _slope(points: deque[tuple[float, float]]) -> float:
    """The slope of the least-squares line, milliseconds a second."""
    # Relative to the first point, as squares of seconds since an epoch lose their digits.
    origin = points[0][0]
    mean_x = sum(x for x, _ in points) / len(points) - origin
    mean_y = sum(y for _, y in points) / len(points)
    variance = sum((x - origin - mean_x) ** 2 for x, _ in points)
    return sum((x - origin - mean_x) * (y - mean_y) for x, y in points) / variance if variance else 0.0


class OveruseDetector:
    """Compares the trend to a threshold that adapts: next to a flow that fills queues, a detector that reacts to every
    millisecond would starve (draft-ietf-rmcat-gcc-02 §5.4)."""

    def __init__(self) -> None:
        self.usage: Usage = "normal"
        self.threshold: float = INITIAL_THRESHOLD
        self._over_s: float | None = None
        self._over_count = 0
        self._trend = 0.0
        self._updated_at: float | None = None

    def add(self, trend: float, sent_s: float, now: float) -> None:
        """Take the trend after a group that left ``sent_s`` seconds after the one before; ``now`` is its arrival."""
        if trend > self.threshold:
            self._over_s = sent_s / 2 if self._over_s is None else self._over_s + sent_s
            self._over_count += 1
            if self._over_s > OVERUSE_TIME_S and self._over_count > 1 and trend >= self._trend:
                self.usage = "overuse"
        else:
            self._over_s, self._over_count = None, 0
            self.usage = "underuse" if trend < -self.threshold else "normal"
        self._trend = trend
        self._adapt(abs(trend), now)

    def _adapt(self, trend: float, now: float) -> None:
        last, self._updated_at = self._updated_at, now
        if last is None or trend > self.threshold + MAX_ADAPT_OFFSET:
            return
        gain = THRESHOLD_DOWN_PER_MS if trend < self.threshold else THRESHOLD_UP_PER_MS
        elapsed_ms = min(max(now - last, 0.0) * 1000, MAX_ADAPT_MS)
        moved = self.threshold + gain * (trend - self.threshold) * elapsed_ms
        self.threshold = min(max(moved, MIN_THRESHOLD), MAX_THRESHOLD)
