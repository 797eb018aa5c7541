"""An engine in a process of its own: streams are rings of shared memory, reports come as messages.

Must not know displays, nor how a process is started.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading

from framewire.errors import ClosedError
from framewire.frame import Frame, Pixels
from framewire.host.protocols import Listener, Outlet
from framewire.link.control import (
    AddStream,
    Configure,
    EngineStats,
    Failed,
    FromEngine,
    InputArrived,
    Ready,
    RemoveStream,
    Ring,
    Viewers,
)
from framewire.link.listen import bind
from framewire.link.ring import RingWriter
from framewire.link.supervisor import EngineSupervisor
from framewire.options import EngineOptions, StreamOptions


class ProcessHost:
    """`EngineHost` of an engine process, which is started again when it dies."""

    over = False
    usable_here = True

    def __init__(self, options: EngineOptions, listener: Listener) -> None:
        sockets = bind(options.host, options.port)
        self.port: int = sockets[0].getsockname()[1]
        self._listener = listener
        self._engine = EngineSupervisor(sockets, Configure(options=options), on_message=self._take)

    @property
    def pid(self) -> int | None:
        return self._engine.pid

    def open(self, options: StreamOptions) -> Outlet:
        return _RingOutlet(self._engine, options)

    def wait_ready(self, timeout: float) -> None:
        self._engine.wait_ready(timeout)

    async def ready(self) -> None:
        await asyncio.to_thread(self._engine.wait_ready)

    def close(self) -> None:
        self._engine.close()

    async def aclose(self) -> None:
        await asyncio.to_thread(self._engine.close)

    def _take(self, message: FromEngine) -> None:
        match message:
            case InputArrived():
                self._listener.on_input(message.stream, message.client_id, message.principal, message.event)
            case Viewers():
                self._listener.on_viewers(message.stream, message.count)
            case EngineStats():
                self._listener.on_stats(message.stream, message.stats)
            case Ready():
                self._listener.on_ready()
            case Failed():
                self._listener.on_failed(message.text)


class _RingOutlet:
    """A ring, replaced when a frame outgrows it."""

    def __init__(self, engine: EngineSupervisor, options: StreamOptions) -> None:
        self._engine = engine
        self._id = options.id
        self._lock = threading.Lock()
        self._closed = False
        engine.send(AddStream(options=options))
        # Room for RGBA of the announced size: pages that are never written cost nothing.
        self._ring = self._send_ring(options.width * options.height * 4)

    def write(self, pixels: Pixels, number: int, time_us: int) -> None:
        with self._lock:
            if self._closed:
                raise ClosedError("the stream is closed")
            if not self._ring.fits(pixels.nbytes):
                old = self._ring
                # The frame is in the new memory before the engine gets it, so the engine never finds it empty.
                self._ring = self._send_ring(pixels.nbytes, first=(pixels, number, time_us))
                old.close()
            else:
                self._ring.write(pixels, number, time_us)
        self._engine.ring_bell(self._id)

    def newest(self, known: int | None = None) -> Frame | None:
        with self._lock:
            if self._closed:
                raise ClosedError("the stream is closed")
            return self._ring.newest(known)

    def close(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
            with contextlib.suppress(ClosedError):
                self._engine.send(RemoveStream(id=self._id))
            self._ring.close()

    def _send_ring(self, capacity: int, first: tuple[Pixels, int, int] | None = None) -> RingWriter:
        ring = RingWriter(capacity)
        try:
            if first:
                ring.write(*first)
            self._engine.send(Ring(stream=self._id), ring)
        except BaseException:
            ring.close()
            raise
        return ring
