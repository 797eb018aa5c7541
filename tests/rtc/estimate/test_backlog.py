"""How long a packet would wait that leaves now."""

from __future__ import annotations

import pytest

from framewire.rtc.estimate.backlog import Backlog
from framewire.rtc.rtp.twcc import PacketResult

LINK = 8e6
"""A megabyte a second."""


def message(arrived: int, lost: int) -> list[PacketResult]:
    return [PacketResult(i, 9.0, 1200, 60.0 if i < arrived else None, None, late=False) for i in range(arrived + lost)]


def test_a_packet_waits_as_the_newest_known_did_and_for_what_left_since_less_the_time():
    backlog = Backlog()
    backlog.acked(10.0, 0.2)
    assert backlog.newest_acked_sent_at == 10.0
    assert backlog.seconds(100_000, LINK, 10.0) == pytest.approx(0.3)
    assert backlog.seconds(100_000, LINK, 10.25) == pytest.approx(0.05)
    assert backlog.seconds(100_000, LINK, 10.5) == 0, "never less than nothing"


def test_a_packet_waits_no_longer_than_the_queue_that_overflowed_is_long():
    backlog = Backlog()
    backlog.acked(10.0, 0.2)
    backlog.note_overflow(message(6, 4))
    backlog.sent(10.5)
    assert backlog.seconds(10**6, LINK, 10.5) == pytest.approx(0.2)
    assert backlog.seconds(10**6, LINK, 10.6) == pytest.approx(0.1), "it empties since the last packet left"
    assert backlog.seconds(0, LINK, 10.5) == 0, "and it may be shorter"
    backlog.link_changed()
    assert backlog.seconds(10**6, LINK, 10.5) == pytest.approx(0.7)


def test_the_longest_wait_in_a_queue_that_overflowed_is_its_length():
    backlog = Backlog()
    for waited in (0.2, 0.3, 0.1):
        backlog.acked(10.0, waited)
        backlog.note_overflow(message(6, 4))
    backlog.sent(10.0)
    assert backlog.seconds(10**6, LINK, 10.0) == pytest.approx(0.3)


@pytest.mark.parametrize(("lost", "overflowed"), [(3, False), (4, True)])
def test_a_queue_overflowed_where_more_than_three_of_ten_are_lost(lost: int, overflowed: bool):
    backlog = Backlog()
    backlog.acked(10.0, 0.2)
    backlog.sent(10.0)
    backlog.note_overflow(message(10 - lost, lost))
    assert backlog.seconds(10**6, LINK, 10.0) == pytest.approx(0.2 if overflowed else 1.2)


def test_before_any_feedback_only_what_left_is_known():
    assert Backlog().newest_acked_sent_at == 0
    assert Backlog().seconds(100_000, LINK, 0.0) == pytest.approx(0.1)


def test_a_queue_that_overflowed_before_anything_is_known_to_have_left_empties_from_the_beginning():
    backlog = Backlog()
    backlog.acked(0.0, 0.2)
    backlog.note_overflow(message(6, 4))
    assert backlog.seconds(10**6, LINK, 0.0) == pytest.approx(0.2)
