"""H.264 payloads, put together again by aiortc's depacketiser."""

from __future__ import annotations

import pytest
from aiortc.codecs.h264 import h264_depayload
from hypothesis import given, settings
from hypothesis import strategies as st

from framewire.rtc.rtp.h264 import nal_units, packetise

LIMIT = 100


def nal(size, kind=1):
    """A NAL unit of so many bytes; no start code can be in it."""
    return bytes([0x60 | kind]) + bytes(1 + i % 250 for i in range(size - 1))


def annex_b(nals, start=b"\0\0\0\1"):
    return b"".join(start + each for each in nals)


def packets(data):
    return list(packetise(data, LIMIT))


def depayloaded(payloads):
    return b"".join(map(h264_depayload, payloads))


@pytest.mark.parametrize("start", [b"\0\0\1", b"\0\0\0\1"])
def test_nal_units_are_found_by_either_start_code(start):
    nals = [nal(5, 7), nal(3, 8), nal(900, 5), nal(2, 1)]
    assert list(nal_units(annex_b(nals, start))) == nals


def test_what_only_delimits_or_fills_is_left_out():
    nals = [nal(2, 9), nal(40, 12), nal(7, 1)]
    assert list(nal_units(annex_b(nals) + b"\0\0")) == [nals[2]]
    assert list(nal_units(b"no start code")) == []


@pytest.mark.parametrize("size", [2, 3, LIMIT - 1, LIMIT, LIMIT + 1, 2 * (LIMIT - 2) + 1, 2 * (LIMIT - 2) + 2, 5000])
def test_one_nal_unit_of_any_length_survives(size):
    payloads = packets(annex_b([nal(size)]))
    assert depayloaded(payloads) == annex_b([nal(size)])
    assert len(payloads) == (1 if size <= LIMIT else -(-(size - 1) // (LIMIT - 2)))
    assert max(map(len, payloads)) <= LIMIT


@given(st.lists(st.integers(2, 3 * LIMIT), min_size=1, max_size=12))
@settings(deadline=None)
def test_any_mix_of_nal_units_survives_in_order(sizes):
    data = annex_b([nal(size, 1 + index % 5) for index, size in enumerate(sizes)])
    payloads = packets(data)
    assert depayloaded(payloads) == data
    assert max(map(len, payloads)) <= LIMIT


def test_small_nal_units_share_a_packet_up_to_the_last_byte():
    fits, too_long = [nal(20, 7), nal(10, 8), nal(63, 5)], [nal(20, 7), nal(10, 8), nal(64, 5)]
    assert [p[0] & 31 for p in packets(annex_b(fits))] == [24]
    assert [p[0] & 31 for p in packets(annex_b(too_long))] == [24, 5]


def test_an_aggregate_is_as_important_as_its_most_important_part():
    low, high = bytes([0x01]) + b"\1\2\3", bytes([0x67]) + b"\1\2\3"
    (payload,) = packets(annex_b([low, high]))
    assert payload[0] == 0x60 | 24


def test_fragments_are_of_one_length_so_that_none_is_a_straggler():
    sizes = [len(p) for p in packets(annex_b([nal(LIMIT + 10)]))]
    assert max(sizes) - min(sizes) <= 1


def test_a_full_group_is_followed_by_one_that_is_filled_up_as_far():
    # 1 byte of header, then 2 bytes of length before each: 49 + 46 + 5 make exactly 100.
    sizes = [49, 46, 49, 46, 49, 47, 40]
    payloads = packets(annex_b([nal(size) for size in sizes]))
    assert list(map(len, payloads)) == [100, 100, 49, 1 + 2 + 47 + 2 + 40]


def test_an_empty_nal_unit_hides_none_behind_it():
    assert list(nal_units(b"\0\0\1" + annex_b([nal(5)], b"\0\0\1"))) == [nal(5)]


@pytest.mark.parametrize("kind", [25, 28, 31])
def test_only_delimiters_and_filler_are_left_out(kind):
    assert list(nal_units(annex_b([nal(5, kind)]))) == [nal(5, kind)]


def test_fragments_carry_the_header_of_their_nal_unit_and_where_they_stand():
    # RFC 6184 §5.8: F and NRI in the indicator, the type behind the start and end bits.
    whole = bytes([0xE0 | 20]) + nal(2 * LIMIT)[1:]
    payloads = packets(annex_b([whole]))
    assert [payload[:2].hex() for payload in payloads] == ["fc94", "fc14", "fc54"]
    assert b"".join(payload[2:] for payload in payloads) == whole[1:]
