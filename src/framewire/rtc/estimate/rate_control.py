"""The bitrate that the delay allows: additive or multiplicative increase until packets queue, then a decrease to below
what arrives (AIMD). Must not know packets, sockets or clocks.

After draft-ietf-rmcat-gcc-02 §5.5, as libwebrtc's `AimdRateControl` has it and with its constants, where none is named
as ours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

from framewire.rtc.estimate.link_capacity import LinkCapacityEstimator
from framewire.rtc.estimate.trendline import Usage

BACKOFF_FACTOR: Final = 0.85
"""A decrease goes to this fraction of what arrives: less, so that the queue empties.

Source: draft-ietf-rmcat-gcc-02 §5.5 (beta); libwebrtc `kDefaultBackoffFactor`."""

INCREASE_PER_SECOND_FACTOR: Final = 1.08
"""The estimate grows by this factor in a second, while it is unknown where the link is full.

Source: draft-ietf-rmcat-gcc-02 §5.5 (eta); libwebrtc `AimdRateControl::MultiplicativeRateIncrease`."""

MIN_MULTIPLICATIVE_INCREASE_BPS: Final = 1000
"""That growth is at least this in a second.

Source: libwebrtc `AimdRateControl::MultiplicativeRateIncrease`."""

MIN_ADDITIVE_INCREASE_BPS: Final = 4000.0
"""Near the link's capacity, the estimate grows by at least this in a second.

Source: libwebrtc `kMinIncreaseRateBpsPerSecond`."""

MAX_LEAD_FACTOR: Final = 1.5
"""The estimate grows up to this multiple of what arrives: beyond, the link was never tried.

Source: draft-ietf-rmcat-gcc-02 §5.5; libwebrtc `AimdRateControl::ChangeBitrate` (increase_limit)."""

MAX_LEAD_OFFSET_BPS: Final = 10_000
"""It may grow by this beyond that multiple, so that a very low bitrate does not stay for good.

Source: libwebrtc `AimdRateControl::ChangeBitrate` (increase_limit)."""

DETECTION_TIME_S: Final = 0.1
"""A change of the bitrate takes this to show, beside the round trip.

Source: libwebrtc `AimdRateControl::GetNearMaxIncreaseRateBpsPerSecond` (response_time)."""

ASSUMED_FRAME_INTERVAL_S: Final = 1 / 30
"""The additive increase assumes frames this far apart.

Source: libwebrtc `AimdRateControl::GetNearMaxIncreaseRateBpsPerSecond` (kFrameInterval)."""

ASSUMED_PACKET_BITS: Final = 1200 * 8
"""The additive increase assumes packets up to this size.

Source: libwebrtc `AimdRateControl::GetNearMaxIncreaseRateBpsPerSecond` (kPacketSize)."""

MAX_UPDATE_S: Final = 1.0
"""One update increases for at most this long.

Source: libwebrtc `AimdRateControl::MultiplicativeRateIncrease`."""

MIN_DECREASE_INTERVAL_S: Final = 0.05
"""The next decrease waits for a response time, but at least this long.

Source: ours, libwebrtc has 10 ms (`AimdRateControl::TimeToReduceFurther`); pinned by
`tests/rtc/estimate/test_rate_control.py::test_a_second_decrease_waits_for_a_response_time`."""

MAX_DECREASE_INTERVAL_S: Final = 0.3
"""The next decrease waits for a response time, but no longer than this.

Source: ours, libwebrtc has 200 ms (`AimdRateControl::TimeToReduceFurther`); pinned by
`tests/rtc/estimate/test_rate_control.py::test_a_second_decrease_waits_for_a_response_time`."""

URGENT_DECREASE_FRACTION: Final = 0.5
"""A decrease does not wait where less than this fraction of the estimate arrives.

Source: libwebrtc `AimdRateControl::TimeToReduceFurther`."""

LONG_QUEUE_S: Final = 0.1
"""A queue that stands this long has filled the link, though the stream sends less than it may.

Source: ours, chosen by hand; pinned by
`tests/rtc/estimate/test_rate_control.py::test_an_application_limited_stream_with_a_long_queue_has_filled_the_link`."""

MIN_DELIVERED_FRACTION: Final = 0.8
"""Where less than this fraction of what is sent arrives, the link is full, though the stream sends less than it may.

Source: ours, chosen by hand; pinned by
`tests/rtc/estimate/test_rate_control.py::test_an_application_limited_stream_keeps_its_estimate_where_all_arrives`."""

MAX_LIMITED_DECREASE_FACTOR: Final = 0.5
"""While a stream sends less than it may, one decrease leaves at least this fraction of the estimate: few packets
measure badly. A link that is measured to have shrunk is exempt.

