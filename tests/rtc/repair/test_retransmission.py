"""What is sent again, and under which numbers."""

from __future__ import annotations

import pytest

from framewire.rtc.repair.retransmission import MOST_UNASKED, PADDING, Origin, Retransmitter

NEVER = float("-inf")


@pytest.fixture
def repairs():
    """Three units of two packets, a tenth of a second apart, the first packet numbered 65534."""
    repairs = Retransmitter(Origin(0xBBBB, 65_535))
    repairs.payload_type = 100
    for index in range(3):
        repairs.add((65_534 + 2 * index) & 0xFFFF, index, [b"a%d" % index, b"b%d" % index], 1 + index / 10)
    return repairs


def numbers(drafts):
    """Of the packets that are sent again (RFC 4588 §4)."""
    return [int.from_bytes(draft.payload[:2]) for draft in drafts]


def test_what_is_asked_for_goes_again_under_numbers_of_its_own(repairs):
    first, second = repairs.asked([65_535, 0], 2.0, 0.1, twice=False)
    assert (first.payload, second.payload) == (b"\xff\xffb0", b"\x00\x00a1")
    assert (first.sequence, second.sequence) == (65_535, 0)
    assert (first.payload_type, first.ssrc, first.marker, second.marker) == (100, 0xBBBB, True, False)
    assert repairs.copies() == []


def test_what_was_never_sent_cannot_be_sent_again(repairs):
    assert repairs.asked([50, 65_500], 2.0, 0.1, twice=True) == repairs.copies() == []


def test_what_is_on_its_way_does_not_go_again(repairs):
    assert repairs.asked([0], 2.0, 0.1, twice=False)
    assert repairs.asked([0], 2.05, 0.1, twice=False) == []
    assert repairs.asked([0], 2.11, 0.1, twice=False)


def test_a_copy_follows_once_unless_it_is_needless(repairs):
    repairs.asked([0, 1], 2.0, 0.1, twice=True)
    assert numbers(repairs.copies()) == [0, 1]
    assert repairs.copies() == []
    repairs.asked([2], 2.0, 0.1, twice=True)
    repairs.forget_copies()
    assert repairs.copies() == []


def test_unasked_goes_what_left_since_then_but_for_the_newest_unit_and_once(repairs):
    assert numbers(repairs.unasked(1.05, 2, 1.2, 0.15)) == [0, 1]
    assert repairs.unasked(1.05, 2, 1.25, 0.15) == []
    repairs.add(4, 3, [b"a3"], 1.3)
    assert numbers(repairs.unasked(1.05, 4, 1.3, 0.15)) == [2, 3]


def test_unasked_goes_nothing_that_was_asked_for_a_moment_ago(repairs):
    repairs.asked([0], 1.15, 0.1, twice=False)
    assert numbers(repairs.unasked(NEVER, 2, 1.2, 0.15)) == [65_534, 65_535, 1]


def test_unasked_goes_no_flood(repairs):
    repairs.add(4, 3, [b"-"] * 500, 1.3)
    repairs.add(504, 4, [b"-"], 1.4)
    assert len(repairs.unasked(NEVER, 504, 1.4, 0.15)) == MOST_UNASKED


def test_without_retransmissions_nothing_goes_again(repairs):
    repairs.payload_type = None
    assert repairs.asked([0], 2.0, 0.1, twice=True) == repairs.copies() == repairs.unasked(NEVER, 2, 2.0, 0.1) == []
    assert repairs.pad(100) is None


def test_padding_repeats_what_is_long_and_is_nothing_otherwise(repairs):
    assert (repairs.pad(100).payload, repairs.pad(100).padding) == (b"", 100)
    assert repairs.pad(10_000).padding == PADDING
    repairs.add(4, 3, [bytes(1000)], 1.3)
    assert len(repairs.pad(1200).payload) == 1002


def test_cleared_is_empty(repairs):
    repairs.asked([0], 2.0, 0.1, twice=True)
    repairs.clear()
    assert repairs.copies() == repairs.asked([1], 2.0, 0.1, twice=False) == []
    assert repairs.pad(100) is None
