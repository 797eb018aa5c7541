"""The engine as a process: what `framewire.link` starts. The one place where link and engine meet: it turns
the parent's messages into calls of the engine, and must not decide anything else.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
import sys
import traceback
from typing import Any

from framewire.engine.engine import Engine
from framewire.engine.http.server import WebServer
from framewire.link.attach import EngineLink
from framewire.link.control import (
    AddStream,
    Configure,
    EngineStats,
    Handles,
    InputArrived,
    Log,
    Ready,
    RemoveStream,
    Ring,
    Shutdown,
    Viewers,
)
from framewire.link.ring import RingReader
from framewire.options import StreamOptions

STATS_EVERY = 1.0


class _LinkListener:
    """`engine.Listener` that sends to the parent."""

    def __init__(self, link: EngineLink) -> None:
        self._link = link

    def on_input(self, stream: int, client_id: str, principal: str | None, event: dict[str, Any]) -> None:
        self._link.send(InputArrived(stream=stream, client_id=client_id, principal=principal, event=event))

    def on_viewers(self, stream: int, count: int) -> None:
        self._link.send(Viewers(stream=stream, count=count))


class _ToParent(logging.Handler):
    """Log records to the parent's own log."""

    def __init__(self, link: EngineLink, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(logging.WARNING)
        self._link, self._loop = link, loop

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = Log(level=record.levelno, text=self.format(record)[:4000])
            self._loop.call_soon_threadsafe(self._link.send, message)
        except RuntimeError:
            pass  # the loop is closed: nobody is left to tell


class EngineRun:
    """One run of the process."""

    def __init__(self, handles: Handles) -> None:
        self._handles = handles
        self._engine: Engine | None = None
        self._server: WebServer | None = None
        self._waiting: dict[int, StreamOptions] = {}
        """Streams whose memory has not come yet."""
        self._readers: dict[int, RingReader] = {}

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        self._link = EngineLink(self._handles, on_bell=self._on_bell)
        handler = _ToParent(self._link, loop)
        logging.getLogger().addHandler(handler)
        stats = asyncio.create_task(self._report())
        try:
            while (item := await self._link.receive()) is not None:
                message, memory = item
                if isinstance(message, Shutdown):
                    break
                await self._take(message, memory)
        finally:
            stats.cancel()
            await self._end()
            logging.getLogger().removeHandler(handler)
            self._link.close()

    async def _take(self, message: object, memory: int | None) -> None:
        match message:
            case Configure():
                await self._configure(message)
            case AddStream():
                self._waiting[message.options.id] = message.options
            case Ring():
                assert memory is not None, "the link refuses a Ring without its memory"
                self._begin(message.stream, RingReader(memory))
            case RemoveStream():
                self._waiting.pop(message.id, None)
                if self._engine:
                    self._engine.remove_stream(message.id)
                if reader := self._readers.pop(message.id, None):
                    reader.close()

    async def _configure(self, message: Configure) -> None:
        if self._engine:
            return
        self._engine = Engine(message.options, _LinkListener(self._link))
        self._server = WebServer(self._engine, message.options)
        await self._server.start(_listener(fd) for fd in self._handles.listeners)
        self._link.send(Ready(pid=os.getpid(), epoch=self._engine.epoch))

    def _begin(self, id_: int, reader: RingReader) -> None:
        old = self._readers.get(id_)
        self._readers[id_] = reader
        options = self._waiting.get(id_)
        if self._engine and options:
            self._engine.add_stream(options, reader)
            self._engine.published(id_)
        if old:
            old.close()

    def _on_bell(self, streams: set[int]) -> None:
        if self._engine:
            for id_ in streams:
                self._engine.published(id_)

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(STATS_EVERY)
            for id_, stats in (self._engine.stats() if self._engine else {}).items():
                self._link.send(EngineStats(stream=id_, stats=stats))

    async def _end(self) -> None:
        if self._server:
            engine, server = self._engine, self._server
            assert engine, "a server stands in front of a engine"
            try:
                async with asyncio.timeout(2.5):
                    await engine.close()
                    await server.close()
            except TimeoutError:
                pass


def _listener(fd: int) -> socket.socket:
    sock = socket.socket(fileno=fd)
    sock.setblocking(False)
    return sock


def main(arguments: list[str]) -> int:
    """Runs the engine until its parent says so or is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a kernel's interrupt is for the user's code
    logging.basicConfig(level=logging.WARNING, handlers=[logging.NullHandler()])
    # What is imported by now lives for ever: no collection needs to walk it, and none pauses a frame for it.
    gc.collect()
    gc.freeze()
    run = EngineRun(Handles.parse(arguments))
    try:
        asyncio.run(run.run())
    except Exception:
        traceback.print_exc()  # the parent tells it as the engine's last words
        return 1
    # Threads of encoders may still be at work on a frame nobody will see.
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
