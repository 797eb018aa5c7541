"""DTLS with a handshake that repeats itself, and RTCP to whoever listens."""

from __future__ import annotations

import asyncio
import logging

import pytest
from aiortc import RTCDtlsTransport
from OpenSSL import SSL

from framewire.rtc.events import PeerState, PeerTrack
from framewire.rtc.rtp import rtcp
from framewire.rtc.stack import ice
from framewire.rtc.stack.dtls_transport import DtlsTransport
from tests.rtc.live_pair import LivePair
from tests.rtc.viewers import Stage

TRACK = PeerTrack(3, "vp8")


async def test_a_lost_handshake_message_is_sent_again_before_openssl_would(stage: Stage, monkeypatch):
    async def lost(self, data):
        """All that OpenSSL sends, the first time and after each of its own timeouts."""

    loop, waits = asyncio.get_running_loop(), []
    call_later = loop.call_later

    def noted(delay, callback, *arguments):
        if getattr(callback, "__func__", None) is DtlsTransport.transmit:
            waits.append(delay)
        return call_later(delay, callback, *arguments)

    monkeypatch.setattr(loop, "call_later", noted)
    monkeypatch.setattr(ice.ice.Connection, "send", lost)
    await stage.negotiate(TRACK)
    await stage.until(lambda: stage.shown(3, 128))
    assert waits[:5] == [0.04, 0.12, 0.25, 0.45, 0.7]


@pytest.fixture
async def transport(stage: Stage):
    """A transport that is connected."""
    await stage.negotiate(TRACK)
    await stage.until(lambda: PeerState("connected") in stage.events)
    return stage.peer._connection.transport


@pytest.fixture
async def pair(loopback):
    pair = await LivePair.open()
    yield pair
    await pair.close()


def pli(ssrc: int) -> bytes:
    return bytes([0x81, rtcp.PacketType.PSFB, 0, 2]) + bytes(4) + ssrc.to_bytes(4)


async def test_once_connected_no_handshake_message_is_repeated(transport, monkeypatch):
    sent: list[list[bytes]] = []
    monkeypatch.setattr(transport, "transmit", sent.append)
    await asyncio.sleep(0.8)
    assert sent == []


async def test_each_message_in_a_compound_is_feedback_and_media_is_ignored(pair):
    received: list[rtcp.Feedback] = []
    pair.transport.on_feedback = received.append
    report = rtcp.sender_report(7, 1000.0, (1, 2), b"x")
    await pair.send_all([pair.rtp(b"\x80\x63" + bytes(40)), pair.rtcp(report + pli(9) + pli(9))])
    assert received == [rtcp.KeyframeRequest(9)] * 2


async def test_the_socket_and_the_round_trip_are_those_of_ice(transport):
    assert transport.idle()
    assert transport.rtt_s == transport.connection.rtt_s > 0


async def test_feedback_that_a_bug_of_ours_cannot_take_is_one_line_and_ends_nothing(pair, caplog):
    take, taken = pair.transport.on_feedback, []

    def buggy(feedback: rtcp.Feedback) -> None:
        taken.append(feedback)
        raise AssertionError("a bug")

    pair.transport.on_feedback = buggy
    await pair.send_all(pair.rtcp(pli(pair.ssrc)) for _ in range(50))
    assert len(taken) >= 50
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == [
        "feedback was not taken"
    ]
    pair.transport.on_feedback = take
    assert await pair.still_shows(60)


async def test_data_is_dropped_and_none_of_it_is_kept(pair):
    await pair.send_all([b"".join(pair.dtls(b"x") for _ in range(30)) for _ in range(20)])
    with pytest.raises(SSL.WantReadError):
        pair.transport._ssl.recv(1)
    assert await pair.still_shows(60)


async def test_an_error_that_aiortcs_loop_does_not_expect_does_not_end_it(pair, monkeypatch):
    read, raised = RTCDtlsTransport._recv_next, []

    async def broken(self):
        await read(self)
        if self is pair.transport:  # not the viewer's
            raised.append(self)
            raise ValueError("what a binding raises")

    monkeypatch.setattr(RTCDtlsTransport, "_recv_next", broken)
    for _ in range(3):
        pair.send(pair.dtls(b"x"))
        await asyncio.sleep(0.01)
    await pair.stage.watch(lambda: bool(raised))
    assert await pair.still_shows(60)


@pytest.mark.parametrize("before", [b"", b"data in the same datagram"])
async def test_a_viewer_that_hangs_up_is_heard(pair, before):
    data = pair.dtls(before) if before else b""
    pair.viewer._ssl.shutdown()
    pair.send(data + pair.viewer._ssl.bio_read(1500))
    await pair.stage.watch(lambda: PeerState("closed") in pair.events)


async def test_a_handshake_that_raises_has_failed(stage: Stage, monkeypatch):
    def broken(self, parameters):
        raise ValueError("a certificate that cannot be read")

    monkeypatch.setattr(DtlsTransport, "_validate_peer_identity", broken)
    await stage.negotiate(TRACK)
    await stage.watch(lambda: stage.events == [PeerState("failed")])
