"""Bits a second over a sliding window."""

from __future__ import annotations

import pytest

from framewire.rtc.estimate.acked_bitrate import SlidingRate


def test_even_packets():
    rate = SlidingRate(0.5)
    for index in range(200):
        rate.add(7 + index * 0.01, 1250)
    assert rate.bits_per_second() == pytest.approx(1e6)


def test_unknown_until_half_a_window_has_passed():
    rate = SlidingRate(0.5)
    rate.add(7.0, 1000)
    rate.add(7.2, 1000)
    assert not rate.known
    rate.add(7.3, 1000)
    assert rate.known


def test_silence_counts_where_the_clock_says_so():
    rate = SlidingRate(0.5)
    for index in range(100):
        rate.add(index * 0.01, 1250)
    assert rate.bits_per_second(1.24) == pytest.approx(0.5e6, rel=0.05)
    assert rate.bits_per_second(9) == 0


def test_packets_out_of_order_do_not_turn_time_back():
    rate = SlidingRate(0.5)
    for at in (1.0, 1.4, 1.2, 1.5):
        rate.add(at, 625)
    assert rate.bits_per_second() == pytest.approx(625 * 8 * 3 / 0.5)
