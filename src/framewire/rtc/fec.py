"""Parity packets, from which a viewer restores what was lost without asking for it: FlexFEC-03. Must not know senders,
sockets or when protection pays.

After draft-ietf-payload-flexible-fec-scheme-03 §4.2, as browsers read it: one protected SSRC, a mask of up to 109
packets. Payloads are the same for all viewers of a unit, so their XOR is, too; headers differ and are XORed per viewer.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import xor

HEADER = 32
"""Octets of the longest FEC header."""
MOST_COVERED = 46
"""Packets that one block spans: what a mask of two words can name."""

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


@dataclass(frozen=True, slots=True)
class Protected:
    """What the headers of the protected packets have in common."""

    payload_type: int
    ssrc: int
    timestamp: int
    sequence: int
    """Of the unit's first packet."""
    extensions: bytes
    """The extension block. A transport-wide number in it may be any: it is of no use in a restored packet."""


def parities(payloads: Sequence[bytes], count: int) -> tuple[Parity, ...]:
    """At least ``count`` parities for a unit, and at most one for each packet. Those of one block cover every n-th
    packet, so that a burst of n losses leaves each of them one to restore."""
    blocks = -(-len(payloads) // MOST_COVERED)
    each = -(-min(count, len(payloads)) // blocks)
    made: list[Parity] = []
    for block in range(blocks):
        start, end = len(payloads) * block // blocks, len(payloads) * (block + 1) // blocks
        ways = min(each, end - start)
        # The first parity takes up where the packets end, so that a burst across both is one of neighbours, too.
        turns = [(end - start + way) % ways for way in range(ways)]
        made += [_parity(payloads, range(start + turn, end, ways)) for turn in turns]
    return tuple(made)


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


def fec_payload(parity: Parity, of: Protected) -> bytes:
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
