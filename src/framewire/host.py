"""Where the engine lives: in a process of its own, or on the caller's event loop. The same two things to a
`Server`: streams that can be written, and events that come back. Must not know displays or users."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from framewire.errors import ClosedError, EngineError
from framewire.frame import Pixels
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
from framewire.link.launch import EngineProcess
from framewire.link.listen import bind
from framewire.link.ring import LocalSlot, RingWriter
from framewire.options import EngineOptions, StreamOptions

if TYPE_CHECKING:
    from framewire.engine.engine import Engine
    from framewire.engine.http.server import WebServer


class Outlet(Protocol):
    """One stream's way into the engine."""

    def write(self, pixels: Pixels, number: int, time_us: int) -> None:
        """Copy the frame and make it the newest. Any thread; never waits for anybody. Raises ClosedError."""

    def close(self) -> None: ...


class Listener(Protocol):
    """What comes back. May be called on any thread; must return at once."""

    def on_input(self, stream: int, client_id: str, principal: str | None, event: dict[str, Any]) -> None: ...
    def on_viewers(self, stream: int, count: int) -> None: ...
    def on_stats(self, stream: int, stats: dict[str, Any]) -> None: ...
    def on_ready(self) -> None:
        """The engine is up, for the first time or once more; nobody watches yet."""

    def on_failed(self, text: str) -> None: ...


class EngineHost(Protocol):
    """An engine, wherever it lives."""

    @property
    def port(self) -> int: ...
    @property
    def pid(self) -> int | None: ...
    def open(self, options: StreamOptions) -> Outlet: ...
    def wait_ready(self, timeout: float) -> None: ...
    async def ready(self) -> None: ...
    def close(self) -> None: ...
    async def aclose(self) -> None: ...


def open_sockets(options: EngineOptions) -> list[socket.socket]:
    """Listening sockets. Raises EngineError naming the port that is taken."""
    return bind("" if options.host in ("0.0.0.0", "*") else options.host, options.port)


