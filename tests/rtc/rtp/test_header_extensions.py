"""Blocks of header extensions, read by aiortc."""

from __future__ import annotations

import pytest
from aiortc.rtp import unpack_header_extensions

from framewire.rtc.rtp.header_extensions import (
    ABS_SEND_TIME_URI,
    MID_URI,
    PLAYOUT_DELAY_URI,
    TRANSPORT_CC_URI,
    HeaderExtensions,
)

IDS = {MID_URI: 1, ABS_SEND_TIME_URI: 2, PLAYOUT_DELAY_URI: 3}


@pytest.mark.parametrize("mid", ["0", "12", "abc"])
def test_playout_delay_is_zero_to_zero(mid):
    block = HeaderExtensions(IDS, mid).block(0)
    assert int.from_bytes(block[2:4]) * 4 == len(block) - 4
    assert dict(unpack_header_extensions(0xBEDE, block[4:]))[3] == b"\0\0\0"


def test_what_was_not_negotiated_is_not_sent():
    assert HeaderExtensions({}, "0").block(5) == b"\xbe\xde\0\0"
    only_mid = HeaderExtensions({MID_URI: 4}, "0").block(5)
    assert unpack_header_extensions(0xBEDE, only_mid[4:]) == [(4, b"0")]


def test_a_number_for_feedback_takes_the_place_of_the_send_time():
    block = HeaderExtensions({**IDS, TRANSPORT_CC_URI: 4}, "0").block(5.5, 0xABCD)
    assert int.from_bytes(block[2:4]) * 4 == len(block) - 4
    read = dict(unpack_header_extensions(0xBEDE, block[4:]))
    assert read == {1: b"0", 3: b"\0\0\0", 4: b"\xab\xcd"}
    assert len(block) == len(HeaderExtensions(IDS, "0").block(5.5)), "no packet is longer for it"


def test_a_packet_without_a_number_has_number_0():
    block = HeaderExtensions({TRANSPORT_CC_URI: 4}, "0").block(5.5)
    assert dict(unpack_header_extensions(0xBEDE, block[4:])) == {4: b"\0\0"}


@pytest.mark.parametrize(("playout_delay_s", "shortest", "longest"), [(0.1, 10, 40), (0.5, 50, 80), (0.004, 0, 0)])
def test_the_maximum_playout_delay_is_300_ms_longer_than_the_minimum(playout_delay_s, shortest, longest):
    # 12 bits for each, in steps of 10 ms.
    block = HeaderExtensions({PLAYOUT_DELAY_URI: 3}, "0", playout_delay_s).block(0)
    value = int.from_bytes(dict(unpack_header_extensions(0xBEDE, block[4:]))[3])
    assert (value >> 12, value & 0xFFF) == (shortest, longest)


@pytest.mark.parametrize(
    ("now", "stamp"), [(1.0, 1 << 18), (63.75, (1 << 24) - (1 << 16)), (64.0, 0), (1_700_000_000 + 2**-18, 1)]
)
def test_the_send_time_is_24_bits_of_fixed_point_seconds(now, stamp):
    block = HeaderExtensions({ABS_SEND_TIME_URI: 2}, "0").block(now)
    assert dict(unpack_header_extensions(0xBEDE, block[4:])) == {2: stamp.to_bytes(3)}
