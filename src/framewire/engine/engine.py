"""The engine: streams, viewers, and the one server in front of them. Must not know who hosts it, a process
of its own or somebody's event loop: it takes commands as calls and says what happens through `Listener`."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from msgspec import UNSET

from framewire import wire
from framewire._version import __version__
from framewire.codec.encoders import available_codecs
from framewire.codecs import CodecName, selectable_codecs
from framewire.engine.http.gate import MAX_CONNECTIONS, MAX_UNKNOWN, Gate
from framewire.engine.stream.encoding import FrameSource
from framewire.engine.stream.stream import Stream, StreamConfig
from framewire.engine.viewer.session import Terms
from framewire.engine.viewer.viewer import Connection, Socket
from framewire.errors import CloseCode
from framewire.rtc.peer import IceServer, PeerOptions

WORKERS: Final = 4
"""Threads that encode and pack; each encoding uses one at a time."""
GOODBYE: Final = 1.5
"""Seconds that viewers have to take their goodbye when the engine ends."""


@dataclass(frozen=True)
class EngineConfig:
    """What holds for the whole engine."""

    token: str = field(repr=False)
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    exposed: bool = False
    """Whether it listens beyond loopback."""
    ice_servers: tuple[IceServer, ...] = ()
    codecs: tuple[CodecName, ...] = selectable_codecs()
    """Video codecs it may use, best first; those this machine cannot encode are left out."""
    smooth: bool = False
    """Whether viewers are asked to hold frames back a little, for an even rhythm."""


class Listener(Protocol):
    """What the engine tells its host. Called on the event loop; must return at once."""

    def on_input(self, stream: int, client_id: str, event: dict[str, Any]) -> None: ...
    def on_viewers(self, stream: int, count: int) -> None: ...


class Engine:
    """All that one engine holds. Made on a running loop and used from it alone."""

    def __init__(self, config: EngineConfig, listener: Listener) -> None:
        self.epoch = secrets.token_hex(8)
        self.gate = Gate(config.token, frozenset(config.hosts), frozenset(config.origins), config.exposed)
        self._config = config
        self._listener = listener
        self._streams: dict[int, Stream] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._connections: set[Connection] = set()
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="framewire-encode")
        usable = available_codecs()
        self._codecs = tuple(codec for codec in config.codecs if codec in usable)
        self._closed = False

    # Streams

    def add_stream(self, config: StreamConfig, source: FrameSource) -> None:
        """A stream begins; one of the same id only gets new memory, one of the same name ends."""
        if known := self._streams.get(config.id):
            known.replace_source(source)
            return
        for other in [s for s in self._streams.values() if s.config.name == config.name]:
            self._drop(other)
        self._streams[config.id] = Stream(config, source, self._pool, self._announce)
        self._announce()

    def remove_stream(self, id_: int) -> None:
        if stream := self._streams.get(id_):
            self._drop(stream)
            self._announce()

    def published(self, id_: int) -> None:
        """A stream has a new frame."""
        if stream := self._streams.get(id_):
            stream.wake()

    def stats(self) -> dict[int, dict[str, Any]]:
        """Numbers of every stream, for its publisher."""
        now = time.monotonic()
        return {id_: stream.stats(now) for id_, stream in self._streams.items()}

    def _drop(self, stream: Stream) -> None:
        del self._streams[stream.config.id]
        task = asyncio.get_running_loop().create_task(stream.close())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _announce(self) -> None:
        for connection in list(self._connections):
            connection.streams_changed(self._infos)

    @property
    def _infos(self) -> tuple[wire.StreamInfo, ...]:
        return tuple(stream.info for stream in self._streams.values())

    # Viewers

    def accept(self, socket: Socket) -> Connection:
        """A viewer's socket was opened. Too many: it is closed at once with 4429."""
        terms = Terms(
            admits=self.gate.admits_token,
            codecs=self._codecs,
            server=f"framewire {__version__}",
            epoch=self.epoch,
            ice_servers=[_ice(server) for server in self._config.ice_servers],
            unix=time.time() - time.monotonic(),
        )
        unknown = sum(not (each.greeted or each.ended) for each in self._connections)
        crowded = unknown >= MAX_UNKNOWN or len(self._connections) >= MAX_CONNECTIONS
        connection = Connection(socket, self, terms, self._infos)
        self._connections.add(connection)
        if self._closed:
            connection.close(CloseCode.GOING_AWAY, "the server is closing")
        elif crowded:
            connection.close(CloseCode.LIMITS, "too many connections")
        return connection

    async def left(self, connection: Connection) -> None:
        """A viewer's socket is closed."""
        await connection.wait_closed()
        self._connections.discard(connection)

    async def close(self) -> None:
        """Say goodbye to every viewer, stop every encoder. Takes no more viewers."""
        self._closed = True
        for connection in self._connections:
            connection.close(CloseCode.GOING_AWAY, "the server is closing")
        await self._all_left(GOODBYE)
        for connection in self._connections:
            connection.cut_off()
        await self._all_left(GOODBYE)
        await asyncio.gather(*(stream.close() for stream in self._streams.values()), *self._tasks)
        self._streams.clear()
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _all_left(self, within: float) -> None:
        leaving = [asyncio.ensure_future(self.left(connection)) for connection in self._connections]
        if leaving:
            await asyncio.wait(leaving, timeout=within)

    # What connections ask (`connection.Host`)

    @property
    def peer_options(self) -> PeerOptions:
        return PeerOptions(ice_servers=self._config.ice_servers, smooth=self._config.smooth)

    def stream(self, id_: int) -> Stream | None:
        return self._streams.get(id_)

    def arrived(self, stream: int, client_id: str, event: dict[str, Any]) -> None:
        self._listener.on_input(stream, client_id, event)

    def watched(self, stream: int) -> None:
        if known := self._streams.get(stream):
            self._listener.on_viewers(stream, known.viewers)


def _ice(server: IceServer) -> wire.IceServer:
    return wire.IceServer(
        urls=list(server.urls), username=server.username or UNSET, credential=server.credential or UNSET
    )


def ice_servers(dicts: Sequence[dict[str, Any]]) -> tuple[IceServer, ...]:
    """``RTCConfiguration.iceServers`` as users write them: ``urls`` a string or a list of strings."""
    return tuple(
        IceServer(
            urls=[urls] if isinstance(urls := entry["urls"], str) else list(urls),
            username=entry.get("username"),
            credential=entry.get("credential"),
        )
        for entry in dicts
    )
