"""Loss-based control: the bitrate that loss allows. Must not know packets, delay, sockets or clocks.

After draft-ietf-rmcat-gcc-02 §6: loss alone is a sign of congestion only when much is lost. Radio links lose a few
percent at any bitrate, and sending less would not help.
"""

from __future__ import annotations

from typing import Final

from framewire.rtc.estimate.loss import RECENT_MIN_PACKETS, RecentLoss

LOW_LOSS_FRACTION: Final = 0.02
"""Below this loss the bound rises by `INCREASE_FACTOR`.

Source: draft-ietf-rmcat-gcc-02 §6; libwebrtc `kDefaultLowLossThreshold`."""

HIGH_LOSS_FRACTION: Final = 0.1
"""Above this loss the bound falls.

Source: draft-ietf-rmcat-gcc-02 §6; libwebrtc `kDefaultHighLossThreshold`."""

HIGH_LOSS_WITHOUT_QUEUE_FRACTION: Final = 0.2
"""Without a queue, the bound falls only above this loss: a radio link may lose up to this in bad moments.

Source: benchmark `lossy-150ms-10%-bursts`; pinned by
`tests/rtc/estimate/test_loss_control.py::test_without_a_queue_only_more_than_a_fifth_lost_lowers_the_bound`."""

MEDIUM_LOSS_WITHOUT_QUEUE_FRACTION: Final = HIGH_LOSS_FRACTION / 2
"""Below this loss, without a queue, the bound rises by `CAREFUL_INCREASE_FACTOR`. Else a radio link's usual loss
would hold for good a bound that one bad second has set.

Source: chosen by hand; pinned by
`tests/rtc/estimate/test_loss_control.py::test_medium_loss_without_a_queue_raises_the_bound_slowly`."""

INCREASE_FACTOR: Final = 1.05
"""The bound rises by this factor at each update with low loss.

Source: draft-ietf-rmcat-gcc-02 §6."""

CAREFUL_INCREASE_FACTOR: Final = 1.02
"""The bound rises by this factor at each update with medium loss and without a queue.

Source: chosen by hand; pinned by
`tests/rtc/estimate/test_loss_control.py::test_medium_loss_without_a_queue_raises_the_bound_slowly`."""

DECREASE_INTERVAL_S: Final = 0.3
"""Two decreases are at least this and a response time apart: so long the first one takes to show.

Source: libwebrtc `kBweDecreaseInterval` (send_side_bandwidth_estimation.cc)."""

UNBOUNDED_FACTOR: Final = 2
"""A bound above this multiple of the estimate is dropped: it limits nothing any more.

Source: chosen by hand; pinned by
`tests/rtc/estimate/test_loss_control.py::test_a_bound_of_twice_the_estimate_is_dropped`."""


class LossControl:
    """An upper bound on the bitrate; infinite until much is lost."""

    def __init__(self, min_bps: float) -> None:
        self.bits_per_second: float = float("inf")
        self._min_bps = min_bps
        self._loss = RecentLoss()
        self._decreased_at = float("-inf")

    @property
    def loss_fraction(self) -> float:
        """The fraction of packets lost recently, 0 to 1."""
        return self._loss.fraction

    def add(self, arrived: int, lost: int, late: int) -> None:
        """Count the packets of one feedback message; ``late`` ones were counted as lost before, and are not."""
        self._loss.add(arrived, lost, late)

    def update(self, estimate_bps: float, response_s: float, now: float, *, congested: bool) -> None:
        """Adjust the bound, while the estimate is ``estimate_bps``. ``response_s`` is the response time in seconds;
        ``congested`` says that packets wait in a queue, or that one grows or empties."""
        packets = self._loss.update(now)
        if packets is None:
            return
        fraction = self._loss.fraction
        high = HIGH_LOSS_FRACTION if congested else HIGH_LOSS_WITHOUT_QUEUE_FRACTION
        if min(fraction, self._loss.newest_fraction) > high:
            if packets >= RECENT_MIN_PACKETS:
                self._decrease(estimate_bps, response_s, now)
        elif fraction < LOW_LOSS_FRACTION:
            self.bits_per_second *= INCREASE_FACTOR
        elif not congested and fraction < MEDIUM_LOSS_WITHOUT_QUEUE_FRACTION:
            self.bits_per_second *= CAREFUL_INCREASE_FACTOR
        if self.bits_per_second > UNBOUNDED_FACTOR * estimate_bps:
            self.bits_per_second = float("inf")

    def raise_to(self, bits_per_second: float) -> None:
        """Raise the bound to what a probe has measured."""
        self.bits_per_second = max(self.bits_per_second, bits_per_second)

    def _decrease(self, estimate_bps: float, response_s: float, now: float) -> None:
        if now - self._decreased_at < DECREASE_INTERVAL_S + response_s:
            return
        self._decreased_at = now
        bound = min(estimate_bps, self.bits_per_second) * (1 - 0.5 * self._loss.fraction)
        self.bits_per_second = max(bound, self._min_bps)
