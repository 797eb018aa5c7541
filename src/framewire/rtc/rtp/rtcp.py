"""RTCP: reads the viewer's feedback, and writes sender reports. Must not know sockets, clocks or senders.

A parser of our own, because everything in it is untrusted input: a compound may hold packets that were never
negotiated, lengths that lie, or nothing at all. One bad packet must not cost the good one beside it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from framewire.frame import rtp_timestamp


class PacketType(IntEnum):
    """RTCP packet types (RFC 3550 §12.1, RFC 4585 §6.1)."""

    SR = 200
    RR = 201
    SDES = 202
    RTPFB = 205
    """Transport layer feedback."""
    PSFB = 206
    """Payload-specific feedback."""


class TransportFormat(IntEnum):
    """Formats of `PacketType.RTPFB` (RFC 4585 §6.2, draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1)."""

    NACK = 1
    TRANSPORT_CC = 15


class PayloadFormat(IntEnum):
    """Formats of `PacketType.PSFB` (RFC 4585 §6.3, RFC 5104 §4.3)."""

    PLI = 1
    FIR = 4
    APPLICATION = 15
    """Application layer feedback, such as REMB."""


MAX_TRANSPORT_CC_PER_COMPOUND: Final = 4
"""Of one compound, at most this many transport-wide feedback messages are read. A viewer sends one, and each takes
time to read.

Source: chosen by hand; pinned by
`tests/rtc/rtp/test_rtcp.py::test_four_transport_wide_feedback_messages_of_one_compound_are_read`."""

NTP_EPOCH_S: Final = 2_208_988_800
"""Seconds from 1900, where NTP time begins, to 1970.

Source: RFC 868."""

MAX_RTT_S: Final = 64
"""A longer round trip in a report is an overflow: the viewer's clock runs fast, and the difference is negative.

Source: chosen by hand; pinned by
`tests/rtc/rtp/test_rtcp.py::test_a_report_without_a_plausible_round_trip_has_none`."""


@dataclass(frozen=True, slots=True)
class Nack:
    """Packets of ``ssrc`` that did not arrive (RFC 4585 §6.2.1)."""

    ssrc: int
    sequences: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class KeyframeRequest:
    """PLI (RFC 4585 §6.3.1) or FIR (RFC 5104 §4.3.1)."""

    ssrc: int


@dataclass(frozen=True, slots=True)
class Remb:
    """Receiver estimated maximum bitrate of all ``ssrcs`` together (draft-alvestrand-rmcat-remb-03)."""

    bits_per_second: int
    ssrcs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ReceptionReport:
    """A report block (RFC 3550 §6.4.1)."""

    ssrc: int
    fraction_lost: float
    """Of the packets between the viewer's two newest reports, 0 to 1."""
    jitter: int
    """In units of the RTP clock."""
    last_sr: int
    """The middle 32 bits of the NTP timestamp in the newest sender report; 0 if none has arrived."""
    delay_since_sr: int
    """Since that report arrived, in units of 1/65536 s."""

    def rtt(self, now: float) -> float | None:
        """The round trip in seconds, if the report holds one. ``now`` is in seconds since the Unix epoch."""
        if not self.last_sr:
            return None
        ticks = ((ntp(now) >> 16) - self.last_sr - self.delay_since_sr) & 0xFFFFFFFF
        return None if ticks >= MAX_RTT_S << 16 else ticks / 65536


@dataclass(frozen=True, slots=True)
class TransportCcFeedback:
    """Transport-wide feedback, not yet read: `twcc` does that."""

    fci: bytes


Feedback = Nack | KeyframeRequest | Remb | ReceptionReport | TransportCcFeedback


def parse(compound: bytes) -> list[Feedback]:
    """All feedback in an RTCP compound that can be understood. Never raises, whatever the bytes."""
    found = [item for kind, count, body in _packets(compound) for item in _feedback(kind, count, body)]
    spare = {
        id(item)
        for item in [each for each in found if isinstance(each, TransportCcFeedback)][MAX_TRANSPORT_CC_PER_COMPOUND:]
    }
    return [item for item in found if id(item) not in spare]


