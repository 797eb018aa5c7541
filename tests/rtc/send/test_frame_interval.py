"""How far apart frames are sent."""

from __future__ import annotations

import pytest

from framewire.rtc.send.frame_interval import INITIAL_FRAME_INTERVAL_S, FrameInterval


def sent(*times: float) -> FrameInterval:
    interval = FrameInterval()
    for time in times:
        interval.frame_sent(time)
    return interval


def test_the_interval_is_an_average():
    steady = sent(*(index / 60 for index in range(60)))
    assert steady.seconds == pytest.approx(1 / 60, rel=0.01)
    assert steady.newest_at == 59 / 60
    before = steady.seconds
    assert steady.frame_sent(59 / 60 + 0.05) == pytest.approx(before + (0.05 - before) / 8)


def test_a_pause_counts_as_a_tenth_of_a_second():
    assert sent(5.0).seconds == pytest.approx(INITIAL_FRAME_INTERVAL_S + (0.1 - INITIAL_FRAME_INTERVAL_S) / 8)
    assert sent(5.0, 5.1).seconds == pytest.approx(sent(5.0, 500.0).seconds)


def test_before_any_frame_there_are_thirty_a_second():
    assert FrameInterval().seconds == 1 / 30 and FrameInterval().newest_at == float("-inf")
