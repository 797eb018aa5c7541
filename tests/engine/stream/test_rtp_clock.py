"""The RTP clock follows publish times and never goes back."""

from __future__ import annotations

import pytest

from framewire.engine.stream.rtp_clock import CLOCK_SET_US, RTP_TICK_US, RtpClock, UnitTimes

NOON_US = 1_795_000_000_000_000
HOUR_US = 3_600_000_000
FRAME_US = 33_000


def stamps(clock: RtpClock, times_us: list[int]) -> list[int]:
    return [time_us + clock.ahead_us(time_us) for time_us in times_us]


def test_it_is_the_publish_time():
    times = [0, NOON_US, NOON_US, NOON_US + FRAME_US, NOON_US + HOUR_US]
    assert stamps(RtpClock(), times) == times


def test_it_runs_on_at_the_same_pace_after_the_wall_clock_was_set_back():
    clock = RtpClock()
    clock.ahead_us(NOON_US)
    back = [NOON_US - HOUR_US + index * FRAME_US for index in range(4)]
    assert stamps(clock, back) == [NOON_US + index * FRAME_US for index in range(4)]
    assert clock.ahead_us(back[-1] + FRAME_US) == HOUR_US
    assert stamps(clock, [back[-1] - 2 * HOUR_US])[0] == NOON_US + 4 * FRAME_US, "set back once more"


def test_it_is_the_publish_time_again_once_the_wall_clock_has_caught_up():
    clock = RtpClock()
    stamps(clock, [NOON_US, NOON_US - HOUR_US])
    assert clock.ahead_us(NOON_US - 1) == HOUR_US
    clock = RtpClock()
    stamps(clock, [NOON_US, NOON_US - HOUR_US])
    assert stamps(clock, [NOON_US, NOON_US + FRAME_US]) == [NOON_US, NOON_US + FRAME_US]


def test_from_a_second_on_the_clock_was_set_back():
    for late_us, ahead_us in ((CLOCK_SET_US, 0), (CLOCK_SET_US + 1, CLOCK_SET_US + 1)):
        clock = RtpClock()
        clock.ahead_us(NOON_US)
        assert clock.ahead_us(NOON_US - late_us) == ahead_us


@pytest.mark.parametrize("set_back_us", [0, HOUR_US])
def test_a_unit_out_of_order_changes_nothing(set_back_us: int):
    clock = RtpClock()
    now_us = NOON_US - set_back_us
    stamps(clock, [NOON_US, now_us])
    assert clock.ahead_us(now_us + FRAME_US) == set_back_us
    for _ in range(5):
        assert clock.ahead_us(now_us + FRAME_US - CLOCK_SET_US) == set_back_us
    assert clock.ahead_us(now_us + 2 * FRAME_US) == set_back_us
    assert CLOCK_SET_US == 1_000_000


def test_units_of_one_time_are_a_tick_apart():
    times = UnitTimes()
    assert [times.next_us(NOON_US) for _ in range(3)] == [NOON_US, NOON_US + RTP_TICK_US, NOON_US + 2 * RTP_TICK_US]
    assert RTP_TICK_US == 12


def test_a_unit_that_is_late_follows_the_last_one():
    times = UnitTimes()
    given = [0, FRAME_US, 1, FRAME_US + RTP_TICK_US, 2 * FRAME_US]
    assert [times.next_us(NOON_US + time_us) - NOON_US for time_us in given] == [
        0, FRAME_US, FRAME_US + RTP_TICK_US, FRAME_US + 2 * RTP_TICK_US, 2 * FRAME_US
    ]  # fmt: skip
    assert UnitTimes().next_us(0) == 0
