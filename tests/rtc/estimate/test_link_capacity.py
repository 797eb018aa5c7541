"""Where the link was full."""

from __future__ import annotations

from math import sqrt

import pytest

from framewire.rtc.estimate.link_capacity import LinkCapacityEstimator


def capacity(*samples: float) -> LinkCapacityEstimator:
    link = LinkCapacityEstimator()
    for sample in samples:
        link.add_overuse(sample)
    return link


def bounds(link: LinkCapacityEstimator) -> tuple[float, float]:
    """The lowest and the highest bitrate that is near the capacity, to 10 bit/s."""
    near = [bps for bps in range(0, 12_000_000, 10_000) if not link.is_above(bps) and not link.is_below(bps)]
    return min(near), max(near)


def test_nothing_is_known_before_the_link_was_full():
    link = capacity()
    assert not link.known
    assert not link.is_above(1.0) and not link.is_below(1e9)


def test_bitrates_within_three_deviations_are_near_the_capacity():
    link = capacity(4e6)
    assert link.known
    margin = 3 * sqrt(0.4 * 4000) * 1000
    assert not link.is_below(4e6 + margin - 10) and link.is_below(4e6 + margin + 10)
    assert not link.is_above(4e6 - margin + 10) and link.is_above(4e6 - margin - 10)


def test_the_mean_is_a_slow_average():
    link = capacity(4e6, 5e6)
    assert sum(bounds(link)) / 2 == pytest.approx(4e6 + 0.05 * 1e6, abs=10_000)


def test_the_variance_is_a_slow_average_in_units_of_the_mean():
    low, high = bounds(capacity(4e6, 4.2e6))
    variance = 0.4 + 0.05 * (200 * 200 / 4010 - 0.4)
    assert (high - low) / 2 == pytest.approx(3 * sqrt(variance * 4010) * 1000, abs=10_000)


def test_the_variance_has_bounds():
    low, high = bounds(capacity(4e6, 9e6))
    assert (high - low) / 2 == pytest.approx(3 * sqrt(2.5 * 4250) * 1000, abs=10_000)
    low, high = bounds(capacity(*[4e6] * 200))
    assert (high - low) / 2 == pytest.approx(3 * sqrt(0.4 * 4000) * 1000, abs=10_000)


def test_a_reset_makes_the_capacity_unknown_and_keeps_its_variance():
    link = capacity(4e6, 9e6)
    link.reset()
    assert not link.known
    link.add_overuse(4e6)
    low, high = bounds(link)
    assert (low + high) / 2 == pytest.approx(4e6, abs=10_000)
    assert (high - low) / 2 == pytest.approx(3 * sqrt((2.5 - 0.05 * 2.5) * 4000) * 1000, abs=10_000)


def test_no_bitrate_counts_as_a_kilobit():
    link = capacity(0.0)
    assert not link.is_below(2000) and link.is_below(1000 * (1 + 3 * sqrt(0.4)) + 1)
