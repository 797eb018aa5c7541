"""Whatever comes from the viewer's address, by the viewer or by a forger, the peer goes on."""

from __future__ import annotations

import asyncio
import logging
import random
import socket
from collections.abc import Callable, Iterator
from functools import partial

import aioice.stun
import pytest

from framewire.rtc.events import PeerState
from framewire.rtc.rtp import rtcp
from framewire.rtc.stack.ice import MAX_QUEUED_DATAGRAMS
from tests.rtc.linksim import feedback
from tests.rtc.live_pair import VIDEO, LivePair
from tests.rtc.viewers import Stage

MUTATIONS = 100_000


@pytest.fixture
async def pair(loopback, caplog):
    """A live pair. Nothing that a test sends may be worth a line in the user's log."""
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
    pair = await LivePair.open(feedback=True)
    yield pair
    await pair.close()
    assert complaints == []
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


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


def record(kind: int, epoch: int, body: bytes) -> bytes:
    """A DTLS record that is not encrypted."""
    return bytes([kind]) + b"\xfe\xfd" + epoch.to_bytes(2) + bytes(6) + len(body).to_bytes(2) + body


def too_long(pair: LivePair) -> list[bytes]:
    return [
        bytes([first, second]).ljust(length, b"\0")
        for first, second in ((128, 200), (128, 99), (191, 255), (22, 254), (23, 254), (0, 1))
        for length in (1501, 1502, 9000, 65_000)
    ]


def too_short(pair: LivePair) -> list[bytes]:
    pairs = [bytes([first, second]) for first in (0, 3, 20, 22, 63, 128, 144, 191, 255) for second in range(0, 256, 15)]
    return [b"", *(bytes([first]) for first in range(256)), *pairs]


def cut_off(pair: LivePair) -> list[bytes]:
    sealed = [*map(pair.rtcp, compounds(pair.ssrc)), pair.rtp(b"\x80\x63" + bytes(40))]
    return [each[:length] for each in sealed for length in range(len(each))]


def dtls_records(pair: LivePair) -> list[bytes]:
    """Of each content type and some that do not exist: alerts that end a connection among them."""
    bodies = (b"", b"\1", b"\2\x28", b"\1\0", b"\1\0\0\x28" + bytes(4) + b"\0\0\0\x28" + bytes(40), bytes(1400))
    return [
        record(kind, epoch, body)
        for kind in (20, 21, 22, 23, 24, 25, 26, 63)
        for epoch in (0, 1, 2, 0xFFFF)
        for body in bodies
    ]


def data_of_the_viewer(pair: LivePair) -> list[bytes]:
    """As for a data channel, rightly encrypted; several records in a datagram, too."""
    return [pair.dtls(b"x" * 1000) for _ in range(20)] + [b"".join(pair.dtls(b"x") for _ in range(30))] * 20


def stun(pair: LivePair, *, password: str | None = None, **attributes: object) -> bytes:
    """A check of the pair, as the viewer's."""
    connection = pair.transport.connection
    message = aioice.stun.Message(aioice.stun.Method.BINDING, aioice.stun.Class.REQUEST)
    message.attributes["USERNAME"] = f"{connection.local_username}:{connection.remote_username}"
    message.attributes.update({name.replace("_", "-"): value for name, value in attributes.items()})
    message.add_message_integrity((password or connection.local_password).encode())
    return bytes(message)


def stun_messages(pair: LivePair) -> list[bytes]:
    """Not signed, wrongly signed, and rightly signed with attributes that are missing, cut off or wrong."""
    prefix, rng = pair.transport.connection.username_prefix, random.Random(5)
    valid = stun(pair, PRIORITY=1, ICE_CONTROLLED=7)
    header, body = valid[:20], valid[20:]
    made = [valid, stun(pair), stun(pair, password="x" * 22, PRIORITY=1), stun(pair, PRIORITY=1, USE_CANDIDATE=None)]
    made += [stun(pair, PRIORITY=1, ICE_CONTROLLING=number) for number in (0, 2**64 - 1)]
    made += [valid[:length] for length in range(len(valid))]
    made += [header[:1] + bytes([kind]) + header[2:] + body for kind in range(0, 256, 3)]
    for number in (1, 6, 8, 9, 0x0C, 0x12, 0x20, 0x24, 0x25, 0x8022, 0x8028, 0x8029, 0x802A, 0x802B, 0xFFFF):
        for value in (b"", b"\1", b"\0\2\xff", b"\xff" * 8):
            odd = number.to_bytes(2) + len(value).to_bytes(2) + value.ljust(-len(value) % 4 + len(value), b"\0")
            named = b"\0\6" + (len(prefix) + 4).to_bytes(2) + (prefix + b"four")
            named = named.ljust(-len(named) % 4 + len(named), b"\0") + odd
            made.append(header[:2] + len(named).to_bytes(2) + header[4:] + named)
    return made + [bytes([0, *mutated(rng, valid)[1:]]) for _ in range(300)]