class ProcessHost:
    """An engine in a process of its own."""

    def __init__(self, options: EngineOptions, listener: Listener) -> None:
        sockets = open_sockets(options)
        self.port: int = sockets[0].getsockname()[1]
        self._listener = listener
        self._process = EngineProcess(sockets, Configure(options=options), on_message=self._take)

    @property
    def pid(self) -> int | None:
        return self._process.pid

    def open(self, options: StreamOptions) -> Outlet:
        return _RingOutlet(self._process, options)

    def wait_ready(self, timeout: float) -> None:
        self._process.wait_ready(timeout)

    async def ready(self) -> None:
        await asyncio.to_thread(self._process.wait_ready, 30.0)

    def close(self) -> None:
        self._process.close()

    async def aclose(self) -> None:
        await asyncio.to_thread(self._process.close)

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

    def __init__(self, process: EngineProcess, options: StreamOptions) -> None:
        self._process = process
        self._id = options.id
        self._lock = threading.Lock()
        self._closed = False
        process.send(AddStream(options=options))
        # Room for RGBA of the announced size: pages that are never written cost nothing.
        self._ring = self._hand_over(options.width * options.height * 4)

    def write(self, pixels: Pixels, number: int, time_us: int) -> None:
        with self._lock:
            if self._closed:
                raise ClosedError("the stream is closed")
            if not self._ring.fits(pixels.nbytes):
                old = self._ring
                # The frame is in the new memory before the engine hears of it: it never finds it empty.
                self._ring = self._hand_over(pixels.nbytes, first=(pixels, number, time_us))
                old.close()
            else:
                self._ring.write(pixels, number, time_us)
        self._process.ring_bell(self._id)

    def close(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
            with contextlib.suppress(ClosedError):
                self._process.send(RemoveStream(id=self._id))
            self._ring.close()

    def _hand_over(self, capacity: int, first: tuple[Pixels, int, int] | None = None) -> RingWriter:
        ring = RingWriter(capacity)
        try:
            if first:
                ring.write(*first)
            self._process.send(Ring(stream=self._id), ring)
        except BaseException:
            ring.close()
            raise
        return ring


class InlineHost:
    """The engine on the event loop that runs now: for embedding and for tests.

    Whatever blocks that loop blocks the stream: in a notebook use the process.
    """

    pid: int | None = None

    def __init__(self, options: EngineOptions, listener: Listener) -> None:
        loop = _running_loop()
        if loop is None:
            raise EngineError('engine="inline" needs a running event loop; engine="process" does not')
        self._loop = loop
        self._sockets = open_sockets(options)
        self.port: int = self._sockets[0].getsockname()[1]
        self._engine, self._server = _inline_engine(options, _InlineVoice(listener))
        self._listener = listener
        self._started = self._loop.create_task(self._server.start(self._sockets))
        self._reporter = self._loop.create_task(self._report())
        self._ended: asyncio.Task[None] | None = None

    @property
    def over(self) -> bool:
        """Whether its loop is closed: nothing comes of it any more."""
        return self._loop.is_closed()

    @property
    def engine(self) -> Engine:
        """The engine itself, for those who embed it."""
        return self._engine

    def open(self, options: StreamOptions) -> Outlet:
        return _SlotOutlet(self._engine, self._loop, options)

    def wait_ready(self, timeout: float) -> None:
        """The sockets listen already; the loop serves them as soon as it gets to run."""

    async def ready(self) -> None:
        await asyncio.shield(self._started)

    def close(self) -> None:
        """Ends it soon: the loop must run for the goodbyes to be said. `aclose` waits for them."""
        try:
            _run_on(self._loop, self._end)
        except ClosedError:  # it took everything with it but these
            self._close_sockets()

    async def aclose(self) -> None:
        await asyncio.shield(self._end())

    def _end(self) -> asyncio.Task[None]:
        if self._ended is None:
            self._ended = self._loop.create_task(self._close())
            # Not at the task's own end: a loop that ends now cancels it before it has begun.
            self._ended.add_done_callback(lambda _: self._close_sockets())
        return self._ended

    async def _close(self) -> None:
        self._reporter.cancel()
        await self._started
        await self._engine.close()
        await self._server.close()

    def _close_sockets(self) -> None:
        for sock in self._sockets:
            sock.close()

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            for id_, stats in self._engine.stats().items():
                self._listener.on_stats(id_, stats)


class _InlineVoice:
    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def on_input(self, stream: int, client_id: str, principal: str | None, event: dict[str, Any]) -> None:
        self._listener.on_input(stream, client_id, principal, event)

    def on_viewers(self, stream: int, count: int) -> None:
        self._listener.on_viewers(stream, count)


class _SlotOutlet:
    def __init__(self, engine: Engine, loop: asyncio.AbstractEventLoop, options: StreamOptions) -> None:
        self._engine, self._loop, self._id = engine, loop, options.id
        self._slot = LocalSlot()
        self._told = False
        _run_on(loop, lambda: engine.add_stream(options, self._slot))

    def write(self, pixels: Pixels, number: int, time_us: int) -> None:
        self._slot.write(pixels, number, time_us)
        # Once until the loop has looked: a publisher that is faster than the loop must not fill its queue.
        if not self._told:
            self._told = True
            _run_on(self._loop, self._tell)

    def _tell(self) -> None:
        self._told = False
        self._engine.frame_published(self._id)

    def close(self) -> None:
        self._slot.close()
        with contextlib.suppress(ClosedError):  # the loop is closed, and the engine with it
            _run_on(self._loop, lambda: self._engine.remove_stream(self._id))


def _run_on(loop: asyncio.AbstractEventLoop, work: Callable[[], object]) -> None:
    """Here and now on the loop's own thread, soon from any other. Raises ClosedError where the loop is closed."""
    if _running_loop() is loop:
        work()
        return
    try:
        loop.call_soon_threadsafe(work)
    except RuntimeError:
        raise ClosedError("the event loop that the engine ran on is closed") from None


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _inline_engine(options: EngineOptions, voice: _InlineVoice) -> tuple[Engine, WebServer]:
    from framewire.engine.engine import Engine
    from framewire.engine.http.server import WebServer

    engine = Engine(options, voice)
    return engine, WebServer(engine, options)