Source: ours, chosen by hand; pinned by
`tests/rtc/estimate/test_rate_control.py::test_an_application_limited_stream_keeps_its_estimate_where_all_arrives`."""


@dataclass(frozen=True, slots=True)
class RateControlInput:
    """What is known of the link when a feedback message is in."""

    usage: Usage
    acked_bps: float | None
    """What arrives, over the usual window; None until it is known."""
    newest_acked_bps: float | None
    """What arrives, over the short window: uneven, unless the link is full."""
    sent_bps: float
    application_limited: bool
    """Whether less is sent than may be, so that what arrives says nothing about the link."""
    response_s: float
    """How long a change of the bitrate takes to show."""
    standing_queue_s: float
    """The shortest time for which recent packets waited."""
    shrunk_to_bps: float | None = None
    """What a link that has suddenly become too narrow lets through; None if none has."""


class AimdRateControl:
    """The delay-based estimate."""

    def __init__(self, start_bps: float, min_bps: float) -> None:
        self.bits_per_second: float = start_bps
        self._min_bps = min_bps
        self._capacity = LinkCapacityEstimator()
        self._state: Literal["hold", "increase"] = "hold"
        self._updated_at: float | None = None
        self.decreased_at: float = float("-inf")
        """When the queue last made the estimate fall."""

    def set(self, bits_per_second: float, *, link_full: bool) -> None:
        """Take over what a probe has measured; ``link_full`` says that the link let no more through, so that the
        estimate is near its capacity."""
        self.bits_per_second = max(bits_per_second, self._min_bps)
        self._capacity.reset()
        if link_full:
            self._capacity.add_overuse(bits_per_second)

    def halve(self, now: float) -> None:
        """Halve the estimate: no feedback comes on what is sent."""
        self.bits_per_second = max(self.bits_per_second / 2, self._min_bps)
        self._updated_at = now

    def update(self, signals: RateControlInput, now: float) -> None:
        """Take the signals of a feedback message."""
        elapsed = 0.0 if self._updated_at is None else min(now - self._updated_at, MAX_UPDATE_S)
        self._updated_at = now
        if signals.usage == "overuse":
            if self._may_decrease(signals, now):
                self._decrease(signals, now)
            self._state = "hold"
        elif signals.usage == "underuse":
            # The queue empties; an increase would stop that.
            self._state = "hold"
        elif self._state == "hold":
            self._state = "increase"
        elif not signals.application_limited:
            self._increase(signals, elapsed)

    def _may_decrease(self, signals: RateControlInput, now: float) -> bool:
        """Whether the last decrease had time to show; until then the signals are those of before it. Where less than
        half arrives, there is no doubt."""
        interval = min(max(signals.response_s, MIN_DECREASE_INTERVAL_S), MAX_DECREASE_INTERVAL_S)
        if now - self.decreased_at >= interval:
            return True
        urgent_bps = URGENT_DECREASE_FRACTION * self.bits_per_second
        if signals.shrunk_to_bps is not None:
            return signals.shrunk_to_bps < urgent_bps
        if signals.application_limited or signals.newest_acked_bps is None:
            return False
        return signals.newest_acked_bps < urgent_bps

    def _decrease(self, signals: RateControlInput, now: float) -> None:
        self.decreased_at = now
        measured = signals.newest_acked_bps if signals.shrunk_to_bps is None else signals.shrunk_to_bps
        acked = self.bits_per_second if measured is None else measured
        # A stream that sends less than it may measures badly.
        limited = signals.application_limited and signals.shrunk_to_bps is None
        delivered = (signals.acked_bps or 0.0) >= MIN_DELIVERED_FRACTION * signals.sent_bps
        if not limited or signals.standing_queue_s > LONG_QUEUE_S or not delivered:
            if self._capacity.is_above(acked):
                self._capacity.reset()
            self._capacity.add_overuse(acked)
            target = BACKOFF_FACTOR * acked
        else:
            # All that was sent arrived, and more might have: what arrived is not the link's capacity.
            target = max(BACKOFF_FACTOR * self.bits_per_second, MAX_LEAD_FACTOR * signals.sent_bps)
        if limited:
            target = max(target, MAX_LIMITED_DECREASE_FACTOR * self.bits_per_second)
        self.bits_per_second = max(min(self.bits_per_second, target), self._min_bps)

    def _increase(self, signals: RateControlInput, elapsed: float) -> None:
        if signals.acked_bps is None:
            return
        if self._capacity.is_below(signals.acked_bps):
            self._capacity.reset()
        rate = self.bits_per_second
        if self._capacity.known:
            rate += self._additive_increase_bps(signals.response_s) * elapsed
        else:
            rate += max(rate * (INCREASE_PER_SECOND_FACTOR**elapsed - 1), MIN_MULTIPLICATIVE_INCREASE_BPS * elapsed)
        limit = MAX_LEAD_FACTOR * signals.acked_bps + MAX_LEAD_OFFSET_BPS
        self.bits_per_second = max(self.bits_per_second, min(rate, limit))

    def _additive_increase_bps(self, response_s: float) -> float:
        """What the estimate gains in a second: about one packet in each response time."""
        frame_bits = self.bits_per_second * ASSUMED_FRAME_INTERVAL_S
        packet_bits = frame_bits / math.ceil(frame_bits / ASSUMED_PACKET_BITS)
        return max(MIN_ADDITIVE_INCREASE_BPS, packet_bits / (response_s + DETECTION_TIME_S))
