"""When a keyframe is allowed, and when a still scene is refreshed."""

from __future__ import annotations

import pytest

from framewire.engine.stream.keyframes import (
    MIN_KEYFRAME_INTERVAL_S,
    REFRESH_STILL_AFTER_S,
    KeyframeThrottle,
    StillRefresh,
)


def test_frequent_requests_are_answered_by_few_keyframes() -> None:
    throttle, made = KeyframeThrottle(), []
    for ms in range(0, 1000, 20):
        if throttle.allows(ms / 1000):
            throttle.made(ms / 1000)
            made.append(ms)
    assert made == [0, 300, 600, 900] and MIN_KEYFRAME_INTERVAL_S == 0.3


def test_the_first_keyframe_is_allowed_at_once_and_the_next_at_a_known_time() -> None:
    throttle = KeyframeThrottle()
    assert throttle.allows(0.0)
    throttle.made(10.0)
    assert not throttle.allows(throttle.next_at - 0.001)
    assert throttle.allows(throttle.next_at) and throttle.next_at == 10.0 + MIN_KEYFRAME_INTERVAL_S


def test_a_few_are_allowed_at_once_and_no_more_in_the_long_run() -> None:
    throttle, made = KeyframeThrottle(), list[float]()
    for step in range(1000):
        now = step * 0.01
        throttle.allow_at_once(now)
        if throttle.allows(now):
            throttle.made(now)
            made.append(now)
    assert made[:7] == pytest.approx([0.0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.3], abs=0.03), (
        "a viewer that comes back does not wait"
    )
    assert len(made) < 6 + 2 * 10 / MIN_KEYFRAME_INTERVAL_S, "one that comes back without end does"


def test_a_still_scene_is_refreshed_four_times_within_a_second() -> None:
    still = StillRefresh()
    still.published(10.0)
    due = []
    for ms in range(0, 5000, 10):
        still.advance(10 + ms / 1000)
        if still.due:
            due.append(ms / 1000)
    assert tuple(due) == REFRESH_STILL_AFTER_S == (0.12, 0.3, 0.6, 1.0)
    assert still.next_at is None, "and then it costs nothing"


def test_a_refresh_is_due_from_its_moment_on_and_once() -> None:
    still = StillRefresh()
    still.published(10.0)
    assert still.next_at == 10.0 + REFRESH_STILL_AFTER_S[0]
    still.advance(still.next_at)
    assert still.due and still.next_at == 10.0 + REFRESH_STILL_AFTER_S[1]
    still.advance(10.2)
    assert not still.due


def test_a_new_frame_starts_the_refreshes_anew() -> None:
    still = StillRefresh()
    assert still.next_at is None and not still.due
    still.advance(1e9)
    assert not still.due, "nothing was published yet"
    still.published(10.0)
    still.advance(10.5)
    still.published(20.0)
    assert still.next_at == 20.0 + REFRESH_STILL_AFTER_S[0]


def test_the_age_of_a_scene_counts_from_the_newest_frame() -> None:
    still = StillRefresh()
    assert still.age_s(5.0) == 0, "before the first frame"
    still.published(10.0)
    assert still.age_s(10.0) == 0 and still.age_s(12.5) == 2.5
