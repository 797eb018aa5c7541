"""Feedback bytes to a result for each packet."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framewire.rtc.rtp.twcc import MalformedFeedback, TransportFeedbackAdapter, parse
from tests.rtc.linksim import feedback


def header(base: int, count: int, reference: int = 0, number: int = 0) -> bytes:
    return struct.pack("!HHL", base, count, reference << 8 | number)


def test_run_of_small_deltas():
    # One run-length chunk: symbol 01, three packets; deltas of 1, 2 and 255 ticks.
    assert parse(header(7, 3, 2, 201) + b"\x20\x03" + b"\x01\x02\xff") == parse(
        header(7, 3, 2, 201) + b"\x20\x03\x01\x02\xff" + bytes(3)
    )
    message = parse(header(7, 3, 2, 201) + b"\x20\x03" + b"\x01\x02\xff")
    assert (message.base_sequence, message.reference_time, message.feedback_count) == (7, 2, 201)
    assert message.arrivals == (0.00025, 0.00075, 0.0645)


def test_vector_of_single_bits():
    # 1 0 then fourteen symbols, of which only the first four count.
    message = parse(header(1, 4) + b"\xac\x00" + b"\x04\x04\x04")
    assert message.arrivals == (0.001, None, 0.002, 0.003)


def test_a_vector_of_single_bits_has_fourteen_symbols_and_one_of_two_bits_seven():
    assert parse(header(1, 14) + b"\x80\x01" + b"\x04").arrivals == (*[None] * 13, 0.001)
    assert parse(header(1, 7) + b"\xc0\x01" + b"\x04").arrivals == (*[None] * 6, 0.001)


@pytest.mark.parametrize("packets", [1, 4096, 8191])
def test_a_run_has_up_to_8191_packets(packets: int):
    assert parse(header(1, packets) + packets.to_bytes(2)).arrivals == (None,) * packets
    assert parse(header(1, 1) + packets.to_bytes(2)).arrivals == (None,), "it may be longer than what is left"


def test_one_message_covers_up_to_65535_packets():
    runs = b"\x1f\xff" * 8 + b"\x00\x07"
    assert len(parse(header(1, 65_535) + runs).arrivals) == 65_535
    assert len(parse(header(1, 7) + runs[-2:], max_packets=7).arrivals) == 7


def test_vector_of_two_bits_with_a_large_and_a_negative_delta():
    # 1 1, then 10 00 10 01 and three more.
    chunk = struct.pack("!H", 0xC000 | 2 << 12 | 0 << 10 | 2 << 8 | 1 << 6)
    message = parse(header(1, 4) + chunk + struct.pack("!hhB", 400, -40, 8))
    assert message.arrivals == (0.1, None, 0.09, 0.092)


@pytest.mark.parametrize(
    ("fci", "why"),
    [
        (b"", "no feedback"),
        (header(1, 1)[:7], "no feedback"),
        (header(1, 0) + b"\x00\x00", "no packet"),
        (header(1, 1), "chunks end"),
        (header(1, 1) + b"\x01", "chunks end"),
        (header(1, 20) + b"\xac\x00", "chunks end"),
        (header(1, 2) + b"\x20\x02\x01", "deltas end"),
        (header(1, 1) + b"\x40\x01\x01", "deltas end"),
        (header(1, 1) + b"\x60\x01\x01\x01", "reserved"),
        (header(1, 1) + b"\x20\x00\x01", "run of no packets"),
    ],
)
def test_malformed_feedback_is_named(fci: bytes, why: str):
    with pytest.raises(MalformedFeedback, match=why):
        parse(fci)


@given(st.binary(max_size=64))
def test_any_bytes_are_feedback_or_malformed(fci: bytes):
    try:
        assert parse(fci).arrivals
    except MalformedFeedback:
        pass


@given(st.lists(st.none() | st.integers(0, 30_000), min_size=1, max_size=300).filter(any))
def test_feedback_is_read_as_it_was_written(ticks: list[int | None]):
    arrivals = [None if t is None else 100 + t * 0.00025 for t in ticks]
    message = parse(feedback(5, arrivals, 3))
    origin = message.reference_time * 0.064
    assert len(message.arrivals) == len(arrivals)
    for read, written in zip(message.arrivals, arrivals, strict=True):
        assert (read is None) == (written is None)
        assert read is None or written is None or abs(origin + read - written) < 0.0002


def test_each_packet_gets_one_result():
    adapter = TransportFeedbackAdapter()
    for index in range(4):
        adapter.sent(100 + index, 10 + index)
    results = adapter.feed(feedback(1, [50.0, None, 50.5], 0))
    assert [(o.sequence, o.size, o.sent_at) for o in results] == [(1, 100, 10), (2, 101, 11), (3, 102, 12)]
    assert [None if o.arrived_at is None else round(o.arrived_at, 3) for o in results] == [50.0, None, 50.5]
    assert adapter.feed(feedback(1, [50.0, None, 50.5], 1)) == []
    assert len(adapter) == 2, "the lost one may still come, and the last was not reported"


def test_bytes_after_the_newest_reported_packet_are_outstanding():
    adapter = TransportFeedbackAdapter()
    for size in (100, 200, 300, 400):
        adapter.sent(size, 10)
    assert adapter.outstanding_bytes == 1000
    adapter.feed(feedback(1, [50.0, None], 0))
    assert adapter.outstanding_bytes == 700
    adapter.feed(feedback(2, [50.1, 50.2, 50.3], 1))
    assert adapter.outstanding_bytes == 0
    adapter.sent(50, 11)
    assert adapter.outstanding_bytes == 50


def test_nothing_is_outstanding_once_the_first_packet_is_reported():
    adapter = TransportFeedbackAdapter()
    adapter.sent(100, 10)
    adapter.feed(feedback(1, [50.0], 0))
    assert adapter.outstanding_bytes == 0


def test_a_packet_that_was_overtaken_is_late_and_not_lost():
    adapter = TransportFeedbackAdapter()
    for _ in range(3):
        adapter.sent(100, 10)
    assert [o.late for o in adapter.feed(feedback(1, [50.0, None, 50.1], 0))] == [False, False, False]
    (late,) = adapter.feed(feedback(2, [50.2], 1))
    assert late.late and late.sequence == 2 and late.arrived_at == pytest.approx(50.2)


def test_sequence_numbers_wrap():
    adapter = TransportFeedbackAdapter(first=65_534)
    assert [(adapter.next_sequence_number, adapter.sent(10, 1))[0] for _ in range(4)] == [65_534, 65_535, 0, 1]
    results = adapter.feed(feedback(65_534, [9.0, 9.1, 9.2, 9.3], 0))
    assert [o.sequence for o in results] == [65_534, 65_535, 65_536, 65_537]


def test_the_reference_time_wraps():
    adapter = TransportFeedbackAdapter()
    for _ in range(2):
        adapter.sent(10, 1)
    span = (1 << 24) * 0.064
    first = adapter.feed(feedback(1, [span - 0.032], 0))[0].arrived_at
    second = adapter.feed(feedback(2, [span + 0.032], 1))[0].arrived_at
    assert first is not None and second is not None
    assert second - first == pytest.approx(0.064, abs=0.001)


def test_a_message_that_was_overtaken_has_an_earlier_reference_time():
    adapter = TransportFeedbackAdapter()
    for _ in range(3):
        adapter.sent(10, 1)
    arrivals = [adapter.feed(feedback(base, [at], 0))[0].arrived_at for base, at in ((1, 70.0), (2, 60.0), (3, 80.0))]
    assert arrivals == pytest.approx([70, 60, 80])


def test_reference_times_are_near_the_newest_one_and_not_the_first():
    """It wraps after twelve days."""
    adapter = TransportFeedbackAdapter()
    days = [adapter.feed(feedback(adapter.sent(10, day), [day * 86_400.0], 0))[0].arrived_at for day in range(1, 40, 4)]
    assert days == pytest.approx([day * 86_400.0 for day in range(1, 40, 4)])


def test_a_message_may_cover_packets_from_half_a_circle_ago():
    adapter = TransportFeedbackAdapter()
    for _ in range(40_000):
        adapter.sent(10, 1)
    assert [result.sequence for result in adapter.feed(feedback(1, [5.0], 0))] == [1]


def test_feedback_about_packets_that_were_never_sent_gives_nothing():
    adapter = TransportFeedbackAdapter()
    adapter.sent(10, 1)
    assert adapter.feed(feedback(900, [5.0] * 50, 0)) == []


def test_an_excluded_packet_gets_no_result():
    adapter = TransportFeedbackAdapter()
    adapter.exclude(adapter.sent(10, 1))
    assert adapter.feed(feedback(1, [5.0], 0)) == []


def test_packets_are_kept_for_five_seconds():
    adapter = TransportFeedbackAdapter()
    for index in range(100):
        adapter.sent(10, index)
    assert len(adapter) == 6, "the newest, and those of five seconds before it"


def test_feedback_may_cover_a_thousand_packets_more_than_are_kept():
    adapter = TransportFeedbackAdapter(first=500)
    adapter.sent(10, 1)
    assert len(adapter.feed(header(500, 1001) + (1001).to_bytes(2))) == 1
    with pytest.raises(MalformedFeedback, match="more than were sent"):
        adapter.feed(header(500, 1002) + (1002).to_bytes(2))


def test_feedback_about_more_than_was_sent_is_refused_before_it_is_read():
    adapter = TransportFeedbackAdapter()
    adapter.sent(1200, 1.0)
    runs = b"".join(struct.pack("!H", 0x2000 | 0x1FFF) for _ in range(8))
    with pytest.raises(MalformedFeedback, match="more than were sent"):
        adapter.feed(struct.pack("!HHL", 1, 65_000, 0) + runs)
