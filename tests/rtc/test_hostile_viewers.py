"""Whatever comes from the viewer's address, by the viewer or by a forger, the peer goes on."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from framewire.rtc.rtp import rtcp
from tests.rtc.linksim import feedback
from tests.rtc.live_pair import LivePair

MUTATIONS = 100_000


@pytest.fixture
async def pair(loopback):
    pair = await LivePair.open(feedback=True)
    yield pair
    await pair.close()


def packet(kind: int, count: int, body: bytes) -> bytes:
    return bytes([0x80 | count, kind]) + (len(body) // 4).to_bytes(2) + body


def compounds(ssrc: int) -> list[bytes]:
    """One of each kind of RTCP that a viewer sends."""
    names = bytes(4) + ssrc.to_bytes(4)
    return [
        packet(rtcp.PacketType.RR, 1, bytes(4) + ssrc.to_bytes(4) + bytes(20)),
        packet(rtcp.PacketType.SR, 1, bytes(24) + ssrc.to_bytes(4) + bytes(20)),
        packet(rtcp.PacketType.PSFB, rtcp.PayloadFormat.PLI, names),
        packet(rtcp.PacketType.PSFB, rtcp.PayloadFormat.FIR, names + ssrc.to_bytes(4) + bytes(4)),
        packet(rtcp.PacketType.RTPFB, rtcp.TransportFormat.NACK, names + b"\0\7\xff\xff" * 8),
        packet(rtcp.PacketType.PSFB, 15, bytes(8) + b"REMB\1\x2c\xff\xff" + ssrc.to_bytes(4)),
        packet(rtcp.PacketType.RTPFB, 15, names + feedback(5, [0.0, None, 0.1, 0.2, None, 0.3], 1)),
    ]


def mutated(rng: random.Random, data: bytes) -> bytearray:
    """A few bytes changed, repeated or cut off."""
    changed = bytearray(data)
    for _ in range(rng.randrange(1, 4)):
        changed[rng.randrange(len(changed))] = rng.randrange(256)
    if rng.random() < 0.2:
        changed += changed[: rng.randrange(1, len(changed))]
    if rng.random() < 0.2:
        del changed[rng.randrange(8, len(changed)) :]
    return changed


def mutations(pair: LivePair, count: int) -> Iterator[bytes]:
    """SRTCP whose content is mutated, SRTCP that is mutated itself, and SRTP."""
    rng = random.Random(19)
    plain = compounds(pair.ssrc)
    sealed = [pair.rtcp(compound) for compound in plain]
    for number in range(count):
        if number % 10 < 7:
            yield pair.rtcp(bytes(mutated(rng, plain[number % len(plain)])))
        elif number % 10 < 9:
            yield bytes(mutated(rng, sealed[number % len(sealed)]))
        else:
            yield pair.rtp(b"\x80\x63" + number.to_bytes(4)[2:] + bytes(8) + bytes(mutated(rng, bytes(60))))


async def test_a_hundred_thousand_mutated_packets_of_the_viewer_stop_nothing(pair):
    await pair.inject_all(mutations(pair, MUTATIONS))
    assert await pair.still_shows(60)
