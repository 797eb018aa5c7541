"""When to probe, and what a probe has found."""

from __future__ import annotations

import itertools

import pytest

from framewire.rtc.estimate.probing import (
    AGAIN,
    FIRST,
    LATEST,
    PATIENCE,
    SOONEST,
    STEP,
    USABLE,
    Found,
    ProbeCluster,
    Prober,
)
from framewire.rtc.rtp.twcc import PacketResult

GOAL = 30e6


def asked(prober: Prober, now: float, estimate: float = 2e6, *, calm: bool = True) -> ProbeCluster | None:
    return prober.next(estimate, GOAL, now, 0.0, calm=calm)


def play(prober: Prober, probe: ProbeCluster, link: float, now: float, lose: tuple[int, ...] = ()) -> Found | None:
    """Send the probe in bursts over a link of so many bits a second."""
    count = -(-probe.size_bytes // 1200)
    burst = max(1, round(probe.rate_bps * 0.005 / 8 / 1200))
    free_at = 0.0
    for index in range(count):
        sent_at = now + index // burst * (burst * 1200 * 8 / probe.rate_bps)
        free_at = max(free_at, sent_at) + 1200 * 8 / link
        if index not in lose:
            prober.arrived(PacketResult(index, sent_at, 1200, free_at + 70, probe.id, late=False))
    return prober.result(now + 0.1, 0.0)


def test_the_first_is_three_times_the_estimate_and_each_that_succeeds_is_followed_by_a_larger_one():
    prober, now, estimate = Prober(), 1.0, 2e6
    rates = []
    while probe := asked(prober, now, estimate):
        rates.append(probe.rate_bps)
        found = play(prober, probe, 1e9, now)
        assert found is not None and not found.full
        estimate = found.bits_per_second
        assert estimate == pytest.approx(probe.rate_bps, rel=0.15)
        now += 0.1
    assert rates[0] == FIRST * 2e6
    assert len(rates) >= 4 and all(b == pytest.approx(STEP * a, rel=0.15) for a, b in itertools.pairwise(rates))
    assert estimate >= GOAL


def test_a_full_link_is_measured():
    prober = Prober()
    probe = asked(prober, 1.0)
    assert probe is not None
    found = play(prober, probe, 3e6, 1.0)
    assert found is not None and found.full
    assert found.bits_per_second == pytest.approx(USABLE * 3e6, rel=0.1)


def test_the_result_is_told_once():
    prober = Prober()
    probe = asked(prober, 1.0)
    assert probe is not None and play(prober, probe, 1e9, 1.0) is not None
    assert prober.result(1.2, 0.0) is None


def test_one_at_a_time_and_none_on_a_busy_way():
    prober = Prober()
    assert asked(prober, 1.0, calm=False) is None
    assert asked(prober, 1.0) is not None
    assert asked(prober, 1.0 + PATIENCE / 2) is None


def test_one_that_tells_nothing_is_given_up():
    prober = Prober()
    probe = asked(prober, 1.0)
    assert probe is not None
    lost = tuple(range(0, -(-probe.size_bytes // 1200), 2))
    assert play(prober, probe, 1e9, 1.0, lost) is None
    assert asked(prober, 1.0 + PATIENCE + 0.01) is not None


def test_one_that_cannot_tell_anything_any_more_is_not_waited_for():
    prober = Prober()
    probe = asked(prober, 1.0)
    assert probe is not None
    for index in range(-(-probe.size_bytes // 1200) // 2):
        prober.lost(PacketResult(index, 1.0, 1200, None, probe.id, late=False))
    another = asked(prober, 1.2)
    assert another is not None and another.rate_bps == probe.rate_bps


def test_a_few_lost_packets_do_not_matter():
    prober = Prober()
    probe = asked(prober, 1.0, 8e6)
    assert probe is not None
    found = play(prober, probe, 1e9, 1.0, lose=(3, 11))
    assert found is not None and found.bits_per_second > 0.75 * probe.rate_bps


def test_overtaken_packets_do_not_matter():
    prober = Prober()
    probe = asked(prober, 1.0, 8e6)
    assert probe is not None
    prober.arrived(PacketResult(-1, 1.0, 1200, 1.5 + 70, probe.id, late=False))
    found = play(prober, probe, 1e9, 1.0)
    assert found is not None and not found.full


def test_what_was_held_back_and_let_go_at_once_measures_nothing():
    prober = Prober()
    probe = asked(prober, 1.0, 8e6)
    assert probe is not None
    for index in range(-(-probe.size_bytes // 1200)):
        prober.arrived(PacketResult(index, 1 + index * 0.001, 1200, 71 + index * 0.00025, probe.id, late=False))
    assert prober.result(1.2, 0.0) is None


def test_they_come_the_rarer_the_less_they_find():
    prober, now = Prober(), 1.0
    gaps = []
    for _ in range(6):
        probe = asked(prober, now)
        assert probe is not None
        found = play(prober, probe, 2e6, now)
        assert found is not None and found.full
        gaps.append(prober.due_at - now)
        now = prober.due_at
    assert [round(gap, 6) for gap in gaps] == sorted(round(gap, 6) for gap in gaps)
    assert gaps[0] >= SOONEST
    assert gaps[-1] == pytest.approx(LATEST, abs=0.11)


def test_lost_ground_is_looked_at_again_before_long():
    prober = Prober()
    for now in (1.0, 10.0, 20.0):
        probe = asked(prober, now)
        assert probe is not None
        play(prober, probe, 2e6, now)
    prober.lost_ground(25.0)
    assert asked(prober, 25.0 + SOONEST - 0.1) is None
    assert asked(prober, 25.0 + SOONEST) is not None


def test_none_where_the_estimate_is_enough():
    prober = Prober()
    assert asked(prober, 1.0, GOAL) is None


def test_one_that_we_could_not_send_in_time_is_sent_again():
    prober = Prober()
    probe = asked(prober, 1.0, 8e6)
    assert probe is not None
    for index in range(-(-probe.size_bytes // 1200)):
        at = 1 + index * 0.004
        prober.arrived(PacketResult(index, at, 1200, at + 70, probe.id, late=False))
    assert prober.result(1.3, 0.0) is None
    again = asked(prober, 1.3 + AGAIN, 8e6)
    assert again is not None and again.rate_bps == probe.rate_bps
