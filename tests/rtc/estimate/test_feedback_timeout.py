"""Feedback that stays out."""

from __future__ import annotations

from framewire.rtc.estimate.feedback_timeout import FEEDBACK_TIMEOUT_S, TIMEOUT_MIN_PACKETS, FeedbackTimeout


def with_feedback() -> FeedbackTimeout:
    timeout = FeedbackTimeout()
    timeout.received()
    timeout.expired(10.0)
    return timeout


def expiries(timeout: FeedbackTimeout, since: float, until: float, every: float = 0.125) -> list[float]:
    """When it expires, asked eight times a second."""
    steps = round((until - since) / every)
    return [now for index in range(1, steps + 1) if timeout.expired(now := since + index * every)]


def test_feedback_is_overdue_after_a_second_and_again_after_each_half():
    timeout = with_feedback()
    timeout.sent(10, 10.0)
    assert expiries(timeout, 10.0, 12.5) == [11.0, 11.5, 12.0, 12.5]
    assert FEEDBACK_TIMEOUT_S == 1


def test_the_time_counts_from_the_first_packet_after_the_last_feedback():
    timeout = with_feedback()
    for step in range(4):
        timeout.sent(5, 10.0 + step / 4)
        timeout.expired(10.0 + step / 4)
    assert expiries(timeout, 10.75, 11.25) == [
        11.0,
    ]
    timeout.received()
    timeout.sent(10, 11.25)
    assert expiries(timeout, 11.25, 12.5) == [12.25]


def test_a_few_packets_may_stay_unanswered():
    timeout = with_feedback()
    timeout.sent(9, 10.0)
    assert expiries(timeout, 10.0, 15.0) == []
    timeout.sent(1, 15.0)
    assert expiries(timeout, 15.0, 15.25) == [15.125]
    assert TIMEOUT_MIN_PACKETS == 10


def test_a_viewer_that_never_sent_feedback_may_not_be_able_to():
    timeout = FeedbackTimeout()
    assert not timeout.any_feedback
    timeout.sent(100, 10.0)
    assert expiries(timeout, 10.0, 15.0) == []
    timeout.received()
    assert timeout.any_feedback


def test_a_process_that_was_stopped_has_read_no_feedback():
    timeout = with_feedback()
    timeout.sent(10, 10.0)
    assert not timeout.expired(20.0)
    assert expiries(timeout, 20.0, 21.5) == [21.0, 21.5]


def test_a_process_that_was_late_by_more_than_half_the_time_counts_as_stopped():
    timeout = with_feedback()
    timeout.sent(10, 10.0)
    assert not timeout.expired(10.75)
    assert expiries(timeout, 10.75, 12.0) == [11.75]


def test_a_process_that_was_late_by_less_than_half_the_time_was_not_stopped():
    timeout = with_feedback()
    timeout.sent(10, 10.0)
    assert expiries(timeout, 10.0, 11.0, every=0.5) == [11.0]
