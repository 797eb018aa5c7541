"""What loss allows."""

from __future__ import annotations

import pytest

from framewire.rtc.estimate.loss_control import LONGEST, LossControl

UNBOUND = float("inf")


def run(
    bound: LossControl, lost: int, looks: int = 1, rate: float = 10e6, since: float = 0.0, *, calm: bool = True
) -> float:
    """So many looks, half a second apart, each at 100 packets of which ``lost`` are."""
    bound.look(rate, 0.05, since, calm=calm)
    for look in range(1, looks + 1):
        bound.add(100 - lost, lost, 0)
        bound.look(rate, 0.05, since + look / 2, calm=calm)
    return bound.bits_per_second


@pytest.mark.parametrize("lost", [0, 3, 5, 10])
def test_some_loss_bounds_nothing(lost: int):
    assert run(LossControl(1e5), lost, looks=20) == UNBOUND


def test_much_loss_takes_half_of_it_off():
    assert run(LossControl(1e5), 30) == pytest.approx(10e6 * 0.85)


def test_the_bound_falls_on_while_much_is_lost_down_to_the_floor():
    bound = LossControl(1e5)
    assert run(bound, 30, looks=2) == pytest.approx(10e6 * 0.85**2)
    assert run(bound, 90, looks=20, since=9) == 1e5


def test_is_held_by_loss_in_between_and_let_go_without():
    bound = LossControl(1e5)
    low = run(bound, 50)
    assert run(bound, 7, looks=4, since=9) == low
    assert run(bound, 3, looks=4, since=19, calm=False) == low
    assert low < run(bound, 3, looks=4, since=29) < run(bound, 0, looks=4, since=39)
    assert run(bound, 0, looks=40, since=49) == UNBOUND


def test_two_decreases_are_a_round_trip_apart():
    bound = LossControl(1e5)
    low = run(bound, 50)
    bound.add(50, 50, 0)
    bound.look(10e6, 0.3, 0.75, calm=True)
    assert bound.bits_per_second == low


def test_few_packets_say_nothing():
    bound = LossControl(1e5)
    bound.look(10e6, 0.05, 0.0, calm=True)
    bound.add(9, 10, 0)
    bound.look(10e6, 0.05, 5.0, calm=True)
    assert bound.bits_per_second == UNBOUND


def test_overtaken_packets_are_not_lost():
    bound = LossControl(1e5)
    bound.look(10e6, 0.05, 0.0, calm=True)
    bound.add(70, 30, 0)
    bound.add(0, 0, 30)
    bound.look(10e6, 0.05, 0.5, calm=True)
    assert bound.fraction == 0
    assert bound.bits_per_second == UNBOUND


def test_a_probe_that_came_through_lifts_it():
    bound = LossControl(1e5)
    run(bound, 50)
    bound.lift(9e6)
    assert bound.bits_per_second == 9e6


def test_few_packets_tell_at_last_that_the_loss_is_over():
    bound = LossControl(1e5)
    run(bound, 50)
    bound.add(3, 0, 0)
    bound.look(1e5, 0.05, 0.5 + LONGEST / 2, calm=True)
    assert bound.fraction == 0.5
    bound.look(1e5, 0.05, 0.51 + LONGEST, calm=True)
    assert bound.fraction == 0
