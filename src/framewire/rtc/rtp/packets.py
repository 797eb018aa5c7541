"""One access unit as RTP payloads, and the RTP header around each. Must not know sockets or viewers."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Final

from framewire.codecs import CODECS, load
from framewire.frame import AccessUnit
from framewire.rtc.rtp.flexfec import Parities, parities
from framewire.rtc.rtp.header_extensions import HeaderExtensions

MAX_PAYLOAD_BYTES: Final = 1128
"""The longest RTP payload: no datagram is longer than 1280 bytes, the smallest MTU of IPv6.

To the payload come the RTP header and its extensions (36), a FEC header and the extensions that it protects (48), the
SRTP tag (16), and the UDP and IPv6 headers (48).
Source: RFC 8200 §5."""

_HEADER: Final = struct.Struct("!BBHLL")
"""The fixed RTP header (RFC 3550 §5.1)."""


@dataclass(frozen=True, slots=True)
class RtpUnit:
    """An access unit and its RTP payloads, shared by every viewer of the encoding."""

    unit: AccessUnit
    payloads: tuple[bytes, ...]
    _parities: dict[int, Parities] = field(default_factory=dict, compare=False, repr=False)

    def parities(self, count: int) -> Parities:
        """About ``count`` parities of the payloads, made once for all viewers that need so many."""
        if count not in self._parities:
            self._parities[count] = parities(self.payloads, count)
        return self._parities[count]


def pack(unit: AccessUnit) -> RtpUnit:
    """The unit with its payloads. Once per unit, however many viewers there are."""
    return RtpUnit(unit, packetise(unit))


def packetise(unit: AccessUnit, max_payload: int = MAX_PAYLOAD_BYTES) -> tuple[bytes, ...]:
    """The RTP payloads of a video unit, made by its codec's packetiser."""
    spec = CODECS.get(unit.codec)
    assert spec is not None, "lossless units travel over the WebSocket"
    return tuple(load(spec.packetiser)(unit.data, max_payload))


@dataclass(frozen=True, slots=True)
class RtpOrigin:
    """Where an RTP stream begins: its SSRC, and the sequence number of its first packet."""

    ssrc: int
    sequence: int


@dataclass(slots=True)
class RtpPacketDraft:
    """A packet without what is known only when it leaves: send time and transport-wide number."""

    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int
    extensions: HeaderExtensions
    payload: bytes
    padding: int = 0
    """Bytes of padding behind the payload, at most 255."""

    @property
    def payload_bytes(self) -> int:
        """Bytes of payload, padding included."""
        return len(self.payload) + self.padding

    def write(self, now: float, transport_sequence: int | None) -> bytes:
        """The packet as it leaves at ``now`` under this transport-wide number."""
        # RFC 3550 §5.1: version 2 with an extension block; the padding's last byte counts the padding.
        first = 0xB0 if self.padding else 0x90
        second = self.payload_type | 0x80 if self.marker else self.payload_type
        header = _HEADER.pack(first, second, self.sequence, self.timestamp, self.ssrc)
        packet = b"".join((header, self.extensions.block(now, transport_sequence), self.payload))
        return packet + bytes(self.padding - 1) + bytes([self.padding]) if self.padding else packet
