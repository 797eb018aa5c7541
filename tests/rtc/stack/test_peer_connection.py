"""The private copy of aiortc: what it offers, and that other users' aiortc is unchanged."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import resource
from collections.abc import Iterator

import aiortc
import aiortc.rtcpeerconnection
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpSender
from aiortc.codecs import CODECS, HEADER_EXTENSIONS
from aiortc.rtcdtlstransport import RTCDtlsTransport

from framewire.errors import PeerError
from framewire.options import IceServer
from framewire.rtc.rtp.header_extensions import ABS_SEND_TIME_URI, PLAYOUT_DELAY_URI, TRANSPORT_CC_URI
from framewire.rtc.stack.peer_connection import PeerConnection


@pytest.fixture
async def connection(loopback):
    connection = PeerConnection([], lambda slot, parameters: None, lambda feedback: None, lambda state: None)
    yield connection
    await connection.close()


@pytest.mark.parametrize(
    ("codec", "said"),
    [
        ("h264", ["H264/90000", "profile-level-id=42e034", "packetization-mode=1", "level-asymmetry-allowed=1"]),
        ("h264_444", ["H264/90000", "profile-level-id=f40034", "packetization-mode=1"]),
        ("vp8", ["VP8/90000"]),
    ],
)
async def test_each_slot_offers_its_codec_with_repair_and_nothing_else(connection, codec, said):
    connection.add_slot(codec)
    sdp = await connection.offer()
    assert all(each in sdp for each in [*said, "rtx/90000", "nack pli", "ccm fir", "goog-remb", PLAYOUT_DELAY_URI])
    assert sdp.count("a=rtpmap") == 2


async def test_parity_is_offered_to_viewers_that_understand_it_and_named_in_a_group(loopback):
    connection = PeerConnection([], lambda *_: None, lambda _: None, lambda _: None, parity=True)
    slot = connection.add_slot("h264")
    sdp = await connection.offer()
    assert "flexfec-03/90000" in sdp and "repair-window=" in sdp
    assert f"a=ssrc-group:FEC-FR {slot.origins().media.ssrc} {slot.fec_ssrc}" in sdp
    assert f"a=ssrc:{slot.fec_ssrc} " in sdp
    await connection.close()


async def test_slots_share_one_transport_and_one_set_of_candidates(connection):
    slots = [connection.add_slot(codec) for codec in ("h264", "vp8", "h264")]
    await connection.offer()
    assert len({id(slot.transport) for slot in slots}) == 1
    assert [connection.mid(slot) for slot in slots] == ["0", "1", "2"]


async def test_a_slot_without_a_subscription_is_offered_inactive(connection):
    connection.add_slot("vp8")
    assert "a=inactive" in await connection.offer()


async def test_a_subscription_is_offered_under_its_name(connection):
    slot = connection.add_slot("vp8")
    slot.assign(7)
    sdp = await connection.offer()
    assert "a=msid:framewire-7 framewire-7" in sdp and "a=sendonly" in sdp
    assert f"a=ssrc:{slot.origins().media.ssrc} " in sdp


async def test_an_answer_that_aiortc_cannot_take_is_a_peer_error(connection):
    connection.add_slot("vp8")
    await connection.offer()
    for sdp in ("", "v=0\r\nm=video 9 X 1\r\n", "m=\r\n"):
        with pytest.raises(PeerError):
            await connection.accept(sdp)


async def test_ice_servers_reach_the_connection_and_none_is_the_default(loopback):
    def made(*servers: IceServer) -> PeerConnection:
        return PeerConnection(servers, lambda *_: None, lambda _: None, lambda _: None)

    turn = IceServer(["stun:127.0.0.1:3478", "turn:127.0.0.1:3479?transport=tcp"], "user", "secret")
    ours = made(turn).add_slot("vp8").transport.connection
    assert (ours.stun_server, ours.turn_server) == (("127.0.0.1", 3478), ("127.0.0.1", 3479))
    assert (ours.turn_transport, ours.turn_username, ours.turn_password) == ("tcp", "user", "secret")
    assert made().add_slot("vp8").transport.connection.stun_server is None
    with pytest.raises(PeerError, match="ICE servers"):
        made(IceServer(["http://example"])).add_slot("vp8")


async def test_an_offer_of_a_closed_connection_is_a_peer_error(connection):
    connection.add_slot("vp8")
    await connection.close()
    with pytest.raises(PeerError, match="closed"):
        await connection.offer()


async def test_the_aiortc_of_other_users_is_unchanged(connection):
    connection.add_slot("h264")
    await connection.offer()
    names = vars(aiortc.rtcpeerconnection)
    assert names["RTCRtpSender"] is RTCRtpSender
    assert names["RTCDtlsTransport"] is RTCDtlsTransport
    assert names["CODECS"] is CODECS
    assert PLAYOUT_DELAY_URI not in {extension.uri for extension in HEADER_EXTENSIONS["video"]}
    assert "42e034" not in str(CODECS)
    stock = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    stock.addTransceiver("video")
    offer = await stock.createOffer()
    assert isinstance(stock.getSenders()[0], RTCRtpSender)
    assert PLAYOUT_DELAY_URI not in offer.sdp
    assert "42e034" not in offer.sdp
    assert "opus" in str(CODECS["audio"])
    await stock.close()


@pytest.mark.parametrize("parity", [False, True])
async def test_feedback_on_packets_is_asked_for_and_the_viewers_own_estimate(loopback, parity):
    connection = PeerConnection([], lambda *_: None, lambda _: None, lambda _: None, parity=parity)
    for codec in ("h264", "vp8"):
        connection.add_slot(codec)
    sdp = await connection.offer()
    assert sdp.count(TRANSPORT_CC_URI) == sdp.count(" transport-cc") == 2
    assert sdp.count(ABS_SEND_TIME_URI) == sdp.count("goog-remb") == 2, "for a viewer without packet feedback"
    assert sdp.count("flexfec-03") == 2 * parity
    await connection.close()


@contextlib.contextmanager
def descriptors_used_up() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = max(int(name) for name in os.listdir("/proc/self/fd"))
    taken = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 4, hard))
    try:
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.open("/dev/null", os.O_RDONLY))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for descriptor in taken:
            os.close(descriptor)


async def test_without_a_descriptor_left_there_is_no_offer_and_nothing_leaks(loopback):
    before = set(os.listdir("/proc/self/fd"))
    connection = PeerConnection([], lambda *_: None, lambda _: None, lambda _: None)
    with descriptors_used_up():
        connection.add_slot("vp8")
        with pytest.raises(PeerError, match="no offer"):
            await connection.offer()
        await connection.close()
    for _ in range(5):
        await asyncio.sleep(0)
    assert set(os.listdir("/proc/self/fd")) == before
    later = PeerConnection([], lambda *_: None, lambda _: None, lambda _: None)
    later.add_slot("vp8")
    assert "a=candidate" in await later.offer()
    await later.close()


async def test_an_offer_that_is_short_of_descriptors_for_some_addresses_has_the_others(loopback, monkeypatch):
    loop = asyncio.get_running_loop()
    create = loop.create_datagram_endpoint

    async def scarce(factory, *, local_addr, **options):
        if ":" in local_addr[0]:
            raise OSError(errno.EMFILE, "Too many open files")
        return await create(factory, local_addr=local_addr, **options)

    monkeypatch.setattr(loop, "create_datagram_endpoint", scarce)
    connection = PeerConnection([], lambda *_: None, lambda _: None, lambda _: None)
    connection.add_slot("vp8")
    assert " 127.0.0.1 " in await connection.offer()
    await connection.close()
