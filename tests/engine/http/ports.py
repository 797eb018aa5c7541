"""A web server at a port of this machine, for tests that look at it from outside."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from framewire.engine.engine import Engine
from framewire.engine.http.server import WebServer
from framewire.link.listen import bind
from framewire.link.slot import LocalSlot
from framewire.options import EngineOptions, StreamOptions
from framewire.viewers import WatchingViewer
from tests.viewer import TEST_TIMEOUT_S

TOKEN = "only-those-who-know-it-come-in"
OPTIONS = EngineOptions(token=TOKEN, allow_hosts=("viewer.example",), allow_origins=("https://lab.example",))


class NullListener:
    """A listener that ignores everything."""

    def on_input(self, stream: int, client_id: str, principal: str | None, event: dict[str, Any]) -> None: ...
    def on_stats(self, stream: int, stats: dict[str, Any]) -> None: ...
    def on_viewers(self, stream: int, viewers: tuple[WatchingViewer, ...]) -> None: ...


@dataclass
class Port:
    """A server on a port of this machine."""

    engine: Engine
    server: WebServer
    number: int

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.number}"

    @property
    def ws(self) -> str:
        return f"ws://127.0.0.1:{self.number}/ws"

    def stream(self, name: str = "default", width: int = 64, height: int = 48) -> LocalSlot:
        slot = LocalSlot()
        options = StreamOptions(id=len(self.engine.stats()), name=name, width=width, height=height)
        self.engine.add_stream(options, slot)
        return slot


@asynccontextmanager
async def served(options: EngineOptions = OPTIONS) -> AsyncIterator[Port]:
    """An engine with a server of its own."""
    engine = Engine(options, NullListener())
    server = WebServer(engine, options)
    sockets = bind("127.0.0.1", 0)
    await server.start(sockets)
    yield Port(engine, server, sockets[0].getsockname()[1])
    await engine.close()
    await server.close()


async def raw(port: Port, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
    writer.write(request)
    answer = await asyncio.wait_for(reader.read(4096), TEST_TIMEOUT_S)
    writer.close()
    return answer
