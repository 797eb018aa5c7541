"""What tests of viewers put in the place of the network: a socket, a transport in memory, a peer, and a context."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from framewire import wire
from framewire.authentication import ConnectionRequest
from framewire.codec.messages import Assembler, Header
from framewire.engine.stream.encoding import PackedUnit
from framewire.engine.stream.stream import Stream
from framewire.engine.viewer.admission import Admission, Authorizer, token_authorizer
from framewire.engine.viewer.effects import ListedStream
from framewire.engine.viewer.openings import PeerOpenings
from framewire.engine.viewer.session import ServerInfo
from framewire.engine.viewer.transport import Transport
from framewire.engine.viewer.turns import Turns
from framewire.engine.viewer.viewer import Viewer
from framewire.engine.viewer.websocket import WebSocketTransport
from framewire.frame import AccessUnit
from framewire.options import EngineOptions, StreamOptions
from framewire.rtc.peer import PeerOffer
from framewire.token_bucket import TokenBucket
from tests.engine.stills import Source

TOKEN = "only-those-who-know-it-come-in"
HELLO = wire.Hello(wire.VERSION, TOKEN, ["h264", "vp8"], webcodecs=["h264"])


class FakeSocket:
    """A `websocket.Socket` whose viewer does not read while ``open`` is cleared."""

    def __init__(self) -> None:
        self.sent: list[str | bytes] = []
        self.open = asyncio.Event()
        self.open.set()
        self.closed_with: tuple[int, str] | None = None
        self.gone = False
        self.rate_bps: float | None = None

    async def send_text(self, text: str) -> None:
        await self._send(text)

    async def send_bytes(self, data: bytes) -> None:
        await self._send(data)

    async def close(self, code: int, reason: str) -> None:
        await self.open.wait()
        self.closed_with = (code, reason)

    def admitted(self) -> None: ...
    def closing(self) -> None: ...

    def abort(self) -> None:
        self.gone = True

    def delivery_rate_bps(self) -> float | None:
        return self.rate_bps

    async def _send(self, data: str | bytes) -> None:
        await self.open.wait()
        if self.gone:
            raise ConnectionResetError
        self.sent.append(data)

    @property
    def chunks(self) -> list[bytes]:
        return [each for each in self.sent if isinstance(each, bytes)]

    def messages(self, kind: type[Any]) -> list[Any]:
        texts = [wire.decode_server(each) for each in self.sent if isinstance(each, str)]
        return [message for message in texts if isinstance(message, kind)]

    def headers(self) -> list[Header]:
        return [Header.parse(each) for each in self.chunks]


class MemoryTransport:
    """A `Transport` that keeps what it is given."""

    def __init__(self) -> None:
        self.sent: list[wire.ServerMessage | AccessUnit] = []
        self.closed_with: tuple[int, str] | None = None
        self.lost: Callable[[], None] = lambda: None

    def start(self, on_lost: Callable[[], None]) -> None:
        self.lost = on_lost

    def send(self, message: wire.ServerMessage) -> bool:
        self.sent.append(message)
        return True

    def send_unit(self, sub: int, packed: PackedUnit) -> None:
        self.sent.append(packed.unit)

    def admitted(self) -> None: ...
    def drop_units(self, sub: int) -> None: ...
    def hold_units(self) -> None: ...
    def release_units(self) -> None: ...

    def close(self, code: int, reason: str) -> None:
        self.closed_with = self.closed_with or (code, reason)

    def abort(self) -> None: ...
    async def wait_closed(self) -> None: ...

    def delivery_rate_bps(self) -> float | None:
        return None


class FakePeer:
    """Negotiates at once; ``accepts`` says whether it takes units."""

    made: list[FakePeer]

    def __init__(self, options: EngineOptions, *, on_event: Any, parity: bool, tcp_bps: Any, budget: Any) -> None:
        self.on_event = on_event
        self.tracks: list[Any] = []
        self.sent: list[Any] = []
        self.answers: list[str] = []
        self.accepts = True
        self.useful_bps = 0
        self.closing = asyncio.Event()
        self.closing.set()
        self.closed = False
        FakePeer.made.append(self)

    async def offer(self, tracks: Any) -> PeerOffer:
        self.tracks = list(tracks)
        return PeerOffer("an offer", {track.sub: str(index) for index, track in enumerate(tracks)})

    async def answer(self, sdp: str) -> None:
        if sdp == "bad":
            raise ValueError("aiortc raises all kinds of errors for odd SDP")
        self.answers.append(sdp)

    async def add_candidate(self, candidate: str, sdp_mid: str) -> None: ...

    def set_useful_bitrate(self, bits_per_second: int) -> None:
        self.useful_bps = bits_per_second

    def send(self, sub: int, unit: Any) -> bool:
        if self.accepts:
            self.sent.append((sub, unit.unit.number))
        return self.accepts

    async def close(self) -> None:
        await self.closing.wait()
        self.closed = True


class FakeContext:
    """A `ViewerContext` with real streams, which keeps what viewers report."""

    options = EngineOptions()
    server_info = ServerInfo(software="x", epoch="e")
    authorize: Authorizer

    def __init__(self) -> None:
        self.authorize = token_authorizer(TOKEN)
        self.announced = TokenBucket(1, 512)
        self.turns = Turns()
        self.openings = PeerOpenings()
        self.pool = ThreadPoolExecutor(2)
        self.sources: list[Source] = []
        self.streams: dict[int, Stream] = {}
        self.inputs: list[tuple[int, str, str | None, dict[str, Any]]] = []
        self.viewers: list[Viewer] = []
        self.watching: list[tuple[int, list[bool]]] = []
        """The stream, and which of its viewers are visible, whenever a viewer says that it has changed."""
        self.number = 0

    def add(self, name: str) -> None:
        id_ = len(self.sources)
        self.sources.append(Source())
        options = StreamOptions(id=id_, name=name, width=6, height=4)
        self.streams[id_] = Stream(options, self.sources[-1], self.pool, lambda: None)

    def connect(self, transport: Transport, request: ConnectionRequest | None = None) -> Viewer:
        self.viewers.append(Viewer(transport, self, request or ConnectionRequest()))
        return self.viewers[-1]

    def publish(self, pixels: np.ndarray | None = None, stream: int = 0) -> int:
        self.number += 1
        self.sources[stream].publish(self.number, pixels)
        if stream in self.streams:
            self.streams[stream].wake()
        return self.number

    async def close(self) -> None:
        for stream in self.streams.values():
            await stream.close()
        self.pool.shutdown()

    # ViewerContext

    def admit(self, viewer: Viewer, admission: Admission) -> Admission:
        return admission

    @property
    def listed_streams(self) -> tuple[ListedStream, ...]:
        return tuple(
            ListedStream(stream.info, stream.options.codecs, stream.options.latency) for stream in self.streams.values()
        )

    def stream(self, id_: int) -> Stream | None:
        return self.streams.get(id_)

    def input_arrived(self, stream: int, client_id: str, principal: str | None, event: dict[str, Any]) -> None:
        self.inputs.append((stream, client_id, principal, event))

    def viewers_changed(self, stream: int) -> None:
        found = [viewer.watching(stream) for viewer in self.viewers]
        self.watching.append((stream, [viewer.visible for viewer in found if viewer]))


class Bench(FakeContext):
    """Two streams, and one viewer of them over a fake WebSocket."""

    def __init__(self) -> None:
        super().__init__()
        self.add("one")
        self.add("two")
        self.socket = FakeSocket()
        self.transport = WebSocketTransport(self.socket)
        self.viewer = self.connect(self.transport)

    def send(self, *messages: wire.ViewerMessage) -> None:
        """Messages of the viewer to the server."""
        for message in messages:
            self.viewer.receive(wire.encode(message))


def units(sent: list[str | bytes]) -> list[AccessUnit]:
    """The units in a list of WebSocket messages, put together by a viewer's rules. Raises for a wrong order."""
    assembler = Assembler()
    return [unit for each in sent if isinstance(each, bytes) and (unit := assembler.feed(each))]
