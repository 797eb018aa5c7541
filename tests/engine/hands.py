"""A socket, a peer and a host that tests of connections hold in their hands."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import numpy as np

from framewire import wire
from framewire.codec.lossless import Assembler, Header
from framewire.engine.stream.stream import Stream, StreamConfig
from framewire.engine.viewer import session as s
from framewire.engine.viewer.viewer import Connection
from framewire.frame import AccessUnit
from framewire.rtc.peer import PeerOffer
from tests.engine.stills import Source

TOKEN = "only-those-who-know-it-come-in"
HELLO = wire.encode(wire.Hello(wire.VERSION, TOKEN, ["h264", "vp8"], webcodecs=["h264"]))


class Wire:
    """A `Socket` in our hands: ``open`` cleared, the viewer does not read."""

    def __init__(self) -> None:
        self.sent: list[str | bytes] = []
        self.open = asyncio.Event()
        self.open.set()
        self.goodbye: tuple[int, str] | None = None
        self.gone = False

    async def send_text(self, text: str) -> None:
        await self._send(text)

    async def send_bytes(self, data: bytes) -> None:
        await self._send(data)

    async def close(self, code: int, reason: str) -> None:
        await self.open.wait()
        self.goodbye = (code, reason)

    def abort(self) -> None:
        self.gone = True

    def speed(self) -> float | None:
        return None

    async def _send(self, data: str | bytes) -> None:
        await self.open.wait()
        if self.gone:
            raise ConnectionResetError
        self.sent.append(data)

    def messages(self, kind: type[Any]) -> list[Any]:
        texts = [wire.decode_server(each) for each in self.sent if isinstance(each, str)]
        return [message for message in texts if isinstance(message, kind)]

    def headers(self) -> list[Header]:
        return [Header.parse(each) for each in self.sent if isinstance(each, bytes)]


class FakePeer:
    """Negotiates at once; ``takes`` says whether it is connected."""

    made: list[FakePeer]

    def __init__(self, *, ice_servers: Any, on_event: Any, parity: bool, smooth: bool, speed: Any) -> None:
        self.on_event = on_event
        self.tracks: list[Any] = []
        self.sent: list[Any] = []
        self.answers: list[str] = []
        self.takes = True
        self.wanted = 0
        self.closing = asyncio.Event()
        self.closing.set()
        self.closed = False
        FakePeer.made.append(self)

    async def offer(self, tracks: Any) -> PeerOffer:
        self.tracks = list(tracks)
        return PeerOffer("an offer", {track.sub: str(index) for index, track in enumerate(tracks)})

    async def answer(self, sdp: str) -> None:
        if sdp == "bad":
            raise ValueError("aiortc meets whatever a browser may say")
        self.answers.append(sdp)

    async def add_candidate(self, candidate: str, sdp_mid: str) -> None: ...

    def want(self, bits_per_second: int) -> None:
        self.wanted = bits_per_second

    def send(self, sub: int, unit: Any) -> bool:
        if self.takes:
            self.sent.append((sub, unit.unit.number))
        return self.takes

    async def close(self) -> None:
        await self.closing.wait()
        self.closed = True


class Bench:
    """A host with streams, and one connection to it."""

    peer_options: ClassVar[Any] = {"ice_servers": (), "smooth": False}

    def __init__(self) -> None:
        self.pool = ThreadPoolExecutor(2)
        self.sources: list[Source] = []
        self.streams: dict[int, Stream] = {}
        self.inputs: list[tuple[int, str, dict[str, Any]]] = []
        self.counts: list[tuple[int, int]] = []
        self.wire = Wire()
        self.number = 0

    def add(self, name: str) -> None:
        id_ = len(self.sources)
        self.sources.append(Source())
        self.streams[id_] = Stream(StreamConfig(id_, name, 6, 4), self.sources[-1], self.pool, lambda: None)

    def connect(self) -> None:
        terms = s.Terms(admits=lambda token: token == TOKEN, codecs=("h264", "vp8"), server="x", epoch="e")
        self.connection = Connection(self.wire, self, terms, self.infos)

    @property
    def infos(self) -> tuple[wire.StreamInfo, ...]:
        return tuple(stream.info for stream in self.streams.values())

    def say(self, *messages: wire.ViewerMessage) -> None:
        for message in messages:
            self.connection.received(wire.encode(message))

    def publish(self, pixels: np.ndarray | None = None, stream: int = 0) -> int:
        self.number += 1
        self.sources[stream].publish(self.number, pixels)
        if stream in self.streams:
            self.streams[stream].wake()
        return self.number

    # connection.Host

    def stream(self, id_: int) -> Stream | None:
        return self.streams.get(id_)

    def arrived(self, stream: int, client_id: str, event: dict[str, Any]) -> None:
        self.inputs.append((stream, client_id, event))

    def watched(self, stream: int) -> None:
        self.counts.append((stream, self.streams[stream].viewers))


def units(sent: list[str | bytes]) -> list[AccessUnit]:
    """As a viewer puts them together: anything out of order raises."""
    assembler = Assembler()
    return [unit for each in sent if isinstance(each, bytes) and (unit := assembler.feed(each))]
