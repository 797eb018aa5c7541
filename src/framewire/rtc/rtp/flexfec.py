"""FlexFEC-03: parity packets, from which a viewer restores lost packets without asking for them. Must not know senders,
sockets or when protection pays.

After draft-ietf-payload-flexible-fec-scheme-03 §4.2, as browsers read it: one protected SSRC, a mask of up to 109
packets. All viewers of a unit get the same payloads, so their XOR is computed once. Headers differ by viewer.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from math import gcd
from operator import xor
from typing import Final, NamedTuple

MAX_COVERED_PACKETS: Final = 46
"""One block of packets is at most this long: a mask of two words can name so many, 15 and 31.

Source: draft-ietf-payload-flexible-fec-scheme-03 §4.2.2.1."""

SECOND_COVER_MIN_PARITIES: Final = 5
"""From this many parities on, some of them cover the packets a second time, in another order. With fewer, a second
cover is worth less than a longer first one.

Source: benchmark `lossy-100ms-3%`; pinned by
`tests/rtc/rtp/test_flexfec.py::test_a_burst_as_long_as_there_are_parities_is_restored` and
`tests/rtc/rtp/test_flexfec.py::test_two_losses_anywhere_are_restored_where_packets_are_covered_twice`."""

_FIXED = struct.Struct("!BBHLL")
_STREAM = struct.Struct("!LH")


@dataclass(frozen=True, slots=True)
class Parity:
    """The XOR of some payloads of a unit."""

    first: int
    """Index in the unit of the packet that `offsets` count from."""
    offsets: tuple[int, ...]
    lengths: tuple[int, ...]
    """Bytes of each payload."""
    payload: bytes
    """As long as the longest payload; the others count as zero behind their end."""
    marked: bool
    """Whether the unit's last packet, which has the marker, is among them."""


class Parities(NamedTuple):
    """What protects one unit: two covers, each of which covers each packet once."""

    first: tuple[Parity, ...]
    second: tuple[Parity, ...]


@dataclass(frozen=True, slots=True)
class SourceHeader:
    """What the RTP headers of the protected packets have in common."""

    payload_type: int
    ssrc: int
    timestamp: int
    sequence: int
    """Of the unit's first packet."""
    extensions: bytes
    """The extension block. Its transport-wide number may be any: nothing reads it in a restored packet."""


def interleaving_depths(count: int) -> tuple[int, int]:
    """How ``count`` parities share the two covers of a frame: n parities of one cover take every n-th packet each.

    The two numbers have no common divisor. So two packets that share a parity in one cover have different ones in the
    other, and what one parity restores lets the next restore more.
    """
    if count < SECOND_COVER_MIN_PARITIES:
        return count, 0
    second = next(n for n in range(count // 2, 0, -1) if gcd(n, count - n) == 1)
    return count - second, second


def parities(payloads: Sequence[bytes], count: int) -> Parities:
    """About ``count`` parities for a unit; in each cover at most one for each packet.

    In a cover of n, a burst of n losses leaves one packet for each parity to restore.
    """
    blocks = -(-len(payloads) // MAX_COVERED_PACKETS)
    bounds = [len(payloads) * block // blocks for block in range(blocks + 1)]
    first, second = (
        tuple(
            parity
            for start, end in pairwise(bounds)
            for parity in _cover(payloads, start, end, min(depth, end - start))
        )
        for depth in interleaving_depths(-(-count // blocks))
    )
    return Parities(first, second)


def _cover(payloads: Sequence[bytes], start: int, end: int, depth: int) -> Iterator[Parity]:
    for offset in range(depth):
        # The first parity continues where the packets end: a burst across both hits neighbours as well.
        yield _parity(payloads, range(start + (end - start + offset) % depth, end, depth))


def _parity(payloads: Sequence[bytes], indices: range) -> Parity:
    covered = [payloads[index] for index in indices]
    lengths = tuple(map(len, covered))
    # Little-endian, so that a shorter number has its zeros behind its end.
    total = reduce(xor, (int.from_bytes(payload, "little") for payload in covered))
    return Parity(
        first=indices[0],
        offsets=tuple(index - indices[0] for index in indices),
        lengths=lengths,
        payload=total.to_bytes(max(lengths), "little"),
        marked=indices[-1] == len(payloads) - 1,
    )


def fec_payload(parity: Parity, source: SourceHeader) -> bytes:
    """The RTP payload of a parity packet: the FEC header, then the XOR of all bytes after the fixed RTP header."""
    odd = len(parity.offsets) & 1
    extension = source.extensions if odd else bytes(len(source.extensions))
    fixed = _FIXED.pack(
        # In the first byte of each packet only the extension bit is set; the version's place must be zero.
        0x10 if odd else 0,
        (0x80 if parity.marked else 0) ^ (source.payload_type if odd else 0),
        reduce(xor, (length + len(source.extensions) for length in parity.lengths)),
        source.timestamp if odd else 0,
        1 << 24,
    )
    stream = _STREAM.pack(source.ssrc, (source.sequence + parity.first) & 0xFFFF)
    return b"".join((fixed, stream, _mask(parity.offsets), extension, parity.payload))


def _mask(offsets: Sequence[int]) -> bytes:
    """Words of 15, 31 and 63 bits; the bit before each says whether it is the last."""
    out = bytearray()
    start = 0
    for size in (2, 4, 8):
        bits = size * 8 - 1
        last = offsets[-1] < start + bits
        word = sum(1 << (bits - 1 - offset + start) for offset in offsets if start <= offset < start + bits)
        out += (word | (last << bits)).to_bytes(size)
        if last:
            break
        start += bits
    return bytes(out)
