"""How much is lost on the path to one viewer, over a short window and over a long one. Must not know rates, packets'
contents, sockets or clocks.

Two measures, because they answer two questions. `RecentLoss` asks whether the link is overloaded at this moment, so it
covers about a second and counts every packet. `LossModel` asks what the path loses by itself, so it covers
about 1200 packets, knows in which bursts packets are lost, and is fed only packets that met no full queue.
The fraction in an RTCP reception report is a third: the viewer's own count, for statistics alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from framewire.rtc.rtp.twcc import PacketResult

RECENT_INTERVAL_S: Final = 0.2
"""One update of the recent loss covers at least this long.

Source: draft-ietf-rmcat-gcc-02 §6 updates the loss-based bound with each report, about as often."""

RECENT_MIN_PACKETS: Final = 20
"""One update of the recent loss covers at least this many packets: of fewer, one loss counts too much.

Source: libwebrtc `kLimitNumPackets` (send_side_bandwidth_estimation.cc)."""

RECENT_MAX_INTERVAL_S: Final = 0.6
"""After this long one packet is enough for an update, and it replaces the average: so the end of loss is noticed
though almost nothing is sent.

Source: chosen by hand; pinned by
`tests/rtc/estimate/test_loss.py::test_a_few_packets_show_at_last_that_loss_is_over`."""

RECENT_WINDOW_PACKETS: Final = 100
"""The recent loss is an average over about this many packets: with losses in bursts, single updates vary too much.

Source: chosen by hand; pinned by `tests/rtc/estimate/test_loss.py::test_recent_loss_is_an_average_over_100_packets`."""

LONG_WINDOW_PACKETS: Final = 1200
"""The loss model averages over about this many packets: at 1 % loss, twelve losses.

Source: benchmark `lossy-40ms-1%`; pinned by
`tests/rtc/estimate/test_loss.py::test_the_long_average_covers_1200_packets`."""

SHORT_WINDOW_PACKETS: Final = 200
"""The loss model's second average covers about this many packets, to notice quickly that loss rises.

Source: benchmark `lossy-150ms-10%-bursts`; pinned by
`tests/rtc/estimate/test_loss.py::test_a_rise_is_the_newest_200_packets`."""

RISE_DEVIATIONS: Final = 3.0
"""Loss has risen once the short average exceeds the long one by this many standard deviations of chance. Loss in
bursts comes and goes by itself.

Source: chosen by hand; pinned by
`tests/rtc/estimate/test_loss.py::test_little_loss_has_risen_once_it_is_too_much_for_chance`."""

MAX_BURSTS_IN_SILENCE: Final = 4.0
"""Without a loss for a while, the loss is at most what would have caused this many bursts in that time. So many fail to
appear by chance in 2 of 100 cases (exp(-4)). Else one congested moment would be protected against for 1200 packets.

Source: Poisson statistics; pinned by
`tests/rtc/estimate/test_loss.py::test_loss_that_ended_suddenly_is_not_protected_against_for_long`."""

MAX_SILENCE_BURST_PACKETS: Final = 5.0
"""In that rule a burst counts as at most this many packets: one long outage is no measure of the usual burst.

Source: chosen by hand; pinned by
`tests/rtc/estimate/test_loss.py::test_loss_that_ended_suddenly_is_not_protected_against_for_long`."""

INITIAL_PACKETS: Final = 100
"""The loss model starts as if this many packets had arrived, so that the first loss is not taken for 100 %.

Source: chosen by hand; pinned by
`tests/rtc/estimate/test_loss.py::test_the_first_loss_is_one_of_a_hundred_packets`."""

ASSUMED_LOSS_FRACTION: Final = 0.03
"""While little is known, frames are protected against this loss at least.

Source: benchmark `lossy-150ms-10%-bursts`; pinned by
`tests/rtc/estimate/test_loss.py::test_the_first_frame_is_protected_while_nothing_is_known_and_the_round_trip_is_long`."""

ASSUMED_BURST_PACKETS: Final = 2.0
"""While little is known, that loss is assumed to come in bursts of this many packets at least.

Source: benchmark `lossy-150ms-10%-bursts`; pinned by
`tests/rtc/estimate/test_loss.py::test_the_first_frame_is_protected_while_nothing_is_known_and_the_round_trip_is_long`."""

ASSUME_UNTIL_PACKETS: Final = 150
"""Little is known until this many packets are accounted for.

Source: chosen by hand; pinned by
`tests/rtc/estimate/test_loss.py::test_the_first_frame_is_protected_while_nothing_is_known_and_the_round_trip_is_long`."""

ASSUME_MIN_RTT_S: Final = 0.1
"""Loss is assumed only from this round trip on: the first frame is large, all others wait for it, and asking again
takes so long that parity is worth its bits.

