"""Units packed for RTP, and packets read by aiortc's parser."""

from __future__ import annotations

from typing import Any

import pytest
from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters, RTCRtpParameters
from aiortc.rtp import HeaderExtensionsMap, RtpPacket, unpack_header_extensions

from framewire.frame import AccessUnit
from framewire.rtc.rtp.packets import (
    ABS_SEND_TIME,
    MAX_PAYLOAD,
    MID,
    PLAYOUT_DELAY,
    TRANSPORT_CC,
    Extensions,
    RtpPacketDraft,
    pack,
    packetise,
)

IDS = {MID: 1, ABS_SEND_TIME: 2, PLAYOUT_DELAY: 3}


def unit(codec, data):
    return AccessUnit(codec=codec, data=data, number=1, time_us=2, width=3, height=4)


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
    draft = RtpPacketDraft(99, True, 7, 8, 9, Extensions(IDS, "0"), b"payload")
    assert draft.payload_bytes == 7
    assert parsed(draft.write(1_700_000_000.5, None)).extensions.abs_send_time == 1 << 17
    numbered = RtpPacketDraft(99, True, 7, 8, 9, Extensions({TRANSPORT_CC: 4}, "0"), b"payload")
    assert numbered.write(0, 1)[12:] != numbered.write(0, 2)[12:]


@pytest.mark.parametrize("padding", [1, 2, 255])
def test_padding_is_what_another_stack_takes_off(padding):
    draft = RtpPacketDraft(100, False, 7, 8, 9, Extensions(IDS, "0"), b"", padding)
    assert draft.payload_bytes == padding
    read = parsed(draft.write(0, None))
    assert (read.payload, read.padding_size) == (b"", padding)
