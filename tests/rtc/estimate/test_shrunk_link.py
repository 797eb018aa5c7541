"""A link that has suddenly become too narrow."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from framewire.rtc.estimate.shrunk_link import ShrunkLink

EVEN = [(50 + index / 100, 1250) for index in range(11)]
"""A megabit a second."""


def updated(
    arrivals: Sequence[tuple[float, int]] = EVEN,
    *,
    sent_bps: float = 2e6,
    congested: bool = True,
    filling: bool = False,
) -> ShrunkLink:
    link = ShrunkLink()
    link.update(arrivals, sent_bps, suddenly_congested=congested, queue_filling=filling)
    return link


def test_nothing_is_congested_before_the_first_feedback():
    assert not ShrunkLink().suddenly_congested
    assert ShrunkLink().capacity_bps is None


def test_a_congested_link_is_measured_by_what_arrives_after_the_first_packet():
    link = updated()
    assert link.suddenly_congested
    assert link.capacity_bps == pytest.approx(1e6)


def test_a_link_that_is_not_congested_is_not_measured():
    link = updated(congested=False)
    assert not link.suddenly_congested
    assert link.capacity_bps is None


@pytest.mark.parametrize(("sent_bps", "shrunk"), [(1.65e6, False), (1.68e6, True)])
def test_a_filling_queue_counts_only_where_the_link_has_collapsed(sent_bps: float, shrunk: bool):
    link = updated(sent_bps=sent_bps, congested=False, filling=True)
    assert link.suddenly_congested == shrunk
    assert link.capacity_bps == (pytest.approx(1e6) if shrunk else None)
    assert link.collapsed(sent_bps) == shrunk


def test_a_congested_link_has_collapsed_where_it_takes_less_than_six_tenths_of_what_is_sent():
    assert not updated().collapsed(1.65e6)
    assert updated().collapsed(1.68e6)
    assert not updated(congested=False).collapsed(9e6)


def test_exactly_six_tenths_are_no_collapse():
    """Five packets that arrive evenly, each a quarter of the whole time after the one before."""
    arrivals = [(50 + index / 4, 18_750) for index in range(5)]
    full = updated(arrivals, sent_bps=1e6)
    assert full.capacity_bps == 0.6 * 1e6
    assert not full.collapsed(1e6)
    assert not updated(arrivals, sent_bps=1e6, congested=False, filling=True).suddenly_congested


@pytest.mark.parametrize(("gap", "measured"), [(0.024, True), (0.026, False)])
def test_packets_in_bursts_show_no_capacity(gap: float, measured: bool):
    times = [50.0, 50.02, 50.04, 50.04 + gap, 50.085, 50.1]
    link = updated([(at, 1250) for at in times])
    assert (link.capacity_bps is not None) == measured
    assert link.suddenly_congested


@pytest.mark.parametrize("arrivals", [[], [(50.0, 1250)], [(50.0, 1250)] * 5])
def test_packets_at_one_moment_show_no_capacity(arrivals: list[tuple[float, int]]):
    link = updated(arrivals, filling=True)
    assert link.suddenly_congested
    assert link.capacity_bps is None
    assert not link.collapsed(9e6)


def test_the_newest_message_alone_counts():
    link = updated()
    link.update(EVEN, 2e6, suddenly_congested=False, queue_filling=False)
    assert not link.suddenly_congested
    assert link.capacity_bps is None
