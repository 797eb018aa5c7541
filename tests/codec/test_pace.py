"""Publish times to spans of bitrate."""

from __future__ import annotations

import pytest

from framewire.codec.pace import LONGEST, Pace


def steps(fps: float, *times_ms: float) -> list[float]:
    pace = Pace(fps)
    return [pace.step(int(time * 1000)) for time in times_ms]


def test_a_frame_stands_for_the_time_since_the_one_before():
    assert steps(60, 1000, 1020, 1045) == pytest.approx([1 / 60, 0.020, 0.025])


def test_after_a_pause_a_frame_may_not_spend_the_whole_pause():
    assert steps(60, 1000, 61_000)[1] == LONGEST


def test_a_slow_stream_may_spend_its_whole_interval():
    assert steps(2, 1000, 1500)[1] == 0.5


def test_two_frames_at_once_still_get_something_each():
    assert steps(50, 1000, 1000.001)[1] == pytest.approx(1 / 200)


@pytest.mark.parametrize("back_ms", [0, 1, 3_600_000])
def test_a_clock_that_stands_or_runs_back_says_nothing(back_ms: int):
    assert steps(50, 7_200_000, 7_200_000 - back_ms)[1] == pytest.approx(1 / 50)
