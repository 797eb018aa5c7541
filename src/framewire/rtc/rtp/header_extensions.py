"""RTP header extensions (RFC 8285) that this package sends. Must not know packets, sockets or viewers."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final

MID_URI: Final = "urn:ietf:params:rtp-hdrext:sdes:mid"
"""Names the media section of a packet (RFC 9143 §15)."""
ABS_SEND_TIME_URI: Final = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
"""When a packet left: the viewer estimates its bandwidth from it."""
PLAYOUT_DELAY_URI: Final = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay"
"""For how long the viewer holds frames back. 0/0 is the only switch to Chromium's low-latency path."""
TRANSPORT_CC_URI: Final = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
"""The transport-wide sequence number that the viewer gives feedback on."""

PLAYOUT_DELAY_SPREAD_S: Final = 0.3
"""The maximum playout delay is this much longer than the minimum, as jitter needs more.

Source: chosen by hand; pinned by
`tests/rtc/rtp/test_header_extensions.py::test_the_maximum_playout_delay_is_300_ms_longer_than_the_minimum`."""

_ONE_BYTE_HEADERS: Final = 0xBEDE
"""What a block of extensions in the one-byte form begins with.

Source: RFC 8285 §4.2."""
_PLAYOUT_DELAY_STEPS_PER_S: Final = 100
"""The unit of a playout delay is 10 ms.

Source: libwebrtc `docs/native-code/rtp-hdrext/playout-delay`."""
_PLAYOUT_DELAY_BITS: Final = 12
"""The minimum and the maximum have this many bits each.

Source: libwebrtc `docs/native-code/rtp-hdrext/playout-delay`."""
_SEND_TIME_STEPS_PER_S: Final = 1 << 18
"""The send time has 24 bits of seconds: 6 before and 18 after the point.

Source: libwebrtc `docs/native-code/rtp-hdrext/abs-send-time`."""


class HeaderExtensions:
    """The block of header extensions of one sender, in the one-byte form.

    Packets carry either a transport-wide sequence number or the absolute send time. Of both, libwebrtc would look at
    the number alone.
    """

    def __init__(self, ids: Mapping[str, int], mid: str, playout_delay_s: float = 0.0) -> None:
        """``ids`` are the negotiated extension ids by URI; an extension without one is not sent. The viewer is asked to
        hold each frame back for at least ``playout_delay_s``."""
        block = b""
        if MID_URI in ids and mid:
            block += _element(ids[MID_URI], mid.encode())
        if PLAYOUT_DELAY_URI in ids:
            block += _element(ids[PLAYOUT_DELAY_URI], _playout_delay(playout_delay_s))
        self._numbered = TRANSPORT_CC_URI in ids
        self._timed = ABS_SEND_TIME_URI in ids and not self._numbered
        length = len(block) + (4 if self._timed else 0) + (3 if self._numbered else 0)
        padded = (length + 3) & ~3
        self._head = struct.pack("!HH", _ONE_BYTE_HEADERS, padded // 4) + block
        if self._numbered:
            self._head += bytes([ids[TRANSPORT_CC_URI] << 4 | 1])
        elif self._timed:
            self._head += bytes([ids[ABS_SEND_TIME_URI] << 4 | 2])
        self._tail = bytes(padded - length)

    def block(self, now: float, transport_sequence: int | None = None) -> bytes:
        """The block of a packet that leaves at ``now`` (seconds since the Unix epoch) under this number."""
        if self._numbered:
            return self._head + (transport_sequence or 0).to_bytes(2) + self._tail
        if not self._timed:
            return self._head + self._tail
        send_time = int(now * _SEND_TIME_STEPS_PER_S) & 0xFFFFFF
        return self._head + send_time.to_bytes(3) + self._tail


def _playout_delay(min_s: float) -> bytes:
    shortest = round(min_s * _PLAYOUT_DELAY_STEPS_PER_S)
    longest = shortest + round(PLAYOUT_DELAY_SPREAD_S * _PLAYOUT_DELAY_STEPS_PER_S) if shortest else 0
    return (shortest << _PLAYOUT_DELAY_BITS | longest).to_bytes(3)


def _element(id: int, value: bytes) -> bytes:
    return bytes([id << 4 | len(value) - 1]) + value
