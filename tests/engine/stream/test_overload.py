"""When frames are halved for want of time, and when not any more."""

from __future__ import annotations

import pytest

from framewire.engine.stream.overload import PATIENCE, RETRY, Interval, Overload


def spend(effort: Overload, cost: float, interval: float, seconds: float, since: float = 0.0) -> float:
    """Frames for so long, each a look; returns the time. At half size encoding takes a third."""
    now = since
    while now < since + seconds:
        effort.look(cost / 3 if effort.half else cost, interval, now)
        now += interval
    return now


def test_a_stream_that_is_kept_up_with_keeps_its_size():
    effort = Overload()
    spend(effort, cost=0.02, interval=1 / 60, seconds=20)
    assert not effort.half, "five frames of six are better than half the size"


def test_one_that_is_not_by_far_is_halved_after_a_while():
    effort = Overload()
    now = spend(effort, cost=0.04, interval=1 / 60, seconds=PATIENCE - 0.1)
    assert not effort.half
    spend(effort, cost=0.04, interval=1 / 60, seconds=0.5, since=now)
    assert effort.half


def test_a_moment_without_the_processor_is_no_reason():
    effort = Overload()
    now = 0.0
    for _ in range(10):
        now = spend(effort, cost=0.04, interval=1 / 60, seconds=PATIENCE / 2, since=now)
        now = spend(effort, cost=0.01, interval=1 / 60, seconds=0.5, since=now)
    assert not effort.half


def test_full_size_comes_back_where_frames_come_slower():
    effort = Overload()
    now = spend(effort, cost=0.04, interval=1 / 60, seconds=5)
    assert effort.half
    spend(effort, cost=0.04, interval=1 / 20, seconds=PATIENCE + 0.5, since=now)
    assert not effort.half


def test_a_still_picture_is_at_full_size_at_once():
    effort = Overload()
    now = spend(effort, cost=0.04, interval=1 / 60, seconds=5)
    effort.look(0.013, 0.3, now)
    assert not effort.half


def test_full_size_is_tried_again_ever_more_seldom():
    effort = Overload()
    now, changes, before = 0.0, [], False
    while now < 400:
        effort.look(0.013 if effort.half else 0.04, 1 / 60, now)
        if effort.half != before:
            changes.append(now)
            before = effort.half
        now += 1 / 60
    tries = changes[1::2]
    assert tries[0] == pytest.approx(PATIENCE + RETRY[0], abs=1)
    assert tries[1] - tries[0] == pytest.approx(2 * RETRY[0] + PATIENCE, abs=1)
    assert len(tries) < 6


def test_the_interval_is_that_of_all_that_was_published():
    interval = Interval()
    for number in range(0, 300, 3):
        interval.saw(number & 0xFFFFFFFF, number * 10_000)
    assert interval.seconds == pytest.approx(0.01, rel=0.05)
    interval.saw(297, 297 * 10_000)
    assert interval.seconds == pytest.approx(0.01, rel=0.05), "the same frame, encoded again"


def test_a_still_picture_is_never_halved():
    effort = Overload()
    for now in range(20):
        effort.look(0.45, 0.3, float(now))
        assert not effort.half


def test_what_has_kept_up_for_long_is_tried_again_as_soon_as_at_first():
    effort = Overload()
    spend(effort, cost=0.04, interval=1 / 60, seconds=300)
    assert effort._retry > RETRY[0]
    effort = Overload()
    effort._retry = RETRY[1]
    spend(effort, cost=0.01, interval=1 / 60, seconds=RETRY[0] + 1)
    assert effort._retry == RETRY[0]
