"""Parity packets, from which a viewer restores what was lost without asking for it: FlexFEC-03. Must not know senders,
sockets or when protection pays.

After draft-ietf-payload-flexible-fec-scheme-03 §4.2, as browsers read it: one protected SSRC, a mask of up to 109
packets. Payloads are the same for all viewers of a unit, so their XOR is, too; headers differ and are XORed per viewer.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from math import gcd
from operator import xor
from typing import NamedTuple

HEADER = 32
"""Octets of the longest FEC header."""
MAX_COVERED_PACKETS = 46
"""Packets that one block spans: what a mask of two words can name."""

SECOND_COVER_MIN_PARITIES = 5
"""Parities from which some of them cover the packets in another order."""

_FIXED = struct.Struct("!BBHLL")
_STREAM = struct.Struct("!LH")


@dataclass(frozen=True, slots=True)
class Parity:
    """The XOR of some payloads of a unit."""

    first: int
    """Index in the unit of the packet that `offsets` count from."""
    offsets: tuple[int, ...]
    lengths: tuple[int, ...]
    """Octets of each payload."""
    payload: bytes
    """As long as the longest; the others count as zero behind their end."""
    marked: bool
    """Whether the unit's last packet, the one with the marker, is among them."""


class Parities(NamedTuple):
    """What protects one unit, in two turns: each packet is covered once by each."""

    first: tuple[Parity, ...]
    second: tuple[Parity, ...]


@dataclass(frozen=True, slots=True)
class SourceHeader:
    """What the headers of the protected packets have in common."""

    payload_type: int
    ssrc: int
    timestamp: int
    sequence: int
    """Of the unit's first packet."""
    extensions: bytes
    """The extension block. A transport-wide number in it may be any: it is of no use in a restored packet."""


def interleaving_depths(count: int) -> tuple[int, int]:
    """How ``count`` parities cover a frame: so many that take every n-th packet each, and so many that do once more.

    The two share no divisor: two packets that meet in one turn are apart in the other, and what one parity restores
    lets the next restore more. Of few the second turn would be worth less than a longer first one.
    """
    if count < SECOND_COVER_MIN_PARITIES:
        return count, 0
    second = next(n for n in range(count // 2, 0, -1) if gcd(n, count - n) == 1)
    return count - second, second


def parities(payloads: Sequence[bytes], count: int) -> Parities:
    """About ``count`` parities for a unit, in each turn at most one for each packet. Those of one turn of n cover
    every n-th packet of a block, so that a burst of n losses leaves each of them one to restore."""
    blocks = -(-len(payloads) // MAX_COVERED_PACKETS)
    bounds = [len(payloads) * block // blocks for block in range(blocks + 1)]
    first, second = (
        tuple(
            parity for start, end in pairwise(bounds) for parity in _turn(payloads, start, end, min(ways, end - start))
        )
        for ways in interleaving_depths(-(-count // blocks))
    )
    return Parities(first, second)


def _turn(payloads: Sequence[bytes], start: int, end: int, ways: int) -> Iterator[Parity]:
    for way in range(ways):
        # The first parity takes up where the packets end, so that a burst across both is one of neighbours, too.
        yield _parity(payloads, range(start + (end - start + way) % ways, end, ways))


def _parity(payloads: Sequence[bytes], indices: range) -> Parity:
    covered = [payloads[index] for index in indices]
    lengths = tuple(map(len, covered))
    # Little-endian, as a shorter number then has its zeros behind its end.
    total = reduce(xor, (int.from_bytes(payload, "little") for payload in covered))
    return Parity(
        first=indices[0],
        offsets=tuple(index - indices[0] for index in indices),
        lengths=lengths,
        payload=total.to_bytes(max(lengths), "little"),
        marked=indices[-1] == len(payloads) - 1,
    )


def fec_payload(parity: Parity, of: SourceHeader) -> bytes:
    """The RTP payload of the parity packet: FEC header, then the XOR of what follows the first 12 octets of each."""
    odd = len(parity.offsets) & 1
    extension = of.extensions if odd else bytes(len(of.extensions))
    fixed = _FIXED.pack(
        # Of the first octet the extension bit alone is set in all; the version's place must be zero.
        0x10 if odd else 0,
        (0x80 if parity.marked else 0) ^ (of.payload_type if odd else 0),
        reduce(xor, (length + len(of.extensions) for length in parity.lengths)),
        of.timestamp if odd else 0,
        1 << 24,
    )
    stream = _STREAM.pack(of.ssrc, (of.sequence + parity.first) & 0xFFFF)
    return b"".join((fixed, stream, _mask(parity.offsets), extension, parity.payload))


def _mask(offsets: Sequence[int]) -> bytes:
    """15 bits, then 31, then 63; the bit before each says whether it is the last."""
    out = bytearray()
    start = 0
    for octets in (2, 4, 8):
        bits = octets * 8 - 1
        last = offsets[-1] < start + bits
        word = sum(1 << (bits - 1 - offset + start) for offset in offsets if start <= offset < start + bits)
        out += (word | (last << bits)).to_bytes(octets)
        if last:
            break
        start += bits
    return bytes(out)