Source: benchmark `lossy-150ms-10%-bursts`; pinned by
`tests/rtc/estimate/test_loss.py::test_the_first_frame_is_protected_while_nothing_is_known_and_the_round_trip_is_long`."""


class RecentLoss:
    """The fraction of packets lost over about the last second."""

    def __init__(self) -> None:
        self.fraction: float = 0.0
        """Of the last `RECENT_WINDOW_PACKETS` or so, 0 to 1."""
        self.newest_fraction: float = 0.0
        """Of the newest interval alone."""
        self._arrived = self._lost = 0
        self._updated_at: float | None = None

    def add(self, arrived: int, lost: int, late: int) -> None:
        """Count the packets of one feedback message; ``late`` ones were counted as lost before, and are not."""
        self._arrived += arrived + late
        self._lost += lost - late

    def update(self, now: float) -> int | None:
        """End the interval if it is long enough. Returns how many packets it covers; None while it goes on."""
        if self._updated_at is None:
            self._updated_at = now
        packets, elapsed = self._arrived + self._lost, now - self._updated_at
        if elapsed < RECENT_INTERVAL_S or packets < (RECENT_MIN_PACKETS if elapsed < RECENT_MAX_INTERVAL_S else 1):
            return None
        self.newest_fraction = max(self._lost, 0) / packets
        weight = min(1.0, packets / RECENT_WINDOW_PACKETS) if elapsed < RECENT_MAX_INTERVAL_S else 1.0
        self.fraction += (self.newest_fraction - self.fraction) * weight
        self._updated_at, self._arrived, self._lost = now, 0, 0
        return packets


class LossModel:
    """Which fraction of packets the path loses by itself, and in bursts of which length (Gilbert's model)."""

    def __init__(self) -> None:
        self.fraction: float = 0.0
        self._lost = self._bursts = 0.0
        """Averages of packets lost and of bursts begun. Both have one weight, so that their ratio is right from the
        first burst on."""
        self._last_lost = False
        self._short_fraction = 0.0
        self._since_loss = 0
        """Packets since the last loss."""
        self._window = INITIAL_PACKETS
        """Packets that the long average covers so far."""

    @property
    def burst(self) -> float:
        """Packets lost in a row, on average; 1 if each is lost on its own."""
        return max(1.0, self._lost / self._bursts) if self._bursts > 1e-6 else 1.0

    def assumed(self, rtt: float) -> tuple[float, float]:
        """The loss fraction and burst length that frames should be protected against, at a round trip of ``rtt``
        seconds: those measured, or more while little is known."""
        if self._window < INITIAL_PACKETS + ASSUME_UNTIL_PACKETS and rtt > ASSUME_MIN_RTT_S:
            return max(self.fraction, ASSUMED_LOSS_FRACTION), max(self.burst, ASSUMED_BURST_PACKETS)
        return self.fraction, self.burst

    def feed(self, results: Sequence[PacketResult]) -> None:
        """Take results in the order that the packets left in. A packet that arrives late after all stays counted as
        lost: for its frame it was."""
        for result in results:
            if result.late:
                continue
            lost = result.arrived_at is None
            self._window = min(self._window + 1, LONG_WINDOW_PACKETS)
            self._short_fraction += (lost - self._short_fraction) / SHORT_WINDOW_PACKETS
            self.fraction += (lost - self.fraction) / self._window
            self._lost += (lost - self._lost) / LONG_WINDOW_PACKETS
            self._bursts += ((lost and not self._last_lost) - self._bursts) / LONG_WINDOW_PACKETS
            self._last_lost = lost
            self._since_loss = 0 if lost else self._since_loss + 1
        self._notice_rise()
        self._notice_end()

    def _notice_rise(self) -> None:
        """Take over the short average once it is too high for chance. The long one then covers no more packets than
        the short one: if it was chance after all, it leaves the average as soon. Burst lengths stay with the long
        average, as a burst that has only begun would count too much."""
        if self._short_fraction > max(2 * self.fraction, self.fraction + RISE_DEVIATIONS * self._deviation):
            self.fraction, self._window = self._short_fraction, min(self._window, SHORT_WINDOW_PACKETS)

    def _notice_end(self) -> None:
        """Lower the averages if nothing was lost for so long that they are improbable."""
        likely = MAX_BURSTS_IN_SILENCE * min(self.burst, MAX_SILENCE_BURST_PACKETS) / max(self._since_loss, 1)
        self._short_fraction = min(self._short_fraction, likely)
        self.fraction = min(self.fraction, likely)

    @property
    def _deviation(self) -> float:
        """Standard deviation of the short average, if the loss has not changed."""
        return math.sqrt(self.fraction * (2 * self.burst - 1) / (2 * SHORT_WINDOW_PACKETS))
