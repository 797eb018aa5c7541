"""The bitrate that loss allows."""

from __future__ import annotations

import pytest

from framewire.rtc.estimate.loss_control import LossControl

UNBOUNDED = float("inf")
ESTIMATE = 10e6
RTT = 0.05


def run(
    control: LossControl, lost: int, updates: int = 1, since: float = 0.0, *, congested: bool = False, of: int = 100
) -> float:
    """Updates half a second apart, each over ``of`` packets of which ``lost`` are. Returns the bound."""
    control.update(ESTIMATE, RTT, since, congested=congested)
    for update in range(1, updates + 1):
        control.add(of - lost, lost, 0)
        control.update(ESTIMATE, RTT, since + update / 2, congested=congested)
    return control.bits_per_second


@pytest.mark.parametrize("lost", [0, 3, 5, 10])
def test_some_loss_bounds_nothing(lost: int):
    assert run(LossControl(1e5), lost, updates=20, congested=True) == UNBOUNDED


def test_high_loss_lowers_the_bound_by_half_of_it():
    assert run(LossControl(1e5), 11, congested=True) == pytest.approx(ESTIMATE * (1 - 0.055))
    assert run(LossControl(1e5), 30) == pytest.approx(ESTIMATE * 0.85)


@pytest.mark.parametrize(("lost", "bounded"), [(11, False), (20, False), (21, True)])
def test_without_a_queue_only_more_than_a_fifth_lost_lowers_the_bound(lost: int, bounded: bool):
    assert (run(LossControl(1e5), lost, updates=9) < UNBOUNDED) == bounded


def test_the_bound_falls_on_while_much_is_lost_down_to_the_minimum():
    control = LossControl(1e5)
    assert run(control, 30, updates=2) == pytest.approx(ESTIMATE * 0.85**2)
    assert run(control, 90, updates=20, since=9) == 1e5


def test_loss_that_is_over_lowers_nothing_though_the_average_is_still_high():
    control = LossControl(1e5)
    low = run(control, 60, of=60)
    control.add(25, 0, 0)
    control.update(ESTIMATE, RTT, 0.9, congested=True)
    assert control.loss_fraction == pytest.approx(0.6 * 0.75)
    assert control.bits_per_second == low


@pytest.mark.parametrize(("lost", "factor"), [(0, 1.05), (1, 1.05), (2, 1.0), (7, 1.0)])
def test_low_loss_raises_the_bound_and_medium_loss_holds_it(lost: int, factor: float):
    control = LossControl(1e5)
    low = run(control, 50)
    assert run(control, lost, since=9, congested=True) == pytest.approx(low * factor)


@pytest.mark.parametrize(("lost", "factor"), [(2, 1.02), (4, 1.02), (6, 1.0)])
def test_medium_loss_without_a_queue_raises_the_bound_slowly(lost: int, factor: float):
    control = LossControl(1e5)
    low = run(control, 50)
    assert run(control, lost, since=9) == pytest.approx(low * factor)


def test_a_bound_of_twice_the_estimate_is_dropped():
    control = LossControl(1e5)
    run(control, 50)
    control.raise_to(19e6)
    assert run(control, 0, since=9) == pytest.approx(1.05 * 19e6)
    control.raise_to(20e6)
    assert run(control, 0, since=19) == UNBOUNDED


def test_two_decreases_are_300_ms_and_a_round_trip_apart():
    control = LossControl(1e5)
    low = run(control, 50)
    control.add(50, 50, 0)
    control.update(ESTIMATE, 0.3, 0.5 + 0.59, congested=False)
    assert control.bits_per_second == low
    control.add(50, 50, 0)
    control.update(ESTIMATE, 0.3, 0.5 + 0.61 + 0.2, congested=False)
    assert control.bits_per_second == pytest.approx(low * 0.75)


def test_a_few_packets_lower_nothing():
    control = LossControl(1e5)
    control.update(ESTIMATE, RTT, 0.0, congested=False)
    control.add(9, 10, 0)
    control.update(ESTIMATE, RTT, 5.0, congested=False)
    assert control.loss_fraction > 0.5
    assert control.bits_per_second == UNBOUNDED
    control.add(10, 10, 0)
    control.update(ESTIMATE, RTT, 10.0, congested=False)
    assert control.bits_per_second < UNBOUNDED


def test_overtaken_packets_are_not_lost():
    control = LossControl(1e5)
    control.update(ESTIMATE, RTT, 0.0, congested=False)
    control.add(70, 30, 0)
    control.add(0, 0, 30)
    control.update(ESTIMATE, RTT, 0.5, congested=False)
    assert control.loss_fraction == 0
    assert control.bits_per_second == UNBOUNDED


def test_a_probe_raises_the_bound_and_lowers_it_never():
    control = LossControl(1e5)
    run(control, 50)
    control.raise_to(9e6)
    assert control.bits_per_second == 9e6
    control.raise_to(8e6)
    assert control.bits_per_second == 9e6
