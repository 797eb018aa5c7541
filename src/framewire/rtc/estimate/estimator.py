"""The bandwidth available to one viewer: one estimate for all that a peer connection sends. Must not know packets'
contents, sockets or clocks.

Delay is the first sign of a full link; loss is the sign where queues are short. Probes show that a link takes more than
is sent. Without any feedback, nothing gets through. As libwebrtc's `GoogCcNetworkController`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from framewire.options import MAX_BITRATE_BPS
from framewire.rtc.estimate.backlog import Backlog
from framewire.rtc.estimate.bitrate import SHORT_BITRATE_WINDOW_S, BitrateTracker
from framewire.rtc.estimate.delay import DelayDetector
from framewire.rtc.estimate.feedback_timeout import FeedbackTimeout
from framewire.rtc.estimate.loss_control import LossControl
from framewire.rtc.estimate.probe_bitrate import ProbeCluster
from framewire.rtc.estimate.probing import ProbeController
from framewire.rtc.estimate.rate_control import AimdRateControl, RateControlInput
from framewire.rtc.estimate.rtt import ResponseTime
from framewire.rtc.estimate.shrunk_link import ShrunkLink
from framewire.rtc.estimate.trendline import Usage
from framewire.rtc.rtp.twcc import PacketResult

START_BPS: Final = 2_000_000
"""The estimate before anything is measured.

Source: benchmark `1mbps-80ms`, more would fill a slow link before the first feedback; pinned by
`tests/rtc/estimate/test_estimator.py::test_the_estimate_starts_at_two_megabits_and_is_at_least_150_kilobits`."""

MIN_BPS: Final = 150_000
"""The estimate never falls below this: a picture of less is of no use, and this much shows that the link is back.

Source: chosen by hand; pinned by
`tests/rtc/estimate/test_estimator.py::test_the_estimate_starts_at_two_megabits_and_is_at_least_150_kilobits`."""

GOAL_FACTOR: Final = 1.5
"""Probes search for this multiple of what the streams can use, so that frames may leave in one burst.

Source: chosen by hand; pinned by
`tests/rtc/estimate/test_estimator_probes.py::test_probes_search_for_half_more_than_the_streams_can_use`."""

APPLICATION_LIMITED_FRACTION: Final = 0.7
"""A stream that sends less than this fraction of the estimate learns nothing about the link from what arrives.

Source: libwebrtc `AlrDetectorConfig::bandwidth_usage_ratio` is 0.65; ours counts without a budget. Pinned by
`tests/rtc/estimate/test_estimator.py::test_less_than_seven_tenths_of_the_estimate_is_application_limited`."""

EMPTY_QUEUE_S: Final = 0.03
"""A queue up to this long, beyond noise, counts as none.

Source: chosen by hand; pinned by
`tests/rtc/estimate/test_estimator_probes.py::test_no_probe_is_sent_into_a_queue`."""

PROBE_MIN_TIME_SINCE_DECREASE_S: Final = 1.0
"""No probe is sent within this time after a decrease.

Source: chosen by hand; pinned by
`tests/rtc/estimate/test_estimator_probes.py::test_no_probe_is_sent_in_the_second_after_a_decrease`."""

PROBE_MAX_LOSS_FRACTION: Final = 0.25
"""No probe is sent at this loss or more: it would lose too many of its packets to measure anything.

Source: chosen by hand; pinned by
`tests/rtc/estimate/test_estimator_probes.py::test_no_probe_is_sent_where_a_quarter_is_lost`."""

OVERFLOW_LOSS_FRACTION: Final = 0.03
"""More loss than this together with a queue is a short queue that overflows: it loses packets and grows no more.

Source: chosen by hand; pinned by
`tests/rtc/estimate/test_estimator.py::test_more_than_three_percent_lost_with_a_short_queue_is_overuse`."""

OVERFLOW_QUEUE_S: Final = 0.01
"""More than this, beyond `OVERFLOW_MARGIN_FACTOR` times the margin for noise, is a queue in that rule.

Source: chosen by hand; pinned by
`tests/rtc/estimate/test_estimator.py::test_loss_with_a_short_queue_is_overuse`."""

OVERFLOW_MARGIN_FACTOR: Final = 2
"""That rule takes this multiple of the usual margin for noise: on a radio link with loss, the delay varies without any
queue.

Source: benchmark `lossy-100ms-3%`; pinned by
`tests/rtc/estimate/test_estimator.py::test_loss_where_delays_vary_is_overuse_only_with_a_longer_queue`."""

STANDING_QUEUE_S: Final = 0.008
"""Where recent packets waited less than this, beyond noise, overuse is reported as underuse, so that the rate is held:
one burst was larger than the one before, or a machine was busy.

Source: chosen by hand; pinned by
`tests/rtc/estimate/test_estimator.py::test_a_trend_without_a_standing_queue_is_no_overuse`."""

DRAIN_MIN_QUEUE_S: Final = 0.06
"""A longer queue is drained by sending less. A shorter one is left to the usual decrease. A long one was made by a link
that shrank, and each frame would wait in it.

