"""From estimates to the bandwidth that a viewer's video may use."""

from __future__ import annotations

import pytest

from framewire.engine.stream.viewer_bandwidth import (
    BELIEVE_REMB_FRACTION,
    MIN_LIMIT_BPS,
    REMB_HEADROOM_FRACTION,
    ViewerBandwidth,
)

MAX_BPS = 8_000_000


def test_nothing_is_limited_before_the_first_estimate() -> None:
    assert ViewerBandwidth(MAX_BPS).limit_bps == MAX_BPS


def test_a_remb_above_what_is_sent_limits_nothing() -> None:
    """A receiver never estimates more than about 1.5 times what it gets: a quiet stream is no narrow link."""
    bandwidth = ViewerBandwidth(20_000_000)
    for _ in range(20):
        bandwidth.remb(600_000, 400_000)
    assert bandwidth.limit_bps == 20_000_000


def test_a_first_remb_slightly_below_what_is_sent_is_ignored() -> None:
    bandwidth = ViewerBandwidth(MAX_BPS)
    bandwidth.remb(BELIEVE_REMB_FRACTION * 4_000_000, 4_000_000)
    assert bandwidth.limit_bps == MAX_BPS and BELIEVE_REMB_FRACTION == 0.8
    bandwidth.remb(BELIEVE_REMB_FRACTION * 4_000_000 - 1, 4_000_000)
    assert bandwidth.limit_bps < MAX_BPS


def test_a_low_remb_limits_at_once() -> None:
    bandwidth = ViewerBandwidth(MAX_BPS)
    bandwidth.remb(2_000_000, 8_000_000)
    assert bandwidth.limit_bps == REMB_HEADROOM_FRACTION * 2_000_000 == 1_900_000
    bandwidth.remb(4_000_000, 8_000_000)
    assert bandwidth.limit_bps == 1_900_000, "a low estimate never raises the limit"


def test_the_limit_follows_a_remb_that_rises() -> None:
    bandwidth = ViewerBandwidth(MAX_BPS)
    bandwidth.remb(2_000_000, 8_000_000)
    for remb, limit in ((2_500_000, 2_500_000), (4_000_000, 4_000_000), (9_000_000, MAX_BPS)):
        bandwidth.remb(remb, bandwidth.limit_bps)
        assert bandwidth.limit_bps == limit


def test_a_remb_that_equals_the_limit_releases_it_too() -> None:
    bandwidth = ViewerBandwidth(MAX_BPS)
    bandwidth.measured(1_000_000)
    bandwidth.remb(1_000_000, 0)
    assert bandwidth.limit_bps == 1_020_000


def test_an_unchanging_remb_releases_the_limit_slowly() -> None:
    bandwidth = ViewerBandwidth(MAX_BPS)
    bandwidth.remb(1_000_000, 4_000_000)
    bandwidth.remb(900_000, 600_000)
    assert bandwidth.limit_bps == pytest.approx(950_000 * 1.02)
    for _ in range(200):
        bandwidth.remb(900_000, 600_000)
    assert bandwidth.limit_bps == MAX_BPS


def test_what_is_measured_holds_both_ways() -> None:
    bandwidth = ViewerBandwidth(MAX_BPS)
    for measured in (2_000_000, 1_000_000, 5_000_000):
        bandwidth.measured(measured)
        assert bandwidth.limit_bps == measured
    bandwidth.measured(9_000_000)
    assert bandwidth.limit_bps == MAX_BPS


def test_a_maximum_below_the_minimum_holds() -> None:
    bandwidth = ViewerBandwidth(100_000)
    bandwidth.measured(100_000)
    assert bandwidth.limit_bps == 100_000


def test_no_limit_is_below_the_minimum() -> None:
    bandwidth = ViewerBandwidth(MAX_BPS)
    bandwidth.measured(1)
    assert bandwidth.limit_bps == MIN_LIMIT_BPS == 150_000
    bandwidth.remb(1, 8_000_000)
    assert bandwidth.limit_bps == MIN_LIMIT_BPS
