"""What loss does to frames, compared with a simulation, and how much parity they get."""

from __future__ import annotations

import math

import pytest

from framewire.rtc.repair.fec_policy import (
    BURSTS_MIN_PACKETS,
    MAX_PARITY_FACTOR,
    MAX_PARITY_FACTOR_BURSTS,
    MAX_STALLED_FRACTION,
    failing_fraction,
    late_fraction,
    max_media_bps,
    parity_count,
)
from framewire.rtc.rtp.flexfec import interleaving_depths
from tests.rtc.linksim import gilbert_losses


def simulated(packets: int, parities: int, fraction: float, burst: float, frames: int = 20_000) -> float:
    """The fraction of frames that the parities cannot restore."""
    losses = iter(gilbert_losses(fraction, burst, frames * (packets + parities), seed=7))
    covers = [
        {index for index in range(packets) if index % depth == offset}
        for depth in interleaving_depths(parities)
        for offset in range(min(depth, packets))
    ]
    failed = 0
    for _ in range(frames):
        missing = {index for index in range(packets) if next(losses)}
        arrived = [cover for cover in covers if not next(losses)]
        while found := next((cover & missing for cover in arrived if len(cover & missing) == 1), None):
            missing -= found
        failed += bool(missing)
    return failed / frames


@pytest.mark.parametrize(
    ("packets", "parities", "fraction", "burst"),
    [
        (10, 1, 0.01, 1),
        (30, 3, 0.01, 1),
        (10, 4, 0.03, 1),
        (16, 5, 0.03, 1),
        (16, 7, 0.03, 1),
        (40, 7, 0.03, 1),
        (8, 4, 0.1, 4),
        (7, 9, 0.1, 4),
        (20, 9, 0.05, 2),
    ],
)
def test_the_estimate_of_failing_frames_is_close_to_a_simulation(packets, parities, fraction, burst):
    real = simulated(packets, parities, fraction, burst)
    assert real / 2.5 < failing_fraction(packets, parities, fraction, burst) < real * 2.5


@pytest.mark.parametrize(
    ("packets", "parities", "fraction", "burst", "expected"),
    [
        # 1 - exp(-0.1): any loss at all.
        (10, 0, 0.01, 1, 0.09516),
        # 0.11 bursts expected; two meet in one cover.
        (10, 1, 0.01, 1, 0.00562),
        # Two bursts in one cover of four, or one that is longer than four.
        (8, 4, 0.1, 4, 0.11861),
        # Two covers, of depths 5 and 4.
        (20, 9, 0.05, 2, 0.01775),
    ],
)
def test_the_estimate_of_failing_frames_is_what_it_was_fitted_to_be(packets, parities, fraction, burst, expected):
    assert failing_fraction(packets, parities, fraction, burst) == pytest.approx(expected, rel=0.01)


def test_nothing_fails_without_loss():
    assert failing_fraction(30, 0, 0.0, 1) == failing_fraction(30, 3, 0.0, 1) == 0


def test_without_parity_every_lost_packet_is_a_late_frame_and_delays_those_after_it():
    assert late_fraction(10, 0, 0.01, 1, 0.1, 1 / 30) == pytest.approx(4 * failing_fraction(10, 0, 0.01, 1))


def test_no_parity_without_loss_or_on_a_short_path():
    assert parity_count(30, 0.00099, 1, 0.1, 1 / 30) == 0
    assert parity_count(100, 0.001, 1, 0.3, 1 / 30) > 0
    assert parity_count(30, 0.05, 1, 0.0149, 1 / 30) == 0
    assert parity_count(30, 0.05, 1, 0.015, 1 / 30) > 0


@pytest.mark.parametrize("rtt_s", [0.02, 0.05, 0.1])
@pytest.mark.parametrize("fraction", [0.003, 0.01, 0.03])
def test_the_picture_waits_for_retransmissions_one_fiftieth_of_the_time(fraction, rtt_s):
    count = parity_count(40, fraction, 1, rtt_s, 1 / 30)
    assert 1 <= count < 20
    assert late_fraction(40, count, fraction, 1, rtt_s, 1 / 30) <= MAX_STALLED_FRACTION == 0.02
    if count > 1:
        assert late_fraction(40, count - 1, fraction, 1, rtt_s, 1 / 30) > MAX_STALLED_FRACTION, "and no parity in vain"


def test_more_loss_longer_paths_and_larger_frames_get_more():
    def count(packets: int = 20, fraction: float = 0.01, burst: float = 1.0, rtt_s: float = 0.05) -> int:
        return parity_count(packets, fraction, burst, rtt_s, 1 / 30)

    assert 0 < count(fraction=0.003) <= count() <= count(fraction=0.03)
    assert count(fraction=0.003) < count(fraction=0.03)
    assert count(rtt_s=0.02) < count(rtt_s=0.3)
    assert count(packets=5) < count(packets=60)
    assert count(burst=1.0) < count(burst=3.0)


def test_parity_is_at_most_half_except_against_bursts():
    for packets in (4, 10, 60):
        assert parity_count(packets, 0.3, 1, 0.2, 1 / 30) == round(packets * MAX_PARITY_FACTOR)
        assert parity_count(packets, 0.3, BURSTS_MIN_PACKETS - 0.01, 0.2, 1 / 30) == round(packets * MAX_PARITY_FACTOR)
        bursts = parity_count(packets, 0.3, BURSTS_MIN_PACKETS, 0.2, 1 / 30)
        assert bursts == round(packets * MAX_PARITY_FACTOR_BURSTS)
    assert (MAX_PARITY_FACTOR, MAX_PARITY_FACTOR_BURSTS, BURSTS_MIN_PACKETS) == (0.5, 1.8, 1.5)


def test_every_frame_gets_one_but_one_cover_has_no_more_than_packets():
    assert parity_count(1, 0.001, 1, 0.02, 1 / 30) == 1, "though one in a thousand would be late without"
    assert parity_count(2, 0.3, 1, 0.2, 1 / 30) == 1
    assert parity_count(2, 0.1, 4, 0.15, 1 / 30) == 2, "and not 4"
    assert parity_count(3, 0.3, 4, 0.15, 1 / 30) == 5, "two covers"


@pytest.mark.parametrize(
    ("fraction", "bps"), [(0.005, 16.8e6), (0.01, 10e6), (0.03, 4.387e6), (0.1, 1.778e6), (0.3, 0.780e6)]
)
def test_the_bitrate_is_capped_by_loss_and_only_by_much_of_it(fraction, bps):
    assert max_media_bps(fraction) == pytest.approx(bps, rel=0.01)
    assert max_media_bps(0.0) == max_media_bps(0.004) == math.inf
    assert max_media_bps(0.00401) < math.inf
