"""When to probe, and what a probe has shown."""

from __future__ import annotations

import itertools

import pytest

from framewire.rtc.estimate.probe_bitrate import ProbeCluster
from framewire.rtc.estimate.probing import (
    FIRST_PROBE_FACTOR,
    FURTHER_PROBE_FACTOR,
    MAX_PROBE_INTERVAL_S,
    MIN_PROBE_INTERVAL_S,
    PROBE_RETRY_S,
    PROBE_TIMEOUT_S,
    ProbeController,
    ProbeResult,
)
from framewire.rtc.rtp.twcc import PacketResult

GOAL = 30e6


def asked(probes: ProbeController, now: float, estimate: float = 2e6, *, allowed: bool = True) -> ProbeCluster | None:
    return probes.next(estimate, GOAL, now, 0.0, allowed=allowed)


def due(probes: ProbeController, now: float, estimate: float = 2e6) -> ProbeCluster:
    probe = asked(probes, now, estimate)
    assert probe is not None
    return probe


def packets(probe: ProbeCluster) -> int:
    return -(-probe.size_bytes // 1200)


def play(
    probes: ProbeController, probe: ProbeCluster, link: float, now: float, lose: tuple[int, ...] = ()
) -> ProbeResult | None:
    """Send the probe in bursts over a link of so many bits a second."""
    burst = max(1, round(probe.rate_bps * 0.005 / 8 / 1200))
    free_at = 0.0
    for index in range(packets(probe)):
        sent_at = now + index // burst * (burst * 1200 * 8 / probe.rate_bps)
        free_at = max(free_at, sent_at) + 1200 * 8 / link
        if index not in lose:
            probes.add(PacketResult(index, sent_at, 1200, free_at + 70, probe.id, late=False))
    return probes.result(now + 0.1, 0.0)


def delay(probes: ProbeController, probe: ProbeCluster, now: float, sent: float, arrived: float) -> ProbeResult | None:
    """Send the probe with its packets so far apart at departure and arrival."""
    for index in range(packets(probe)):
        probes.add(PacketResult(index, now + index * sent, 1200, 70 + now + index * arrived, probe.id, late=False))
    return probes.result(now + 0.3, 0.0)


def test_the_first_is_three_times_the_estimate_and_each_that_succeeds_is_followed_by_a_larger_one():
    probes, now, estimate = ProbeController(), 1.0, 2e6
    rates = []
    while probe := asked(probes, now, estimate):
        rates.append(probe.rate_bps)
        found = play(probes, probe, 1e9, now)
        assert found is not None and not found.link_full
        estimate = found.bits_per_second
        assert estimate == pytest.approx(probe.rate_bps, rel=0.15)
        now += 0.1
    assert rates[0] == FIRST_PROBE_FACTOR * 2e6 == 6e6
    assert len(rates) >= 4
    assert all(b == pytest.approx(FURTHER_PROBE_FACTOR * a, rel=0.15) for a, b in itertools.pairwise(rates))
    assert estimate >= GOAL


def test_a_first_probe_exceeds_the_goal_by_no_more_than_a_step():
    probes = ProbeController()
    assert due(probes, 1.0, 25e6).rate_bps == 2 * GOAL


def test_a_probe_has_at_least_a_megabit():
    probe = due(ProbeController(), 1.0, 0.2e6)
    assert (probe.rate_bps, probe.size_bytes) == (1e6, 6 * 1200)


def test_a_probe_is_large_enough_for_its_duration_its_packets_and_the_noise():
    assert due(ProbeController(), 1.0, 10e6).size_bytes == 30e6 * 0.02 / 8
    assert due(ProbeController(), 1.0, 0.5e6).size_bytes == 6 * 1200
    probe = ProbeController().next(10e6, GOAL, 1.0, 0.01, allowed=True)
    assert probe is not None and probe.size_bytes == 30e6 * 0.04 / 8


def test_a_later_probe_is_one_and_a_half_times_the_estimate():
    probes = ProbeController()
    assert not probes.has_result
    assert play(probes, due(probes, 1.0), 3e6, 1.0) is not None
    assert probes.has_result
    assert due(probes, 9.0, 4e6).rate_bps == 6e6


def test_a_full_link_is_measured():
    probes = ProbeController()
    found = play(probes, due(probes, 1.0), 3e6, 1.0)
    assert found is not None and found.link_full
    assert found.bits_per_second == pytest.approx(0.94 * 3e6, rel=0.02)


@pytest.mark.parametrize(("slower", "full"), [(0.91, False), (0.89, True)])
def test_a_link_is_full_where_a_probe_arrives_at_less_than_nine_tenths(slower: float, full: bool):
    probes = ProbeController()
    probe = due(probes, 1.0)
    gap = 9600 / probe.rate_bps
    found = delay(probes, probe, 1.0, gap, gap / slower)
    assert found is not None and found.link_full == full
    assert found.bits_per_second == pytest.approx(probe.rate_bps * slower * (0.94 if full else 1.0))


def test_a_link_that_is_not_full_takes_what_was_sent_or_what_arrived():
    probes = ProbeController()
    probe = due(probes, 1.0)
    gap = 9600 / probe.rate_bps
    found = delay(probes, probe, 1.0, gap, gap * 0.8)
    assert found is not None and not found.link_full
    assert found.bits_per_second == pytest.approx(probe.rate_bps)


@pytest.mark.parametrize(("share", "follows"), [(0.76, True), (0.73, False)])
def test_another_follows_at_once_where_seven_tenths_were_measured(share: float, follows: bool):
    probes = ProbeController()
    probe = due(probes, 1.0)
    gap = 9600 / probe.rate_bps
    found = delay(probes, probe, 1.0, gap, gap / share)
    assert found is not None
    another = asked(probes, 1.3)
    assert (another is not None) == follows
    if another is not None:
        assert another.rate_bps == pytest.approx(2 * found.bits_per_second)
        assert another.id != probe.id


def test_the_result_is_given_once():
    probes = ProbeController()
    assert play(probes, due(probes, 1.0), 1e9, 1.0) is not None
    assert probes.result(1.2, 0.0) is None


def test_there_is_one_probe_at_a_time_and_none_where_it_is_not_allowed():
    probes = ProbeController()
    assert asked(probes, 1.0, allowed=False) is None
    due(probes, 1.0)
    assert asked(probes, 1.0 + PROBE_TIMEOUT_S / 2) is None


def test_a_probe_without_a_result_is_given_up():
    probes = ProbeController()
    probe = due(probes, 1.0)
    assert play(probes, probe, 1e9, 1.0, tuple(range(0, packets(probe), 2))) is None
    assert asked(probes, 1.69) is None
    assert due(probes, 1.71).id != probe.id
    assert PROBE_TIMEOUT_S == 0.7


def test_a_probe_that_lost_too_much_is_not_waited_for():
    probes = ProbeController()
    probe = due(probes, 1.0)
    for index in range(packets(probe) // 2):
        probes.add(PacketResult(index, 1.0, 1200, None, probe.id, late=False))
    assert due(probes, 1.2).rate_bps == probe.rate_bps


def test_packets_of_another_probe_do_not_count():
    probes = ProbeController()
    first = due(probes, 1.0)
    second = due(probes, 2.0)
    for index in range(packets(first)):
        probes.add(PacketResult(index, 1 + index * 0.002, 1200, 72 + index * 0.002, first.id, late=False))
    assert probes.result(2.1, 0.0) is None
    assert play(probes, second, 1e9, 2.0) is not None
    probes.add(PacketResult(9, 1.0, 1200, None, second.id, late=False))


def test_a_few_lost_packets_do_not_matter():
    probes = ProbeController()
    probe = due(probes, 1.0, 8e6)
    found = play(probes, probe, 1e9, 1.0, lose=(3, 11))
    assert found is not None and found.bits_per_second > 0.75 * probe.rate_bps


def test_overtaken_packets_do_not_matter():
    probes = ProbeController()
    probe = due(probes, 1.0, 8e6)
    probes.add(PacketResult(-1, 1.0, 1200, 1.5 + 70, probe.id, late=False))
    found = play(probes, probe, 1e9, 1.0)
    assert found is not None and not found.link_full


@pytest.mark.parametrize(("faster", "measures"), [(1.95, True), (2.05, False)])
def test_a_probe_that_arrives_twice_as_fast_as_it_left_measures_nothing(faster: float, measures: bool):
    probes = ProbeController()
    probe = due(probes, 1.0)
    gap = 9600 / probe.rate_bps
    assert (delay(probes, probe, 1.0, gap, gap / faster) is not None) == measures


@pytest.mark.parametrize(("slower", "measures"), [(0.71, True), (0.69, False)])
def test_a_probe_that_left_at_less_than_seven_tenths_measures_nothing(slower: float, measures: bool):
    probes = ProbeController()
    probe = due(probes, 1.0)
    gap = 9600 / probe.rate_bps / slower
    assert (delay(probes, probe, 1.0, gap, gap) is not None) == measures


def test_a_probe_that_was_not_sent_in_time_is_sent_again_twice():
    probes, now = ProbeController(), 1.0
    first = due(probes, now, 8e6)
    probe = first
    for _ in range(2):
        assert delay(probes, probe, now, 0.004, 0.004) is None
        assert probes.due_at == pytest.approx(now + 0.3 + PROBE_RETRY_S)
        now = probes.due_at
        assert asked(probes, now - 0.01, 8e6) is None
        probe = due(probes, now, 8e6)
        assert probe.rate_bps == first.rate_bps
    assert delay(probes, probe, now, 0.004, 0.004) is None
    assert probes.due_at == pytest.approx(now + 0.3 + 1.4 * MIN_PROBE_INTERVAL_S)
    assert PROBE_RETRY_S == 0.4
    for _ in range(2):
        now = probes.due_at
        assert delay(probes, due(probes, now, 8e6), now, 0.004, 0.004) is None
        assert probes.due_at == pytest.approx(now + 0.3 + PROBE_RETRY_S), "and then, too, twice"


def test_a_result_ends_the_count_of_trials():
    probes, now = ProbeController(), 1.0
    for _ in range(2):
        assert delay(probes, due(probes, now, 8e6), now, 0.004, 0.004) is None
        now = probes.due_at
    assert play(probes, due(probes, now, 8e6), 9e6, now) is not None
    now = probes.due_at
    assert delay(probes, due(probes, now, 8e6), now, 0.004, 0.004) is None
    assert probes.due_at == pytest.approx(now + 0.3 + PROBE_RETRY_S)


def test_probes_that_find_nothing_become_rarer():
    probes, now = ProbeController(), 1.0
    gaps = []
    for _ in range(6):
        found = play(probes, due(probes, now), 1.5e6, now)
        assert found is not None and found.link_full
        gaps.append(probes.due_at - now - 0.1)
        now = probes.due_at
    assert gaps == pytest.approx([1.5 * 1.4, 1.5 * 1.4**2, 4, 4, 4, 4])
    assert (MIN_PROBE_INTERVAL_S, MAX_PROBE_INTERVAL_S) == (1.5, 4)


def test_probes_become_frequent_again_once_one_succeeds():
    probes, now = ProbeController(), 1.0
    for _ in range(4):
        play(probes, due(probes, now), 1.5e6, now)
        now = probes.due_at
    assert play(probes, due(probes, now), 1e9, now) is not None
    probe = due(probes, now + 0.1)
    assert play(probes, probe, 1.5e6, now + 0.1) is not None
    assert probes.due_at == pytest.approx(now + 0.2 + 1.5 * 1.4)


def test_an_estimate_that_fell_is_probed_again_soon():
    probes = ProbeController()
    for now in (1.0, 10.0, 20.0):
        play(probes, due(probes, now), 1.5e6, now)
    probes.estimate_fell(25.0)
    assert asked(probes, 25.0 + MIN_PROBE_INTERVAL_S - 0.1) is None
    now = 25.0 + MIN_PROBE_INTERVAL_S
    play(probes, due(probes, now), 1.5e6, now)
    assert probes.due_at == pytest.approx(now + 0.1 + 1.5 * 1.4), "and the interval begins anew"


def test_an_estimate_that_fell_ends_a_series_of_probes_and_hastens_none():
    probes = ProbeController()
    assert play(probes, due(probes, 1.0), 1e9, 1.0) is not None
    probes.estimate_fell(1.1)
    assert asked(probes, 1.2) is None
    assert due(probes, 2.6, 2e6).rate_bps == 3e6
    probes = ProbeController()
    for now in (1.0, 10.0, 20.0):
        play(probes, due(probes, now), 1.5e6, now)
    latest = probes.due_at
    probes.estimate_fell(20.2)
    assert probes.due_at == latest


def test_there_is_no_probe_where_the_estimate_is_enough():
    probes = ProbeController()
    assert asked(probes, 1.0, GOAL) is None
    assert asked(probes, 1.0, GOAL - 1) is not None
