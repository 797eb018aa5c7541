"""What is sent again, and under which numbers."""

from __future__ import annotations

import pytest

from framewire.rtc.repair.retransmission import MAX_PADDING_BYTES, MAX_UNREQUESTED_PACKETS, Retransmitter
from framewire.rtc.rtp.packets import RtpOrigin

EVER = float("-inf")


def sent(payload_type: int | None = 100) -> Retransmitter:
    """Three units of two packets, a tenth of a second apart, the first packet numbered 65534."""
    retransmitter = Retransmitter(RtpOrigin(0xBBBB, 65_535), payload_type)
    for index in range(3):
        payloads = [b"a%d" % index, b"b%d" % index]
        retransmitter.add((65_534 + 2 * index) & 0xFFFF, index, payloads, 1 + index / 10)
    return retransmitter


@pytest.fixture
def retransmitter():
    return sent()


def numbers(drafts):
    """The sequence numbers of the packets that are sent again (RFC 4588 §4)."""
    return [int.from_bytes(draft.payload[:2]) for draft in drafts]


def test_what_is_requested_is_sent_again_under_numbers_of_its_own(retransmitter):
    first, second = retransmitter.requested([65_535, 0], 2.0, 0.1, twice=False)
    assert (first.payload, second.payload) == (b"\xff\xffb0", b"\x00\x00a1")
    assert (first.sequence, second.sequence) == (65_535, 0)
    assert (first.payload_type, first.ssrc, first.marker, second.marker) == (100, 0xBBBB, True, False)
    assert (first.timestamp, second.timestamp) == (0, 1)
    assert retransmitter.second_copies() == []


def test_what_was_never_sent_cannot_be_sent_again(retransmitter):
    assert retransmitter.requested([50, 65_500], 2.0, 0.1, twice=True) == retransmitter.second_copies() == []


def test_what_is_on_its_way_is_not_sent_again(retransmitter):
    assert retransmitter.requested([0], 2.0, 0.1, twice=False)
    assert retransmitter.requested([0], 2.05, 0.1, twice=False) == []
    assert retransmitter.requested([0], 2.11, 0.1, twice=False)


def test_a_second_copy_follows_once_unless_it_is_needless(retransmitter):
    retransmitter.requested([0, 1], 2.0, 0.1, twice=True)
    assert numbers(retransmitter.second_copies()) == [0, 1]
    assert retransmitter.second_copies() == []
    retransmitter.requested([2], 2.0, 0.1, twice=True)
    retransmitter.discard_second_copies()
    assert retransmitter.second_copies() == []


def test_unrequested_all_since_a_moment_but_the_newest_unit_is_sent_again_once(retransmitter):
    assert numbers(retransmitter.unrequested(1.05, 2, 1.2, 0.15)) == [0, 1]
    assert retransmitter.unrequested(1.05, 2, 1.5, 0.15) == []
    retransmitter.add(4, 3, [b"a3"], 1.6)
    assert numbers(retransmitter.unrequested(1.05, 4, 1.6, 0.15)) == [2, 3]


def test_unrequested_nothing_is_sent_again_that_was_requested_a_moment_ago(retransmitter):
    retransmitter.requested([0], 1.15, 0.1, twice=False)
    assert numbers(retransmitter.unrequested(EVER, 2, 1.2, 0.15)) == [65_534, 65_535, 1]


def test_unrequested_only_the_newest_packets_are_sent_again(retransmitter):
    retransmitter.add(4, 3, [b"-"] * 500, 1.3)
    retransmitter.add(504, 4, [b"-"], 1.4)
    again = numbers(retransmitter.unrequested(EVER, 504, 1.4, 0.15))
    assert again == list(range(504 - MAX_UNREQUESTED_PACKETS, 504))
    assert MAX_UNREQUESTED_PACKETS == 120


def test_for_a_viewer_without_retransmissions_nothing_is_sent_again():
    retransmitter = sent(payload_type=None)
    assert retransmitter.requested([0], 2.0, 0.1, twice=True) == retransmitter.second_copies() == []
    assert retransmitter.unrequested(EVER, 2, 2.0, 0.1) == []
    assert retransmitter.make_padding(100) is None


def test_padding_repeats_a_long_packet_and_is_nothing_but_padding_otherwise(retransmitter):
    padding = retransmitter.make_padding(100)
    assert (padding.payload, padding.padding, padding.ssrc) == (b"", 100, 0xBBBB)
    assert retransmitter.make_padding(10_000).padding == MAX_PADDING_BYTES == 255
    retransmitter.add(4, 3, [bytes(1000)], 1.3)
    assert len(retransmitter.make_padding(1200).payload) == 1002
    assert len(retransmitter.make_padding(0).payload) == 1002


def test_padding_is_never_empty():
    retransmitter = Retransmitter(RtpOrigin(0xBBBB, 0), 100)
    assert retransmitter.make_padding(100) is None, "there is nothing to repeat"
    retransmitter.add(0, 0, [b""], 1.0)
    padding = retransmitter.make_padding(0)
    assert padding is not None and padding.padding == 1


def test_each_retransmission_has_the_next_number(retransmitter):
    made = [*retransmitter.requested([0], 2.0, 0.1, twice=True), *retransmitter.second_copies()]
    made += [retransmitter.make_padding(10), *retransmitter.unrequested(EVER, 2, 3.0, 0.1)]
    assert [draft.sequence for draft in made] == [65_535, 0, 1, 2, 3, 4, 5][: len(made)]


def test_numbers_use_all_of_sixteen_bits():
    retransmitter = Retransmitter(RtpOrigin(0xBBBB, 32_767), 100)
    retransmitter.add(0, 0, [b"a", b"b"], 1.0)
    made = retransmitter.requested([0, 1], 2.0, 0.1, twice=False)
    assert [(draft.sequence, draft.padding) for draft in made] == [(32_767, 0), (32_768, 0)]


def test_a_newest_unit_whose_numbers_wrap_is_the_newest_still():
    retransmitter = Retransmitter(RtpOrigin(0xBBBB, 0), 100)
    retransmitter.add(65_532, 0, [b"a", b"b"], 1.0)
    retransmitter.add(65_534, 1, [b"a", b"b", b"c", b"d"], 1.1)
    assert numbers(retransmitter.unrequested(EVER, 65_534, 1.1, 0.1)) == [65_532, 65_533]


def test_cleared_is_empty(retransmitter):
    retransmitter.requested([0], 2.0, 0.1, twice=True)
    retransmitter.clear()
    assert retransmitter.second_copies() == retransmitter.requested([1], 2.0, 0.1, twice=False) == []
    assert retransmitter.make_padding(100) is None
