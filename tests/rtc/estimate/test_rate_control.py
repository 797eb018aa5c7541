"""The delay-based estimate: up slowly, down at once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from framewire.rtc.estimate.rate_control import BETA, RateControl, Signals

FINE = Signals(usage="normal", arrived=5e6, arriving=5e6, sent=5e6, limited=False, rtt=0.05, standing=0.0)
FULL = replace(FINE, usage="overuse", arriving=4e6)
FLOOR = 150e3


def control(start: float = 5e6) -> RateControl:
    made = RateControl(start, FLOOR)
    made.update(FINE, 0.0)
    return made


def run(made: RateControl, signals: Signals, seconds: float, since: float = 0.0) -> float:
    for step in range(1, int(seconds * 10) + 1):
        made.update(replace(signals, arrived=made.bits_per_second), since + step / 10)
    return made.bits_per_second


def test_grows_by_eight_percent_a_second_where_the_link_was_never_full():
    assert run(control(), FINE, 5) == pytest.approx(5e6 * 1.08**5, rel=0.01)


def test_never_runs_far_ahead_of_what_arrives():
    made = control()
    for step in range(1, 200):
        made.update(replace(FINE, arrived=4e6), step / 10)
    assert made.bits_per_second == pytest.approx(1.5 * 4e6 + 10_000)


def test_falls_below_what_arrives_when_the_queue_grows():
    made = control()
    made.update(FULL, 0.1)
    assert made.bits_per_second == pytest.approx(BETA * 4e6)
    assert made.decreased_at == 0.1


def test_a_link_that_shrank_is_believed_though_it_was_never_full():
    made = control(20e6)
    little = replace(FULL, limited=True, arrived=8e6, arriving=6e6, sent=8e6)
    made.update(little, 0.1)
    assert made.bits_per_second > 8e6, "few packets measure badly"
    made.update(replace(little, shrunk_to=2e6), 0.11)
    assert made.bits_per_second == pytest.approx(BETA * 2e6)
    made.update(replace(little, shrunk_to=1.5e6), 0.12)
    assert made.bits_per_second == pytest.approx(BETA * 2e6), "the first cannot show yet"


def test_a_second_decrease_waits_until_the_first_can_show():
    made = control()
    made.update(FULL, 0.1)
    made.update(replace(FULL, arriving=3e6), 0.12)
    assert made.bits_per_second == pytest.approx(BETA * 4e6)
    made.update(replace(FULL, arriving=3e6), 0.2)
    assert made.bits_per_second == pytest.approx(BETA * 3e6)


def test_a_collapse_does_not_wait():
    made = control()
    made.update(FULL, 0.1)
    made.update(replace(FULL, arriving=1e6), 0.12)
    assert made.bits_per_second == pytest.approx(BETA * 1e6)


def test_grows_carefully_near_where_the_link_was_full():
    made = control()
    made.update(FULL, 0.1)
    before = made.bits_per_second
    careful = run(made, FINE, 2, since=0.1) - before
    assert 0 < careful < (1.08**2 - 1) * before


def test_grows_fast_again_once_the_link_is_wider_than_it_was():
    made = control()
    made.update(FULL, 0.1)
    made.set(9e6, full=False)
    assert run(made, FINE, 2, since=0.1) == pytest.approx(9e6 * 1.08**2, rel=0.02)


def test_holds_while_the_queue_empties():
    made = control()
    made.update(FULL, 0.1)
    before = made.bits_per_second
    assert run(made, replace(FINE, usage="underuse"), 3, since=0.1) == before


def test_a_stream_that_sends_little_neither_raises_nor_ruins_the_estimate():
    little = replace(FINE, arrived=1e6, arriving=1e6, sent=1e6, limited=True)
    made = control()
    for step in range(1, 50):
        made.update(little, step / 10)
    assert made.bits_per_second == 5e6
    made.update(replace(little, usage="overuse"), 6.0)
    assert made.bits_per_second == pytest.approx(BETA * 5e6), "all of what was sent arrived"
    before = made.bits_per_second
    made.update(replace(little, usage="overuse", arrived=0.5e6, arriving=0.5e6), 7.0)
    assert made.bits_per_second == before / 2, "half of it did"


def test_a_stream_that_sends_little_and_yet_waits_long_has_filled_the_link():
    made = control()
    for step in range(1, 9):
        made.update(replace(FULL, arrived=1e6, arriving=0.9e6, sent=1e6, limited=True, standing=0.15), float(step))
    assert made.bits_per_second == pytest.approx(BETA * 0.9e6)


def test_a_stream_that_sends_little_keeps_the_room_to_grow():
    made = control(40e6)
    for step in range(1, 50):
        made.update(replace(FULL, arrived=14e6, arriving=14e6, sent=14e6, limited=True), float(step))
    assert made.bits_per_second == pytest.approx(1.5 * 14e6)


def test_never_below_the_floor():
    made = control()
    for step in range(1, 100):
        made.update(replace(FULL, arriving=1000.0), step)
    assert made.bits_per_second == FLOOR
    made.halve(200)
    assert made.bits_per_second == FLOOR
    made.set(10.0, full=True)
    assert made.bits_per_second == FLOOR


def test_silence_halves():
    made = control()
    made.halve(1.0)
    assert made.bits_per_second == 2.5e6
