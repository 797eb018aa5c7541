"""Units packed for RTP, and packets read by aiortc's parser."""

from __future__ import annotations

from typing import Any

import pytest
from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters, RTCRtpParameters
from aiortc.rtp import HeaderExtensionsMap, RtpPacket

from framewire.frame import AccessUnit
from framewire.rtc.rtp.header_extensions import (
    ABS_SEND_TIME_URI,
    MID_URI,
    PLAYOUT_DELAY_URI,
    TRANSPORT_CC_URI,
    HeaderExtensions,
)
from framewire.rtc.rtp.packets import MAX_PAYLOAD_BYTES, RtpPacketDraft, pack, packetise

IDS = {MID_URI: 1, ABS_SEND_TIME_URI: 2, PLAYOUT_DELAY_URI: 3}


def unit(codec, data):
    return AccessUnit(codec=codec, data=data, number=1, time_us=2, width=3, height=4)


def test_lossless_units_have_no_packets():
    with pytest.raises(AssertionError, match="WebSocket"):
        packetise(unit("zstd", b"x"))


def test_a_packed_unit_is_the_unit_and_its_payloads():
    whole = unit("vp8", bytes(2254))
    packed = pack(whole)
    assert packed.unit is whole
    assert packed.payloads == packetise(whole) == (b"\x10" + bytes(1127), b"\0" + bytes(1127))


def test_parities_are_made_once_for_all_viewers_that_need_so_many():
    packed = pack(unit("vp8", bytes(5000)))
    one, two = packed.parities(1), packed.parities(2)
    assert packed.parities(1) is one and packed.parities(2) is two
    assert one != two


def test_a_packed_unit_is_the_same_with_and_without_parities():
    packed = pack(unit("vp8", bytes(5000)))
    before = repr(packed)
    packed.parities(1)
    assert packed == pack(packed.unit)
    assert repr(packed) == before


def packet(**changes):
    fields: dict[str, Any] = {
        "payload_type": 99, "marker": True, "sequence": 65535, "timestamp": 0xFFFFFFFF, "ssrc": 0xDEADBEEF,
        "extensions": HeaderExtensions(IDS, "0"), "payload": b"payload",
    }  # fmt: skip
    return RtpPacketDraft(**(fields | changes)).write(1_700_000_000.5, None)


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


def test_the_longest_packet_is_the_smallest_mtu_of_ipv6():
    overhead = {"RTP and extensions": 36, "FEC": 48, "SRTP": 16, "UDP and IPv6": 48}
    assert 1280 - 4 <= MAX_PAYLOAD_BYTES + sum(overhead.values()) <= 1280
    # RTX puts the original sequence number before the payload (RFC 4588 §4): 2 bytes.
    full = packet(extensions=HeaderExtensions(IDS, "31"), payload=bytes(2 + MAX_PAYLOAD_BYTES))
    assert len(full) - MAX_PAYLOAD_BYTES <= overhead["RTP and extensions"] + 2


def test_a_draft_becomes_a_packet_when_it_leaves():
    draft = RtpPacketDraft(99, True, 7, 8, 9, HeaderExtensions(IDS, "0"), b"payload")
    assert draft.payload_bytes == 7
    assert parsed(draft.write(1_700_000_000.5, None)).extensions.abs_send_time == 1 << 17
    numbered = RtpPacketDraft(99, True, 7, 8, 9, HeaderExtensions({TRANSPORT_CC_URI: 4}, "0"), b"payload")
    assert numbered.write(0, 1)[12:] != numbered.write(0, 2)[12:]


@pytest.mark.parametrize("padding", [1, 2, 255])
def test_padding_is_what_another_stack_takes_off(padding):
    draft = RtpPacketDraft(100, False, 7, 8, 9, HeaderExtensions(IDS, "0"), b"", padding)
    assert draft.payload_bytes == padding
    read = parsed(draft.write(0, None))
    assert (read.payload, read.padding_size) == (b"", padding)
