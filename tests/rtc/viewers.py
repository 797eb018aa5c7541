"""A viewer made of stock aiortc, and something for it to show. Must not know what is tested."""

from __future__ import annotations

import asyncio
import copy
import time
from collections.abc import Callable
from contextlib import suppress

import av
import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.codecs import CODECS, HEADER_EXTENSIONS
from aiortc.mediastreams import MediaStreamError
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters
from aiortc.rtp import unpack_header_extensions

from framewire.codec.encoders import open_encoder
from framewire.frame import Frame
from framewire.options import EngineOptions
from framewire.rtc.events import KeyframeWanted, PeerEvent, PeerTrack
from framewire.rtc.peer import Peer
from framewire.rtc.rtp import header_extensions
from framewire.rtc.rtp.packets import RtpUnit, pack
from framewire.rtc.rtp.rtcp import PacketType, TransportFormat
from framewire.rtc.stack import ice
from framewire.rtc.stack.peer_connection import HEADER_EXTENSIONS as OFFERED_EXTENSIONS
from framewire.rtc.stack.sender_slot import PACKET_FEEDBACK
from tests.rtc.linksim import feedback


class _Reporter(RTCDtlsTransport):
    """Reports every 50 ms which packets have arrived, and when."""

    _arrived: dict[int, float]
    _count = 0

    async def _handle_rtp_data(self, data: bytes, arrival_time_ms: int) -> None:
        if not hasattr(self, "_arrived"):
            self._arrived = {}
            asyncio.get_running_loop().call_later(0.05, self._report)
        end = 16 + 4 * int.from_bytes(data[14:16])
        elements = dict(unpack_header_extensions(0xBEDE, data[16:end]))
        # aiortc has decrypted it.
        number = elements.get(TRANSPORT_CC_ID)
        if number:
            self._arrived[int.from_bytes(number)] = time.monotonic()
        await super()._handle_rtp_data(data, arrival_time_ms)

    def _report(self) -> None:
        if self.state == "connected":
            asyncio.get_running_loop().call_later(0.05, self._report)
        if not self._arrived:
            return
        first, last = min(self._arrived), max(self._arrived)
        arrivals = [self._arrived.get(number) for number in range(first, last + 1)]
        fci = feedback(first, arrivals, self._count & 0xFF)
        self._arrived, self._count = {}, self._count + 1
        words = 2 + len(fci) // 4
        packet = bytes([0x80 | TransportFormat.TRANSPORT_CC, PacketType.RTPFB]) + words.to_bytes(2) + bytes(8) + fci
        _background.add(task := asyncio.ensure_future(self._send_report(packet)))
        task.add_done_callback(_background.discard)

    async def _send_report(self, packet: bytes) -> None:
        with suppress(ConnectionError):  # closed meanwhile
            await self._send_rtp(packet)


TRANSPORT_CC_ID = 1 + OFFERED_EXTENSIONS.index(header_extensions.TRANSPORT_CC_URI)
_background: set[asyncio.Future[None]] = set()


def reporting_connection() -> type[RTCPeerConnection]:
    """Stock aiortc that gives feedback on each packet as well."""
    codecs = copy.deepcopy(CODECS)
    for codec in codecs["video"]:
        codec.rtcpFeedback.append(PACKET_FEEDBACK)
    extensions = copy.deepcopy(HEADER_EXTENSIONS)
    extensions["video"].append(RTCRtpHeaderExtensionParameters(TRANSPORT_CC_ID, header_extensions.TRANSPORT_CC_URI))
    module = ice.private_copy(
        "aiortc.rtcpeerconnection", CODECS=codecs, HEADER_EXTENSIONS=extensions, RTCDtlsTransport=_Reporter
    )
    made: type[RTCPeerConnection] = module.RTCPeerConnection
    return made


