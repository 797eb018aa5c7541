"""What the delay of packets says about the link: how long its queue is, whether it grows, and whether the link has
suddenly become too narrow. Must not know rates, sockets or clocks.

The trend needs many packet groups. A link that shrinks to a tenth fills its queue within one feedback message, so the
packets of that message alone must show it.
"""

from __future__ import annotations

from typing import Final

from framewire.rtc.estimate.inter_arrival import InterArrivalDelta
from framewire.rtc.estimate.trendline import OveruseDetector, TrendlineEstimator, Usage

BASE_DELAY_WINDOW_S: Final = 15.0
"""The shortest delay is kept for at least this long, and for at most twice as long: the viewer's clock drifts, and
routes change.

Source: chosen by hand; pinned by
`tests/rtc/estimate/test_delay.py::test_a_longer_route_is_a_queue_until_the_old_base_delay_expires`."""

INITIAL_NOISE_S: Final = 0.005
"""The noise of the delay before anything is measured.

Source: chosen by hand; pinned by `tests/rtc/estimate/test_delay.py::test_noise_starts_at_five_milliseconds`."""

NOISE_NEW_WEIGHT: Final = 1 / 16
"""The weight of the newest feedback message in the noise.

Source: chosen by hand; pinned by `tests/rtc/estimate/test_delay.py::test_noise_starts_at_five_milliseconds`."""

MAX_NOISE_S: Final = 0.02
"""A larger difference between two feedback messages counts as this much noise: it is a queue.

Source: chosen by hand; pinned by `tests/rtc/estimate/test_delay.py::test_a_queue_counts_as_little_noise`."""

QUEUE_NOISE_FACTOR: Final = 2.0
"""A queue must exceed this multiple of the delay's noise: where the delay varies, even the shortest wait of a few
packets is that long.

Source: benchmark `lossy-100ms-3%`; pinned by
`tests/rtc/estimate/test_delay.py::test_the_margin_for_noise_is_twice_the_noise` and
`tests/rtc/test_simulated_links.py::test_loss_with_jitter_is_no_full_queue`."""

FULL_QUEUE_S: Final = 0.05
"""A link is suddenly congested if every packet of a feedback message waited longer than this in a queue that grows.

Source: chosen by hand; pinned by
`tests/rtc/estimate/test_delay.py::test_sudden_congestion_needs_a_long_queue_that_grows`."""

FULL_QUEUE_GROWTH_S: Final = 0.02
"""A long queue grows if the message's last third of packets waited longer than the first by more than this.

Source: chosen by hand; pinned by
`tests/rtc/estimate/test_delay.py::test_sudden_congestion_needs_a_long_queue_that_grows`."""

FILLING_QUEUE_S: Final = 0.01
"""A queue begins to fill if every packet of a feedback message waited longer than this, and the queue grows steeply.

Source: benchmark `1mbps-80ms`; pinned by
`tests/rtc/estimate/test_delay.py::test_a_filling_queue_needs_a_short_wait_and_a_steep_growth`."""

FILLING_QUEUE_GROWTH_S: Final = 0.025
"""A short queue grows steeply if the message's last third of packets waited longer than the first by more than this,
beyond noise.

Source: benchmark `1mbps-80ms`; pinned by
`tests/rtc/estimate/test_delay.py::test_a_filling_queue_needs_a_short_wait_and_a_steep_growth`."""

GROWTH_MIN_THIRD_PACKETS: Final = 2
"""A third of a feedback message must hold this many packets for its growth to be measured.

Source: chosen by hand; pinned by `tests/rtc/estimate/test_delay.py::test_growth_needs_six_packets`."""

GROWTH_MIN_DURATION_S: Final = 0.03
"""The packets of a feedback message must arrive over at least this time for its growth to be measured: what a machine
that stood still releases at once shows no growth.

Source: chosen by hand; pinned by `tests/rtc/estimate/test_delay.py::test_growth_needs_thirty_milliseconds`."""

REVEALED_QUEUE_S: Final = 0.03
"""A shortest delay that falls by more than this, beyond noise, reveals a queue that had never been empty before.

Source: benchmark `1mbps-80ms`; pinned by
`tests/rtc/estimate/test_delay.py::test_a_slightly_shorter_path_reveals_nothing`."""


