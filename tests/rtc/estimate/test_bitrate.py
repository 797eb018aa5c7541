"""Bits a second over a sliding window."""

from __future__ import annotations

import pytest

from framewire.rtc.estimate.bitrate import SHORT_BITRATE_WINDOW_S, BitrateTracker


def test_even_packets_have_their_bitrate():
    bitrate = BitrateTracker(0.5)
    for index in range(200):
        bitrate.add(7 + index * 0.01, 1250)
    assert bitrate.bits_per_second() == pytest.approx(1e6)


def test_the_bitrate_is_known_once_packets_cover_half_a_window():
    bitrate = BitrateTracker(0.5)
    assert not bitrate.known
    bitrate.add(7.0, 1000)
    bitrate.add(7.2, 1000)
    assert not bitrate.known
    bitrate.add(7.25, 1000)
    assert bitrate.known


def test_before_a_window_is_full_the_bitrate_covers_what_there_is():
    bitrate = BitrateTracker(0.5)
    assert bitrate.bits_per_second() == 0
    bitrate.add(7.0, 1000)
    assert bitrate.bits_per_second() == 8000 / 0.125, "a quarter of a window at least"
    bitrate.add(7.2, 1000)
    assert bitrate.bits_per_second() == pytest.approx(16_000 / 0.2)


def test_a_packet_leaves_the_window_when_it_is_as_old_as_the_window():
    bitrate = BitrateTracker(0.5)
    for at in (0.0, 0.25, 0.5):
        bitrate.add(at, 1000)
    assert bitrate.bits_per_second() == 16_000 / 0.5
    assert bitrate.bits_per_second(0.74) == 16_000 / 0.5
    assert bitrate.bits_per_second(0.75) == 8_000 / 0.5


def test_silence_counts_up_to_the_moment_asked_for():
    bitrate = BitrateTracker(0.5)
    for index in range(100):
        bitrate.add(index * 0.01, 1250)
    assert bitrate.bits_per_second(1.24) == pytest.approx(0.5e6, rel=0.05)
    assert bitrate.bits_per_second(9) == 0


def test_packets_out_of_order_do_not_turn_time_back():
    bitrate = BitrateTracker(0.5)
    bitrate.add_all([])
    for at in (1.0, 1.4, 1.2, 1.5):
        bitrate.add(at, 625)
    assert bitrate.bits_per_second() == pytest.approx(625 * 8 * 3 / 0.5)


def test_the_newest_of_several_packets_ends_the_window():
    bitrate = BitrateTracker(0.5)
    bitrate.add_all([(0.0, 1000), (0.25, 1000), (0.75, 1000)])
    assert bitrate.bits_per_second() == 8000 / 0.5


@pytest.mark.parametrize(
    ("bitrate", "window_s"), [(BitrateTracker(), 0.5), (BitrateTracker(SHORT_BITRATE_WINDOW_S), 0.2)]
)
def test_the_usual_window_is_half_a_second_and_the_short_one_a_fifth(bitrate: BitrateTracker, window_s: float):
    for index in range(100):
        bitrate.add(index * 0.01, 1250 if index < 99 else 125_000)
    assert bitrate.bits_per_second() == pytest.approx((125_000 + (window_s * 100 - 1) * 1250) * 8 / window_s)
