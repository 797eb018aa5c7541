"""RTP payloads, put together again by aiortc's depacketisers, and packets read by its parser."""

from __future__ import annotations

from typing import Any

import pytest
from aiortc.codecs.h264 import h264_depayload
from aiortc.codecs.vpx import vp8_depayload
from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters, RTCRtpParameters
from aiortc.rtp import HeaderExtensionsMap, RtpPacket, unpack_header_extensions
from hypothesis import given, settings
from hypothesis import strategies as st

from framewire.frame import AccessUnit
from framewire.rtc.rtp.packets import (
    ABS_SEND_TIME,
    MAX_PAYLOAD,
    MID,
    PLAYOUT_DELAY,
    TRANSPORT_CC,
    Draft,
    Extensions,
    nal_units,
    pack,
    packetise,
)

LIMIT = 100
IDS = {MID: 1, ABS_SEND_TIME: 2, PLAYOUT_DELAY: 3}


def unit(codec, data):
    return AccessUnit(codec=codec, data=data, number=1, time_us=2, width=3, height=4)


def nal(size, kind=1):
    """A NAL unit of so many bytes; no start code can be in it."""
    return bytes([0x60 | kind]) + bytes(1 + i % 250 for i in range(size - 1))


def annex_b(nals, start=b"\0\0\0\1"):
    return b"".join(start + each for each in nals)


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
    payloads = packetise(unit("h264", annex_b([nal(size)])), LIMIT)
    assert depayloaded(payloads) == annex_b([nal(size)])
    assert len(payloads) == (1 if size <= LIMIT else -(-(size - 1) // (LIMIT - 2)))
    assert max(map(len, payloads)) <= LIMIT


@given(st.lists(st.integers(2, 3 * LIMIT), min_size=1, max_size=12))
@settings(deadline=None)
def test_any_mix_of_nal_units_survives_in_order(sizes):
    data = annex_b([nal(size, 1 + index % 5) for index, size in enumerate(sizes)])
    payloads = packetise(unit("h264", data), LIMIT)
    assert depayloaded(payloads) == data
    assert max(map(len, payloads)) <= LIMIT


def test_small_nal_units_share_a_packet_up_to_the_last_byte():
    fits, too_long = [nal(20, 7), nal(10, 8), nal(63, 5)], [nal(20, 7), nal(10, 8), nal(64, 5)]
    assert [p[0] & 31 for p in packetise(unit("h264", annex_b(fits)), LIMIT)] == [24]
    assert [p[0] & 31 for p in packetise(unit("h264", annex_b(too_long)), LIMIT)] == [24, 5]


def test_an_aggregate_is_as_important_as_its_most_important_part():
    low, high = bytes([0x01]) + b"abc", bytes([0x67]) + b"abc"
    (payload,) = packetise(unit("h264", annex_b([low, high])), LIMIT)
    assert payload[0] == 0x60 | 24


def test_fragments_are_of_one_length_so_that_none_is_a_straggler():
    sizes = [len(p) for p in packetise(unit("h264", annex_b([nal(LIMIT + 10)])), LIMIT)]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("size", [1, LIMIT - 1, LIMIT, 2 * (LIMIT - 1), 2 * (LIMIT - 1) + 1, 7777])
def test_vp8_of_any_length_survives(size):
    data = bytes(i % 251 for i in range(size))
    payloads = packetise(unit("vp8", data), LIMIT)
    assert b"".join(map(vp8_depayload, payloads)) == data
    assert len(payloads) == -(-size // (LIMIT - 1))
    # RFC 7741 §4.2: only the first packet starts a partition.
    assert [bool(p[0] & 0x10) for p in payloads] == [True] + [False] * (len(payloads) - 1)


@pytest.mark.parametrize("codec", ["h264", "vp8"])
@pytest.mark.parametrize("size", [LIMIT + 1, 3 * LIMIT, 1234, 4321])
def test_the_packets_of_a_picture_are_of_one_length_but_the_last(codec, size):
    data = annex_b([nal(size)]) if codec == "h264" else bytes(size)
    *lengths, last = map(len, packetise(unit(codec, data), LIMIT))
    assert len(set(lengths)) == 1
    assert 0 <= lengths[0] - last <= len(lengths)


def test_lossless_units_have_no_packets():
    with pytest.raises(AssertionError, match="WebSocket"):
        packetise(unit("zstd", b"x"))


def test_a_packed_unit_is_the_unit_and_its_payloads():
    whole = unit("vp8", bytes(5000))
    assert pack(whole).unit is whole
    assert pack(whole).payloads == packetise(whole, MAX_PAYLOAD)


def packet(**changes):
    fields: dict[str, Any] = {
        "payload_type": 99, "marker": True, "sequence": 65535, "timestamp": 0xFFFFFFFF, "ssrc": 0xDEADBEEF,
        "extensions": Extensions(IDS, "0"), "payload": b"payload",
    }  # fmt: skip
    return Draft(**(fields | changes)).write(1_700_000_000.5, None)


def parsed(data):
    header_map = HeaderExtensionsMap()
    uris = [RTCRtpHeaderExtensionParameters(id=id, uri=uri) for uri, id in IDS.items()]
    header_map.configure(RTCRtpParameters(headerExtensions=uris))
    return RtpPacket.parse(data, header_map)


def test_a_packet_is_what_another_stack_reads():
    read = parsed(packet())
    assert (read.payload_type, read.marker, read.sequence_number) == (99, 1, 65535)
    assert (read.timestamp, read.ssrc, read.payload) == (0xFFFFFFFF, 0xDEADBEEF, b"payload")
    assert read.extensions.mid == "0"
    # 24 bits of 6.18 fixed point: 1700000000 mod 64 is 0, and a half.
    assert read.extensions.abs_send_time == 1 << 17
    assert parsed(packet(marker=False)).marker == 0


@pytest.mark.parametrize("mid", ["0", "12", "abc"])
def test_playout_delay_is_zero_to_zero(mid):
    block = Extensions(IDS, mid).block(0)
    assert int.from_bytes(block[2:4]) * 4 == len(block) - 4
    assert dict(unpack_header_extensions(0xBEDE, block[4:]))[3] == b"\0\0\0"


def test_what_was_not_negotiated_is_not_sent():
    assert Extensions({}, "0").block(5) == b"\xbe\xde\0\0"
    only_mid = Extensions({MID: 4}, "0").block(5)
    assert unpack_header_extensions(0xBEDE, only_mid[4:]) == [(4, b"0")]


def test_a_full_packet_crosses_the_smallest_mtu_of_ipv6():
    full = packet(extensions=Extensions(IDS, "31"), payload=bytes(2 + MAX_PAYLOAD))
    assert len(full) + 16 + 48 <= 1280


def test_a_number_for_feedback_takes_the_place_of_the_send_time():
    block = Extensions({**IDS, TRANSPORT_CC: 4}, "0").block(5.5, 0xABCD)
    assert int.from_bytes(block[2:4]) * 4 == len(block) - 4
    read = dict(unpack_header_extensions(0xBEDE, block[4:]))
    assert read == {1: b"0", 3: b"\0\0\0", 4: b"\xab\xcd"}
    assert len(block) == len(Extensions(IDS, "0").block(5.5)), "no packet is longer for it"


def test_a_draft_becomes_a_packet_when_it_leaves():
    draft = Draft(99, True, 7, 8, 9, Extensions(IDS, "0"), b"payload")
    assert draft.octets == 7
    assert parsed(draft.write(1_700_000_000.5, None)).extensions.abs_send_time == 1 << 17
    numbered = Draft(99, True, 7, 8, 9, Extensions({TRANSPORT_CC: 4}, "0"), b"payload")
    assert numbered.write(0, 1)[12:] != numbered.write(0, 2)[12:]


@pytest.mark.parametrize("padding", [1, 2, 255])
def test_padding_is_what_another_stack_takes_off(padding):
    draft = Draft(100, False, 7, 8, 9, Extensions(IDS, "0"), b"", padding)
    assert draft.octets == padding
    read = parsed(draft.write(0, None))
    assert (read.payload, read.padding_size) == (b"", padding)