Source: chosen by hand; pinned by
`tests/rtc/estimate/test_estimator.py::test_a_long_queue_is_drained_for_three_seconds_after_a_decrease`."""

DRAIN_TIME_S: Final = 1.0
"""So much less is sent that what exceeds `DRAIN_MIN_QUEUE_S` empties within this time.

Source: chosen by hand; pinned by
`tests/rtc/estimate/test_estimator.py::test_a_longer_queue_is_drained_faster_down_to_four_tenths`."""

DRAIN_MIN_FACTOR: Final = 0.4
"""At least this fraction of the estimate is sent while a queue is drained.

Source: chosen by hand; pinned by
`tests/rtc/estimate/test_estimator.py::test_a_longer_queue_is_drained_faster_down_to_four_tenths`."""

MAX_QUEUE_DRAIN_S: Final = 3.0
"""A queue is drained for at most this long after a decrease. A queue that stays is filled by others, and would stay
however little is sent.

Source: chosen by hand; pinned by
`tests/rtc/estimate/test_estimator.py::test_a_long_queue_is_drained_for_three_seconds_after_a_decrease`."""


class BandwidthEstimator:
    """Takes what is sent and the feedback on it, and gives the available bandwidth."""

    def __init__(self, start_bps: float = START_BPS, min_bps: float = MIN_BPS) -> None:
        self.useful_bps: float = MAX_BITRATE_BPS
        """Bits a second that all streams together can use. Until it is set: one stream's usual maximum."""
        self._min_bps = min_bps
        self._delay = DelayDetector()
        self._rate_control = AimdRateControl(start_bps, min_bps)
        self._loss_control = LossControl(min_bps)
        self._probes = ProbeController()
        self._acked, self._newest_acked = BitrateTracker(), BitrateTracker(SHORT_BITRATE_WINDOW_S)
        self._sent = BitrateTracker()
        self._response = ResponseTime()
        self._timeout = FeedbackTimeout()
        self._link = ShrunkLink()
        self._backlog = Backlog()
        self._newest_probe: int | None = None
        self.collapsed: bool = False
        """Whether the newest feedback says that the link has shrunk far below what is sent."""

    @property
    def bits_per_second(self) -> float:
        """The estimate. It counts all bytes of packets that have a transport-wide number, headers included."""
        return max(min(self._rate_control.bits_per_second, self._loss_control.bits_per_second), self._min_bps)

    @property
    def queueing_delay_s(self) -> float:
        """Seconds that packets wait in the link's queue."""
        return self._delay.queue.seconds

    @property
    def loss_fraction(self) -> float:
        """The fraction of packets lost recently."""
        return self._loss_control.loss_fraction

    @property
    def hidden_queue_revealed(self) -> bool:
        """Whether the newest feedback shows that packets before it met a queue of which nothing was known."""
        return self._delay.hidden_queue_revealed

    @property
    def newest_acked_sent_at(self) -> float:
        """When the newest packet left that is known to have arrived."""
        return self._backlog.newest_acked_sent_at

    @property
    def uncongested_since(self) -> float:
        """Packets that left after this moment met no full queue, as far as is known. Infinite while there is one."""
        return self._rate_control.decreased_at if self._uncongested else float("inf")

    def target_bps(self, now: float) -> float:
        """What to send: the estimate, or less while a queue of our own has to empty."""
        estimate, queue = self.bits_per_second, self._delay.queue.seconds
        if queue <= DRAIN_MIN_QUEUE_S or now - self._rate_control.decreased_at > MAX_QUEUE_DRAIN_S:
            return estimate
        factor = max(1 - (queue - DRAIN_MIN_QUEUE_S) / DRAIN_TIME_S, DRAIN_MIN_FACTOR)
        return max(estimate * factor, self._min_bps)

    def backlog_s(self, outstanding_bytes: int, now: float) -> float:
        """Seconds that a packet would wait in the link's queue that leaves now, behind ``outstanding_bytes``."""
        return self._backlog.seconds(outstanding_bytes, self.bits_per_second, now)

    def sent(self, size: int, now: float, packets: int = 1) -> None:
        """Count ``packets`` that leave now, of ``size`` bytes together."""
        self._sent.add(now, size)
        self._backlog.sent(now)
        self._timeout.sent(packets, now)

    def feed(self, results: Sequence[PacketResult], now: float) -> None:
        """Take the results of a feedback message."""
        self._timeout.received()
        self.collapsed = False
        if not results:
            return
        arrivals = [(result.arrived_at, result) for result in results if result.arrived_at is not None]
        arrivals.sort(key=lambda arrival: arrival[0])
        self._response.add(max(result.sent_at for result in results), now)
        sent_bps = self._sent.bits_per_second(now)
        self._measure(results, arrivals, sent_bps, now)
        self._count_losses(results)
        signals = self._signals(sent_bps)
        self._rate_control.update(signals, now)
        if self._rate_control.decreased_at == now:
            self._decreased(sent_bps, now)
        self._loss_control.update(self.bits_per_second, self._response.seconds, now, congested=not self._uncongested)
        self._take_probe_result(now)

    def _measure(
        self,
        results: Sequence[PacketResult],
        arrivals: Sequence[tuple[float, PacketResult]],
        sent_bps: float,
        now: float,
    ) -> None:
        """Take what arrived when: bitrates, probes, delays, and whether the link has shrunk."""
        sizes = [(arrived_at, result.size) for arrived_at, result in arrivals]
        self._acked.add_all(sizes)
        self._newest_acked.add_all(sizes)
        self._delay.add(self._sort_out_probes(results, arrivals), now)
        self._link.update(
            sizes,
            sent_bps,
            suddenly_congested=self._delay.suddenly_congested,
            queue_filling=self._delay.queue_filling,
        )
        if arrivals:
            arrived_at, newest = arrivals[-1]
            self._backlog.acked(newest.sent_at, self._delay.queue.of(arrived_at - newest.sent_at))
        self._backlog.note_overflow(results)

    def _sort_out_probes(
        self, results: Sequence[PacketResult], arrivals: Sequence[tuple[float, PacketResult]]
    ) -> list[tuple[float, float]]:
        """Give packets of probes to the probe's measurement; return departure and arrival of all others."""
        media: list[tuple[float, float]] = []
        for result in results:
            if result.arrived_at is None and result.probe_id is not None:
                self._probes.add(result)
        for arrived_at, result in arrivals:
            if result.probe_id is None:
                media.append((result.sent_at, arrived_at))
                continue
            self._probes.add(result)
            if result.probe_id != self._newest_probe:
                # From here on the queue holds what the probe put there.
                self._newest_probe = result.probe_id
                self._delay.restart_grouping()
        return media

    def _count_losses(self, results: Sequence[PacketResult]) -> None:
        """Count what left after the last decrease: losses before it are what caused it."""
        since = [result for result in results if result.sent_at > self._rate_control.decreased_at]
        arrived = sum(result.arrived_at is not None for result in since)
        late = sum(result.late for result in since)
        self._loss_control.add(arrived - late, len(since) - arrived, late)

    def _signals(self, sent_bps: float) -> RateControlInput:
        return RateControlInput(
            usage=self._usage,
            acked_bps=self._acked.bits_per_second() if self._acked.known else None,
            newest_acked_bps=self._newest_acked.bits_per_second() if self._newest_acked.known else None,
            sent_bps=sent_bps,
            application_limited=sent_bps < APPLICATION_LIMITED_FRACTION * self.bits_per_second,
            response_s=self._response.seconds,
            standing_queue_s=self._delay.queue.standing_s,
            shrunk_to_bps=self._link.capacity_bps,
        )

    def _decreased(self, sent_bps: float, now: float) -> None:
        """The estimate has just fallen."""
        self._probes.estimate_fell(now)
        self.collapsed = self._link.collapsed(sent_bps)
        if self.collapsed:
            self._backlog.link_changed()
            # What was sent before says nothing about what is sent from now on.
            self._sent = BitrateTracker()

    @property
    def _usage(self) -> Usage:
        """What the trend says, corrected by loss, by the queue, and by a link that has suddenly shrunk."""
        queue, margin_s = self._delay.queue, self._delay.noise_margin_s
        overflow_s = OVERFLOW_QUEUE_S + OVERFLOW_MARGIN_FACTOR * margin_s
        if self.loss_fraction > OVERFLOW_LOSS_FRACTION and queue.seconds > overflow_s:
            return "overuse"
        if self._link.suddenly_congested:
            return "overuse"
        if self._delay.usage == "overuse" and queue.standing_s < STANDING_QUEUE_S + margin_s:
            return "underuse"
        return self._delay.usage

    @property
    def _uncongested(self) -> bool:
        return self._usage == "normal" and self._delay.queue.seconds < EMPTY_QUEUE_S + self._delay.noise_margin_s

    def _take_probe_result(self, now: float) -> None:
        first = not self._probes.has_result
        found = self._probes.result(now, self._delay.noise_s)
        if found is None or self._usage == "overuse":
            return
        # The start is a guess, so the first probe that finds the link full may lower it.
        if found.bits_per_second > self._rate_control.bits_per_second or (first and found.link_full):
            self._rate_control.set(found.bits_per_second, link_full=found.link_full)
            self._loss_control.raise_to(found.bits_per_second)

    def next_probe(self, now: float) -> ProbeCluster | None:
        """The probe to send now, if one is due. There is none before the first feedback: the first packets may wait in
        a queue already."""
        if not self._timeout.any_feedback:
            return None
        allowed = (
            self._uncongested
            and now - self._rate_control.decreased_at > PROBE_MIN_TIME_SINCE_DECREASE_S
            and self.loss_fraction < PROBE_MAX_LOSS_FRACTION
        )
        goal_bps = GOAL_FACTOR * self.useful_bps
        return self._probes.next(self.bits_per_second, goal_bps, now, self._delay.noise_s, allowed=allowed)

    def tick(self, now: float) -> None:
        """Halve the estimate if no feedback comes. To be called about ten times a second."""
        if self._timeout.expired(now):
            self._rate_control.halve(now)
            self._probes.estimate_fell(now)