class Viewer:
    """Answers offers, decodes every track, and keeps the pictures of each by mid."""

    def __init__(self, connection: type[RTCPeerConnection] = RTCPeerConnection) -> None:
        self.pc = connection(RTCConfiguration(iceServers=[]))
        self.pictures: dict[str, list[np.ndarray]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self.pc.on("track", self._on_track)

    def _on_track(self, track: MediaStreamTrack) -> None:
        mid = next(t.mid or "" for t in self.pc.getTransceivers() if t.receiver.track is track)
        self._tasks.append(asyncio.create_task(self._watch(track, mid)))

    async def _watch(self, track: MediaStreamTrack, mid: str) -> None:
        with suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                assert isinstance(frame, av.VideoFrame)
                self.pictures.setdefault(mid, []).append(frame.to_ndarray(format="rgb24", threads=1))

    async def answer(self, offer: str) -> str:
        await self.pc.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        await self.pc.setLocalDescription()
        return self.pc.localDescription.sdp

    async def close(self) -> None:
        await self.pc.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class Show:
    """The frames of one subscription: encodes and sends them, with a keyframe when one is requested."""

    def __init__(self, peer: Peer, track: PeerTrack, *, width: int = 160, height: int = 120) -> None:
        self.peer = peer
        self.track = track
        self.size = (height, width, 3)
        self.keyframe = False
        self.number = 0
        self._encoder = open_encoder(track.codec, fps=60, max_bitrate=8_000_000, threads=1)
        self._texture = np.random.default_rng(track.sub).integers(0, 64, self.size, dtype=np.uint8)

    def unit(self, level: int) -> RtpUnit:
        """The next frame: noise on gray of this level, so that it takes many packets and can still be recognised."""
        pixels = np.roll(self._texture, self.number, 1) + np.uint8(level - 32)
        frame = Frame(pixels, self.number, time.time_ns() // 1000)
        keyframe, self.keyframe = self.keyframe, False
        self.number += 1
        return pack(self._encoder.encode(frame, keyframe=keyframe))

    def play(self, level: int = 128) -> bool:
        return self.peer.send(self.track.sub, self.unit(level))


class Stage:
    """A peer, its viewer, and the events between them."""

    def __init__(self, *, feedback: bool = False) -> None:
        """``feedback``: the viewer gives feedback on each packet, so that the peer has congestion control."""
        self.events: list[PeerEvent] = []
        self.peer = Peer(EngineOptions(), on_event=self._on_event)
        self.viewer = Viewer(reporting_connection()) if feedback else Viewer()
        self.shows: dict[int, Show] = {}
        self.mids: dict[int, str] = {}

    def _on_event(self, event: PeerEvent) -> None:
        self.events.append(event)
        if isinstance(event, KeyframeWanted) and event.sub in self.shows:
            self.shows[event.sub].keyframe = True

    async def negotiate(self, *tracks: PeerTrack, **size: int) -> None:
        offer = await self.peer.offer(tracks)
        self.mids = offer.mids
        self.shows = {track.sub: self.shows.get(track.sub) or Show(self.peer, track, **size) for track in tracks}
        await self.peer.answer(await self.viewer.answer(offer.sdp))

    async def until(self, condition: Callable[[], object], *, level: int = 128) -> None:
        """Play all shows until a condition holds."""
        await self._until(condition, lambda: [show.play(level) for show in self.shows.values()])

    async def watch(self, condition: Callable[[], object]) -> None:
        """Play nothing until a condition holds."""
        await self._until(condition, lambda: None)

    async def _until(self, condition: Callable[[], object], step: Callable[[], object]) -> None:
        async with asyncio.timeout(20):
            while not condition():
                step()
                await asyncio.sleep(0.02)

    def shown(self, sub: int, level: int) -> bool:
        """Whether the newest picture of a subscription is of this gray level."""
        pictures = self.viewer.pictures.get(self.mids[sub], [])
        return bool(pictures) and abs(float(np.mean(pictures[-1])) - level) < 6

    def kinds(self, kind: type[PeerEvent]) -> int:
        return sum(isinstance(event, kind) for event in self.events)

    async def close(self) -> None:
        await self.peer.close()
        await self.viewer.close()