ATTACKS: list[Callable[[LivePair], list[bytes]]] = [
    too_long,
    too_short,
    cut_off,
    dtls_records,
    data_of_the_viewer,
    stun_messages,
]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
async def test_no_datagram_from_the_viewers_address_ends_its_peer(pair, attack):
    await pair.send_all(attack(pair))
    assert await pair.still_shows(60)


async def test_a_tampered_or_repeated_packet_of_feedback_changes_nothing(pair):
    sealed = pair.rtcp(packet(rtcp.PacketType.PSFB, rtcp.PayloadFormat.PLI, bytes(4) + pair.ssrc.to_bytes(4)))
    tampered = [
        sealed[:at] + bytes([sealed[at] ^ 1 << bit]) + sealed[at + 1 :] for at in range(len(sealed)) for bit in range(8)
    ]
    assert (before := pair.stats.keyframe_requests) == 0
    await pair.send_all(tampered)
    assert pair.stats.keyframe_requests == before
    await pair.send_all([sealed] * 100)
    assert pair.stats.keyframe_requests == before + 1


async def test_media_of_the_viewer_is_not_even_decrypted(pair, monkeypatch):
    decrypted: list[bytes] = []
    unprotect_rtcp = pair.transport._rx_srtp.unprotect_rtcp

    def noted(datagram: bytes) -> bytes:
        decrypted.append(datagram)
        return bytes(unprotect_rtcp(datagram))

    for name in ("unprotect", "unprotect_rtcp"):
        monkeypatch.setattr(pair.transport._rx_srtp, name, noted)
    await pair.send_all(pair.rtp(b"\x80" + bytes([kind]) + kind.to_bytes(2) + bytes(40)) for kind in range(64))
    assert [datagram for datagram in decrypted if datagram[1] < 192] == []


async def flood(ports: list[int]) -> None:
    """What a stranger sends: handshakes, checks, media and nonsense, as fast as the loop lets it."""
    hello = record(22, 0, b"\1\0\0\x28" + bytes(4) + b"\0\0\0\x28" + bytes(40))
    check = b"\0\1\0\x08\x21\x12\xa4\x42" + bytes(12) + b"\0\6\0\4abcd"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        while True:
            for port in ports:
                for datagram in (hello, check, b"\x80\xc8" + bytes(60), bytes(20), b"", b"\x16" * 1501) * 3:
                    stranger.sendto(datagram, ("127.0.0.1", port))
            await asyncio.sleep(0.001)


async def test_of_twenty_viewers_under_a_flood_of_strangers_all_connect(loopback):
    connected = 0
    for _ in range(4):
        stages = [Stage() for _ in range(5)]
        offers = [await stage.peer.offer([VIDEO]) for stage in stages]
        local = [stage.peer._connection.transport.connection for stage in stages]
        ports = [each.port for one in local for each in one.local_candidates if each.host == "127.0.0.1"]
        flooding = asyncio.create_task(flood(ports))
        for stage, offer in zip(stages, offers, strict=True):
            await stage.peer.answer(await stage.viewer.answer(offer.sdp))
        for stage in stages:
            await stage.watch(partial(stage.kinds, PeerState))
            connected += stage.events[0] == PeerState("connected")
        assert all(one._queue.qsize() < MAX_QUEUED_DATAGRAMS / 4 for one in local)
        flooding.cancel()
        for stage in stages:
            await stage.close()
    assert connected == 20


@pytest.mark.parametrize(
    "forged",
    [record(21, 0, b"\2\x28"), record(22, 0, b"\1\0"), record(63, 0, bytes(40))],
    ids=["alert", "handshake", "unknown"],
)
async def test_a_handshake_that_a_forger_spoils_has_failed_at_once_and_says_nothing(loopback, caplog, forged):
    # DTLS itself cannot tell who sends before its keys are agreed upon. The viewer opens another peer.
    stage = Stage()
    offer = await stage.peer.offer([VIDEO])
    stage.peer._connection.transport.connection.enqueue(forged, 1)
    await stage.peer.answer(await stage.viewer.answer(offer.sdp))
    await stage.watch(lambda: stage.kinds(PeerState))
    assert stage.events == [PeerState("failed")]
    await stage.close()
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []
