"""VP8 payloads, put together again by aiortc's depacketiser."""

from __future__ import annotations

import pytest
from aiortc.codecs.vpx import vp8_depayload

from framewire.rtc.rtp.vp8 import packetise

LIMIT = 100


@pytest.mark.parametrize("size", [1, LIMIT - 1, LIMIT, 2 * (LIMIT - 1), 2 * (LIMIT - 1) + 1, 7777])
def test_a_frame_of_any_length_survives(size):
    data = bytes(i % 251 for i in range(size))
    payloads = list(packetise(data, LIMIT))
    assert b"".join(map(vp8_depayload, payloads)) == data
    assert len(payloads) == -(-size // (LIMIT - 1))
    assert max(map(len, payloads)) <= LIMIT


def test_only_the_first_payload_starts_a_partition():
    # RFC 7741 §4.2: the S bit; no extension, and partition 0.
    first, *others = packetise(bytes(3 * LIMIT), LIMIT)
    assert first[0] == 0x10
    assert [payload[0] for payload in others] == [0, 0, 0]
