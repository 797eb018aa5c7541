"""RTCP both ways: what the viewer says, and sender reports. Must not know sockets, clocks or senders.

A parser of our own, because everything in it is bad input: a compound may hold kinds we never negotiated,
lengths that lie, or nothing at all, and one rubbish packet must not cost the good one beside it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from framewire.frame import rtp_timestamp

SR, RR, SDES, BYE, RTPFB, PSFB = 200, 201, 202, 203, 205, 206
NACK, TRANSPORT_CC = 1, 15
PLI, FIR, APPLICATION = 1, 4, 15

MAX_TRANSPORT_CC_PER_COMPOUND = 4
"""Messages about packets that are read of one compound; a viewer sends one. Each is work."""
NTP_EPOCH = 2_208_988_800
"""Seconds from 1900 to 1970."""


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
    """A reception report block (RFC 3550 §6.4.1)."""

    ssrc: int
    loss: float
    jitter: int
    last_sr: int
    delay_since_sr: int

    def rtt(self, now: float) -> float | None:
        """Seconds to the viewer and back, if this report says: ``now`` is in seconds since the Unix epoch."""
        if not self.last_sr:
            return None
        ticks = ((ntp(now) >> 16) - self.last_sr - self.delay_since_sr) & 0xFFFFFFFF
        # The difference wraps; a viewer's clock that runs fast makes it slightly negative.
        return None if ticks >= 1 << 22 else ticks / 65536


@dataclass(frozen=True, slots=True)
class TransportCcFeedback:
    """When which packet of the whole connection arrived, not yet read (`twcc`)."""

    fci: bytes


Feedback = Nack | KeyframeRequest | Remb | ReceptionReport | TransportCcFeedback


def parse(compound: bytes) -> list[Feedback]:
    """All feedback in an RTCP compound that can be understood. Never raises."""
    found = [item for kind, count, body in _packets(compound) for item in _feedback(kind, count, body)]
    spare = {
        id(item)
        for item in [each for each in found if isinstance(each, TransportCcFeedback)][MAX_TRANSPORT_CC_PER_COMPOUND:]
    }
    return [item for item in found if id(item) not in spare]


def _packets(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Kind, count (or format) and body without padding of each packet, up to the first that lies."""
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
    if kind == RR:
        yield from _reports(body[4:], count)
    elif kind == SR:
        yield from _reports(body[24:], count)
    elif len(body) < 8:
        return
    elif (kind, count) == (RTPFB, NACK):
        yield from _nack(body)
    elif (kind, count) == (RTPFB, TRANSPORT_CC):
        yield TransportCcFeedback(body[8:])
    elif (kind, count) == (PSFB, PLI):
        yield KeyframeRequest(_u32(body, 4))
    elif (kind, count) == (PSFB, FIR):
        yield from (KeyframeRequest(_u32(body, at)) for at in range(8, len(body) - 7, 8))
    elif (kind, count) == (PSFB, APPLICATION):
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
    return (seconds + NTP_EPOCH << 32 | int((now - seconds) * (1 << 32))) & 0xFFFFFFFFFFFFFFFF


def sender_report(ssrc: int, now: float, sent: tuple[int, int], cname: bytes) -> bytes:
    """SR and SDES (RFC 3550 §6.4.1, §6.5) of a sender that has ``sent`` so many packets and payload octets.

    The RTP clock is the wall clock at another rate, so any moment does for the pair of timestamps that
    lets the viewer name the wall-clock time of a frame."""
    stamp = rtp_timestamp(int(now * 1_000_000))
    report = struct.pack("!LQLLL", ssrc, ntp(now), stamp, *(count & 0xFFFFFFFF for count in sent))
    chunk = struct.pack("!LBB", ssrc, 1, len(cname)) + cname
    # At least one null octet ends the chunk, then up to the next word.
    chunk += bytes(4 - len(chunk) % 4)
    return _packet(SR, 0, report) + _packet(SDES, 1, chunk)


def _packet(kind: int, count: int, body: bytes) -> bytes:
    return struct.pack("!BBH", 0x80 | count, kind, len(body) // 4) + body