class QueueingDelay:
    """How long packets wait in the link's queue: their delay beyond the shortest recent one.

    The viewer's clock has another zero and drifts, so only differences count, and only for a while.
    """

    def __init__(self) -> None:
        self.seconds: float = 0.0
        """The shortest wait in the newest feedback message."""
        self.standing_s: float = 0.0
        """The shortest wait in the two newest feedback messages: a queue that did not empty in between."""
        self.base_fell_s: float = 0.0
        """By how much the newest feedback message lowered the shortest delay."""
        self._base = self._previous_base = float("inf")
        self._window_began_at = 0.0

    def add(self, shortest: float, now: float) -> None:
        """Take the shortest delay of the packets in one feedback message."""
        if now - self._window_began_at > BASE_DELAY_WINDOW_S:
            self._window_began_at, self._previous_base, self._base = now, self._base, float("inf")
        known = min(self._base, self._previous_base)
        self.base_fell_s = max(known - shortest, 0.0) if known < float("inf") else 0.0
        self._base = min(self._base, shortest)
        before, self.seconds = self.seconds, self.of(shortest)
        self.standing_s = min(before, self.seconds)

    def of(self, delay: float) -> float:
        """Seconds that a packet waited that took ``delay`` from our clock to the viewer's."""
        return delay - min(self._base, self._previous_base)


class DelayDetector:
    """The delay-based signals of one peer connection."""

    def __init__(self) -> None:
        self._inter_arrival, self._trendline = InterArrivalDelta(), TrendlineEstimator()
        self._detector = OveruseDetector()
        self.queue: QueueingDelay = QueueingDelay()
        self.noise_s: float = INITIAL_NOISE_S
        """The average difference between the shortest delays of two consecutive feedback messages. A queue must exceed
        it. Packets of one message differ by more, as they wait for each other."""
        self._shortest: float | None = None
        self.hidden_queue_revealed: bool = False
        """Whether the newest feedback message shows that what was taken for an empty queue was none: the packets
        before it had met a queue."""
        self.queue_filling: bool = False
        """Whether a queue begins to fill: all packets of the newest feedback message waited over `FILLING_QUEUE_S`, and
        the last third over `FILLING_QUEUE_GROWTH_S` longer than the first. A frame that is large for its link looks
        the same."""
        self.suddenly_congested: bool = False
        """Whether the link has shrunk: all packets of the newest feedback message waited over `FULL_QUEUE_S`, and the
        last third over `FULL_QUEUE_GROWTH_S` longer than the first. The trend shows it later, after many groups."""

    @property
    def noise_margin_s(self) -> float:
        """By how much a queue must exceed a limit: so far the noise alone may exceed it."""
        return QUEUE_NOISE_FACTOR * self.noise_s

    @property
    def usage(self) -> Usage:
        """What the trend says."""
        return self._detector.usage

    def restart_grouping(self) -> None:
        """Do not compare what follows to what was: a probe has filled the queue on purpose."""
        self._inter_arrival = InterArrivalDelta()

    def add(self, packets: list[tuple[float, float]], now: float) -> None:
        """Take the packets of one feedback message, each with departure and arrival, in order of arrival."""
        self.suddenly_congested = self.queue_filling = self.hidden_queue_revealed = False
        for sent_at, arrived_at in packets:
            delta = self._inter_arrival.add(sent_at, arrived_at)
            if delta is None:
                continue
            trend = self._trendline.add(delta.arrived_s - delta.sent_s, delta.arrived_at)
            if trend is not None:
                self._detector.add(trend, delta.sent_s, delta.arrived_at)
        if packets:
            self._measure_queue(packets, now)

    def _measure_queue(self, packets: list[tuple[float, float]], now: float) -> None:
        shortest = min(arrived - sent for sent, arrived in packets)
        if self._shortest is not None:
            difference = min(abs(shortest - self._shortest), MAX_NOISE_S)
            self.noise_s += (difference - self.noise_s) * NOISE_NEW_WEIGHT
        self._shortest = shortest
        self.queue.add(shortest, now)
        growth, margin_s = _growth(packets), self.noise_margin_s
        self.hidden_queue_revealed = self.queue.base_fell_s > REVEALED_QUEUE_S + margin_s
        self.suddenly_congested = self.queue.seconds > FULL_QUEUE_S and growth > FULL_QUEUE_GROWTH_S
        self.queue_filling = self.queue.seconds > FILLING_QUEUE_S and growth > FILLING_QUEUE_GROWTH_S + margin_s


def _growth(packets: list[tuple[float, float]]) -> float:
    """How much longer the last third of the packets took than the first third: a queue that fills. A machine or a
    radio that stood still delays packets as much, but then releases them together, so that later ones took less."""
    third = len(packets) // 3
    if third < GROWTH_MIN_THIRD_PACKETS or packets[-1][1] - packets[0][1] < GROWTH_MIN_DURATION_S:
        return 0.0
    return _mean_delay(packets[-third:]) - _mean_delay(packets[:third])


def _mean_delay(packets: list[tuple[float, float]]) -> float:
    return sum(arrived - sent for sent, arrived in packets) / len(packets)
