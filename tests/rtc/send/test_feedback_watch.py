"""When feedback is overdue."""

from __future__ import annotations

import pytest

from framewire.rtc.send.feedback_watch import FeedbackWatch


def fed(interval: float, count: int = 60) -> FeedbackWatch:
    watch = FeedbackWatch()
    for index in range(count):
        watch.received(index * interval)
    return watch


def test_before_the_first_feedback_nothing_is_overdue():
    assert not FeedbackWatch().overdue(1e9)


@pytest.mark.parametrize("interval", [0.05, 0.1, 0.2])
def test_feedback_is_overdue_after_twice_its_usual_interval(interval):
    watch, newest = fed(interval), 59 * interval
    assert not watch.overdue(newest + 2.15 * interval)
    assert watch.overdue(newest + 2.25 * interval)


def test_the_usual_interval_is_an_average():
    watch = FeedbackWatch()
    watch.received(10.0)
    watch.received(10.2)
    # 0.1 s until one is measured, then an eighth of the difference.
    assert not watch.overdue(10.2 + 2.2 * 0.1125 - 0.001)
    assert watch.overdue(10.2 + 2.2 * 0.1125 + 0.001)


def test_a_viewer_that_receives_little_is_not_waited_for_without_end():
    watch = fed(5.0)
    assert watch.overdue(59 * 5.0 + 2.2 * 0.25 + 0.01)
    assert not watch.overdue(59 * 5.0 + 2.2 * 0.25 - 0.01)
