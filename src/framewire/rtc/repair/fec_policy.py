"""How many parity packets a frame gets, and how large frames may be, by what the path loses. Must not know packets'
contents, sockets or clocks.

A frame of n packets is a round trip late if one of them is lost, and all frames after it wait as well. Parity costs
bits and saves the round trip. Where the round trip is short, or little is lost, it does not pay.
"""

from __future__ import annotations

import math
from typing import Final

from framewire.rtc.rtp.flexfec import SECOND_COVER_MIN_PARITIES, interleaving_depths

PARITY_MIN_LOSS_FRACTION: Final = 0.001
"""Below this loss frames get no parity.

Source: chosen by hand; pinned by
`tests/rtc/repair/test_fec_policy.py::test_no_parity_without_loss_or_on_a_short_path`."""

PARITY_MIN_RTT_S: Final = 0.015
"""Below this round trip frames get no parity: a retransmission comes within one frame interval.

Source: chosen by hand; pinned by
`tests/rtc/repair/test_fec_policy.py::test_no_parity_without_loss_or_on_a_short_path`."""

MAX_STALLED_FRACTION: Final = 0.02
"""Parity is added until the picture waits for retransmissions at most this fraction of the time. That time is the
fraction of frames that need one, times how many frames each of them holds up.

Source: benchmark `lossy-100ms-3%`; pinned by
`tests/rtc/repair/test_fec_policy.py::test_the_picture_waits_for_retransmissions_one_fiftieth_of_the_time`."""

MAX_PARITY_FACTOR: Final = 0.5
"""At most this many parity packets per packet where packets are lost one by one; but always one per frame.

Source: chosen by hand; pinned by
`tests/rtc/repair/test_fec_policy.py::test_parity_is_at_most_half_except_against_bursts`."""

MAX_PARITY_FACTOR_BURSTS: Final = 1.8
"""At most this many parity packets per packet where packets are lost in bursts.

Source: benchmark `lossy-150ms-10%-bursts`; pinned by
`tests/rtc/repair/test_fec_policy.py::test_parity_is_at_most_half_except_against_bursts`."""

BURSTS_MIN_PACKETS: Final = 1.5
"""Packets are lost in bursts if on average at least this many are lost in a row.

Source: chosen by hand; pinned by
`tests/rtc/repair/test_fec_policy.py::test_parity_is_at_most_half_except_against_bursts`."""

TWO_COVERS_EXPONENT: Final = 1.4
"""Two covers of interleaving depths a and b restore as much as one of depth (a·b) to this power.

Source: fitted to simulated losses, in
`tests/rtc/repair/test_fec_policy.py::test_the_estimate_of_failing_frames_is_close_to_a_simulation`."""

CAP_MIN_LOSS_FRACTION: Final = 0.004
"""Below this loss the bitrate is not capped.

Source: chosen by hand; pinned by
`tests/rtc/repair/test_fec_policy.py::test_the_bitrate_is_capped_by_loss_and_only_by_much_of_it`."""

CAP_AT_ONE_PERCENT_BPS: Final = 10_000_000.0
"""The media bitrate at 1 % loss is at most this: frames of fewer packets arrive whole more often.

Source: benchmark `lossy-40ms-1%`; pinned by
`tests/rtc/repair/test_fec_policy.py::test_the_bitrate_is_capped_by_loss_and_only_by_much_of_it`."""

CAP_EXPONENT: Final = 0.75
"""The cap falls with the loss to this power.

Source: benchmark `lossy-100ms-3%`; pinned by
`tests/rtc/repair/test_fec_policy.py::test_the_bitrate_is_capped_by_loss_and_only_by_much_of_it`."""


def parity_count(packets: int, loss_fraction: float, burst_packets: float, rtt_s: float, interval_s: float) -> int:
    """How many parity packets a frame of ``packets`` gets.

    The path loses ``loss_fraction`` of the packets, ``burst_packets`` in a row. A retransmission takes ``rtt_s``, and
    frames come every ``interval_s`` seconds.
    """
    if loss_fraction < PARITY_MIN_LOSS_FRACTION or rtt_s < PARITY_MIN_RTT_S:
        return 0
    factor = MAX_PARITY_FACTOR if burst_packets < BURSTS_MIN_PACKETS else MAX_PARITY_FACTOR_BURSTS
    most = max(1, round(packets * factor))
    if most < SECOND_COVER_MIN_PARITIES:
        # One cover has at most one parity per packet.
        most = min(most, packets)
    allowed = MAX_STALLED_FRACTION / (1 + rtt_s / interval_s)
    counts = range(1, most)
    return next((n for n in counts if failing_fraction(packets, n, loss_fraction, burst_packets) <= allowed), most)


def late_fraction(
    packets: int, parities: int, loss_fraction: float, burst_packets: float, rtt_s: float, interval_s: float
) -> float:
    """About the fraction of frames that wait for a retransmission: their own, or one of a frame before them."""
    return failing_fraction(packets, parities, loss_fraction, burst_packets) * (1 + rtt_s / interval_s)


def failing_fraction(packets: int, parities: int, loss_fraction: float, burst_packets: float) -> float:
    """About the fraction of frames that their parities cannot restore, covering them as
    `flexfec.interleaving_depths` says.

    Bursts begin at random and end with the same chance at each packet (Gilbert's model). A frame fails if one burst is
    longer than there are parities, or if several bursts meet in what the same parities cover.
    """
    bursts = (packets + parities) * loss_fraction / burst_packets
    any_burst = 1 - math.exp(-bursts)
    if not parities:
        return any_burst
    several = any_burst - bursts * math.exp(-bursts)
    first, second = interleaving_depths(parities)
    # Covered once, a frame fails if two bursts meet. Covered twice, it takes more than two.
    depth = first if not second else (first * second) ** TWO_COVERS_EXPONENT
    meeting = 1 - math.exp(-bursts * bursts / 2 * (burst_packets * burst_packets / depth))
    too_long = any_burst * (1 - 1 / burst_packets) ** (parities - bool(second))
    return too_long + min(several, meeting)


def max_media_bps(loss_fraction: float) -> float:
    """The media bitrate that makes sense at this loss, in bits per second; infinite if little is lost."""
    if loss_fraction <= CAP_MIN_LOSS_FRACTION:
        return math.inf
    return CAP_AT_ONE_PERCENT_BPS * float((0.01 / loss_fraction) ** CAP_EXPONENT)