def _packets(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Type, count (or format) and body without padding of each packet, up to the first whose length is wrong."""
    at = 0
    while at + 4 <= len(data):
        first, kind, words = struct.unpack_from("!BBH", data, at)
        end = at + 4 + 4 * words
        if first >> 6 != 2 or end > len(data):
            return
        body = data[at + 4 : end]
        if first & 0x20:
            if not body or not 0 < body[-1] <= len(body):
                return
            body = body[: -body[-1]]
        yield kind, first & 31, body
        at = end


def _feedback(kind: int, count: int, body: bytes) -> Iterator[Feedback]:
    if kind == PacketType.RR:
        yield from _reports(body[4:], count)
    elif kind == PacketType.SR:
        yield from _reports(body[24:], count)
    elif len(body) < 8:
        return
    elif (kind, count) == (PacketType.RTPFB, TransportFormat.NACK):
        yield from _nack(body)
    elif (kind, count) == (PacketType.RTPFB, TransportFormat.TRANSPORT_CC):
        yield TransportCcFeedback(body[8:])
    elif (kind, count) == (PacketType.PSFB, PayloadFormat.PLI):
        yield KeyframeRequest(_u32(body, 4))
    elif (kind, count) == (PacketType.PSFB, PayloadFormat.FIR):
        yield from (KeyframeRequest(_u32(body, at)) for at in range(8, len(body) - 7, 8))
    elif (kind, count) == (PacketType.PSFB, PayloadFormat.APPLICATION):
        yield from _remb(body)


def _reports(blocks: bytes, count: int) -> Iterator[ReceptionReport]:
    for at in range(0, min(24 * count, len(blocks) - 23), 24):
        ssrc, lost, _, jitter, last_sr, delay = struct.unpack_from("!LLLLLL", blocks, at)
        yield ReceptionReport(ssrc, (lost >> 24) / 256, jitter, last_sr, delay)


def _nack(body: bytes) -> Iterator[Nack]:
    lost: list[int] = []
    for at in range(8, len(body) - 3, 4):
        first, following = struct.unpack_from("!HH", body, at)
        lost.append(first)
        lost.extend((first + 1 + bit) & 0xFFFF for bit in range(16) if following >> bit & 1)
    if lost:
        yield Nack(_u32(body, 4), tuple(lost))


def _remb(body: bytes) -> Iterator[Remb]:
    if len(body) < 16 or body[8:12] != b"REMB":
        return
    named = min(body[12], (len(body) - 16) // 4)
    mantissa = _u32(body, 12) & 0x3FFFF
    yield Remb(mantissa << (body[13] >> 2), struct.unpack_from(f"!{named}L", body, 16))


def _u32(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4])


def ntp(now: float) -> int:
    """Seconds since the Unix epoch as a 64-bit NTP timestamp."""
    seconds = int(now)
    return (seconds + NTP_EPOCH_S << 32 | int((now - seconds) * (1 << 32))) & 0xFFFFFFFFFFFFFFFF


def sender_report(ssrc: int, now: float, sent: tuple[int, int], cname: bytes) -> bytes:
    """SR and SDES (RFC 3550 §6.4.1, §6.5) of a sender that has ``sent`` so many packets and payload bytes.

    The report pairs an NTP and an RTP timestamp of one moment, so that the viewer knows the wall-clock time of each
    frame. Any moment will do: the RTP clock is the wall clock at another rate."""
    stamp = rtp_timestamp(int(now * 1_000_000))
    report = struct.pack("!LQLLL", ssrc, ntp(now), stamp, *(count & 0xFFFFFFFF for count in sent))
    chunk = struct.pack("!LBB", ssrc, 1, len(cname)) + cname
    # At least one null byte ends the chunk, then up to the next word.
    chunk += bytes(4 - len(chunk) % 4)
    return _packet(PacketType.SR, 0, report) + _packet(PacketType.SDES, 1, chunk)


def _packet(kind: int, count: int, body: bytes) -> bytes:
    return struct.pack("!BBH", 0x80 | count, kind, len(body) // 4) + body
