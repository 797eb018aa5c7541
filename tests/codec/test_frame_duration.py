"""Publish times to how long each frame lasts."""

from __future__ import annotations

import pytest

from framewire.codec.frame_duration import FrameDuration


def durations(fps: float, *times_ms: float) -> list[float]:
    duration = FrameDuration(fps)
    return [duration.since_last(round(time * 1000)) for time in times_ms]


def test_a_frame_lasts_as_long_as_the_time_since_the_one_before():
    assert durations(60, 1000, 1020, 1045) == pytest.approx([1 / 60, 0.020, 0.025])


def test_a_frame_after_a_pause_spends_50_ms():
    assert durations(60, 1000, 61_000)[1] == 0.05


def test_a_slow_stream_spends_its_whole_interval_and_no_more():
    assert durations(2, 1000, 1500, 60_000)[1:] == [0.5, 0.5]


def test_two_frames_at_once_still_get_bits_each():
    assert durations(50, 1000, 1000.001)[1] == pytest.approx(1 / 200)


@pytest.mark.parametrize("back_ms", [0, 1, 3_600_000])
def test_a_clock_that_stands_or_is_set_back_counts_as_one_interval(back_ms: int):
    assert durations(50, 7_200_000, 7_200_000 - back_ms)[1] == pytest.approx(1 / 50)


def test_after_a_clock_was_set_back_times_count_from_there():
    assert durations(50, 7_200_000, 1000, 1030)[2] == pytest.approx(0.03)
