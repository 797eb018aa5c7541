"""One access unit as RTP payloads, and the RTP header around them. Must not know sockets or viewers."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

from framewire.codecs import CODECS, load
from framewire.frame import AccessUnit
from framewire.rtc.rtp.flexfec import Parities, parities

MAX_PAYLOAD = 1128
"""Bytes of the longest payload. With RTP header and extensions (36), FEC header and the extensions it protects
(48), SRTP tag (16), UDP and IPv6 headers (48) a packet stays below 1280 bytes, the smallest MTU of IPv6
(RFC 8200 §5)."""

MID = "urn:ietf:params:rtp-hdrext:sdes:mid"
ABS_SEND_TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
PLAYOUT_DELAY = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay"
TRANSPORT_CC = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"

HELD_AT_MOST = 30
"""Hundredths of a second that a viewer may hold frames beyond the least: jitter adds to it."""

_HEADER = struct.Struct("!BBHLL")


@dataclass(frozen=True, slots=True)
class RtpUnit:
    """An access unit and its RTP payloads, shared by every viewer of the encoding."""

    unit: AccessUnit
    payloads: tuple[bytes, ...]
    _parities: dict[int, Parities] = field(default_factory=dict, compare=False, repr=False)

    def parities(self, count: int) -> Parities:
        """About ``count`` parities of the payloads, made once for all viewers that get so many."""
        if count not in self._parities:
            self._parities[count] = parities(self.payloads, count)
        return self._parities[count]


def pack(unit: AccessUnit) -> RtpUnit:
    """The unit with its payloads. Once per unit, however many viewers there are."""
    return RtpUnit(unit, packetise(unit))


def packetise(unit: AccessUnit, max_payload: int = MAX_PAYLOAD) -> tuple[bytes, ...]:
    """The RTP payloads of a video unit, made by its codec's packetiser."""
    spec = CODECS.get(unit.codec)
    assert spec is not None, "lossless units travel over the WebSocket"
    return tuple(load(spec.packetiser)(unit.data, max_payload))


class Extensions:
    """The header extension block (RFC 8285, one-byte form) of one sender.

    Playout delay 0/0 asks the viewer to show frames as they come: the only switch to Chromium's low-latency
    path. A transport-wide sequence number is what the viewer gives feedback on; without it, the absolute send
    time feeds its own estimate. Never both: libwebrtc looks at the number first, and then at nothing else.
    """

    def __init__(self, ids: Mapping[str, int], mid: str, hold: float = 0.0) -> None:
        """``ids`` are the negotiated extension ids by URI; those missing are not sent. The viewer shall hold each frame
        back for ``hold`` seconds at least."""
        block = b""
        if MID in ids and mid:
            block += _element(ids[MID], mid.encode())
        if PLAYOUT_DELAY in ids:
            least = round(hold * 100)
            most = least + HELD_AT_MOST if least else 0
            block += _element(ids[PLAYOUT_DELAY], (least << 12 | most).to_bytes(3))
        self._numbered = TRANSPORT_CC in ids
        self._timed = ABS_SEND_TIME in ids and not self._numbered
        length = len(block) + (4 if self._timed else 0) + (3 if self._numbered else 0)
        padded = (length + 3) & ~3
        self._head = struct.pack("!HH", 0xBEDE, padded // 4) + block
        if self._numbered:
            self._head += bytes([ids[TRANSPORT_CC] << 4 | 1])
        elif self._timed:
            self._head += bytes([ids[ABS_SEND_TIME] << 4 | 2])
        self._tail = bytes(padded - length)

    def block(self, now: float, transport_sequence: int | None = None) -> bytes:
        """The block for a packet leaving at ``now`` (seconds since the Unix epoch) under this number."""
        if self._numbered:
            return self._head + (transport_sequence or 0).to_bytes(2) + self._tail
        if not self._timed:
            return self._head + self._tail
        # 24 bits of seconds, 6 before and 18 after the point.
        stamp = int(now * (1 << 18)) & 0xFFFFFF
        return self._head + stamp.to_bytes(3) + self._tail


def _element(id: int, value: bytes) -> bytes:
    return bytes([id << 4 | len(value) - 1]) + value


@dataclass(frozen=True, slots=True)
class RtpOrigin:
    """Where an RTP stream begins: its SSRC, and the sequence number of its first packet."""

    ssrc: int
    sequence: int


@dataclass(slots=True)
class RtpPacketDraft:
    """A packet without what is known only when it leaves: its extensions."""

    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int
    extensions: Extensions
    payload: bytes
    padding: int = 0
    """Bytes of padding behind the payload, at most 255."""

    @property
    def payload_bytes(self) -> int:
        """Bytes of payload, padding included."""
        return len(self.payload) + self.padding

    def write(self, now: float, transport_sequence: int | None) -> bytes:
        """The packet, leaving at ``now`` under this transport-wide number."""
        # RFC 3550 §5.1, version 2 with an extension block.
        first = 0xB0 if self.padding else 0x90
        second = self.payload_type | 0x80 if self.marker else self.payload_type
        header = _HEADER.pack(first, second, self.sequence, self.timestamp, self.ssrc)
        packet = b"".join((header, self.extensions.block(now, transport_sequence), self.payload))
        return packet + bytes(self.padding - 1) + bytes([self.padding]) if self.padding else packet
