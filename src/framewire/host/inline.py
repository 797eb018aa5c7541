"""An engine on the caller's event loop: for embedding in another program, and for tests. Must not know displays."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from framewire.authentication import Authenticate, ConnectionRequest
from framewire.environment import running_loop
from framewire.errors import ClosedError, EngineError
from framewire.frame import Frame, Pixels
from framewire.host.authenticator import off_the_loop
from framewire.host.channels import ViewerChannels
from framewire.host.protocols import Listener, Outlet, ViewerChannel
from framewire.link.listen import bind, check_udp
from framewire.link.slot import LocalSlot
from framewire.options import EngineOptions, StreamOptions
from framewire.shortages import cure, reason

if TYPE_CHECKING:
    from framewire.engine.engine import Engine
    from framewire.engine.http.server import WebServer
    from framewire.engine.relay import ViewerRelay

log: Final = logging.getLogger("framewire")


class InlineHost:
    """`EngineHost` on the event loop that runs now.

    Whatever blocks that loop blocks the streams: in a notebook use the process.
    """

    pid = None

    def __init__(self, options: EngineOptions, listener: Listener, authenticate: Authenticate | None = None) -> None:
        loop = running_loop()
        if loop is None:
            raise EngineError('engine="inline" needs a running event loop; engine="process" does not')
        self._loop = loop
        check_udp(options.udp_host)
        self._sockets = bind(options.host, options.port)
        self.port: int = self._sockets[0].getsockname()[1]
        self._channels = ViewerChannels()
        try:
            self._engine, self._server, relay = _start_engine(options, listener, authenticate, self._channels)
        except BaseException:
            self._close_sockets()
            raise
        self._uplink = _LoopUplink(loop, relay)
        self._listener = listener
        self._started = self._loop.create_task(self._serve())
        self._reporter = self._loop.create_task(self._engine.report_stats())
        self._closing: asyncio.Task[None] | None = None

    @property
    def over(self) -> bool:
        return self._loop.is_closed()

    @property
    def usable_here(self) -> bool:
        return running_loop() is self._loop

    def open(self, options: StreamOptions) -> Outlet:
        return _SlotOutlet(self._engine, self._loop, options)

    def open_viewer(
        self,
        on_text: Callable[[str], None],
        on_binary: Callable[[bytes], None],
        on_close: Callable[[int, str], None],
        request: ConnectionRequest,
    ) -> ViewerChannel:
        return self._channels.open(self._uplink, on_text, on_binary, on_close, request)

    def wait_ready(self, timeout: float) -> None:
        """The sockets listen already; the loop serves them as soon as it runs."""

    async def ready(self) -> None:
        await asyncio.shield(self._started)

    def close(self) -> None:
        """Start to close it: the loop must run for viewers to be told. `aclose` waits for that."""
        try:
            _run_on(self._loop, self._start_closing)
        except ClosedError:  # the loop's end left these sockets open
            self._close_sockets()

    def stop(self) -> None:
        self.close()

    async def aclose(self) -> None:
        await asyncio.shield(self._start_closing())

    def _start_closing(self) -> asyncio.Task[None]:
        if self._closing is None:
            self._closing = self._loop.create_task(self._close())
            # Not at the task's own end: a loop that ends now cancels it before it has begun.
            self._closing.add_done_callback(lambda _: self._close_sockets())
        return self._closing

    async def _serve(self) -> None:
        try:
            await self._server.start(self._sockets)
        except Exception as error:
            text = f"the engine cannot serve its port: {reason(error)}; then serve again"
            log.error("framewire: %s", text)
            self._listener.on_failed(text)
            raise EngineError(text) from error

    async def _close(self) -> None:
        self._reporter.cancel()
        with contextlib.suppress(EngineError):  # the streams were told
            await self._started
        await self._engine.close()
        await self._server.close()

    def _close_sockets(self) -> None:
        for sock in self._sockets:
            sock.close()
        self._channels.close_all()


class _SlotOutlet:
    """A slot in this process, and at most one notice of it on its way to the loop."""

    def __init__(self, engine: Engine, loop: asyncio.AbstractEventLoop, options: StreamOptions) -> None:
        self._engine, self._loop, self._id = engine, loop, options.id
        self._slot = LocalSlot()
        self._notified = False
        _run_on(loop, lambda: engine.add_stream(options, self._slot))

    def write(self, pixels: Pixels, number: int, time_us: int) -> None:
        self._slot.write(pixels, number, time_us)
        # Once until the loop has run it: a publisher that is faster than the loop must not fill the loop's queue.
        if not self._notified:
            self._notified = True
            _run_on(self._loop, self._notify)

    def newest(self, known: int | None = None) -> Frame | None:
        return self._slot.newest(known)

    def describe(self, options: StreamOptions) -> None:
        _run_on(self._loop, lambda: self._engine.describe_stream(options))

    def close(self) -> None:
        self._slot.close()
        with contextlib.suppress(ClosedError):  # the loop is closed, and the engine with it
            _run_on(self._loop, lambda: self._engine.remove_stream(self._id))

    def _notify(self) -> None:
        self._notified = False
        self._engine.frame_published(self._id)


class _LoopUplink:
    """`channels.Uplink` to an engine on a loop of this process."""

    def __init__(self, loop: asyncio.AbstractEventLoop, relay: ViewerRelay) -> None:
        self._loop, self._relay = loop, relay

    def open_viewer(self, viewer: int, request: ConnectionRequest) -> None:
        _run_on(self._loop, partial(self._relay.open, viewer, request))

    def send_viewer_text(self, viewer: int, text: str) -> None:
        _run_on(self._loop, partial(self._relay.receive, viewer, text))

    def viewer_read(self, viewer: int, size: int) -> None:
        _run_on(self._loop, partial(self._relay.read, viewer, size))

    def close_viewer(self, viewer: int) -> None:
        _run_on(self._loop, partial(self._relay.close, viewer))


def _run_on(loop: asyncio.AbstractEventLoop, work: Callable[[], object]) -> None:
    """At once on the loop's own thread, soon from any other. Raises ClosedError where the loop is closed."""
    if running_loop() is loop:
        work()
        return
    try:
        loop.call_soon_threadsafe(work)
    except RuntimeError:
        raise ClosedError("the event loop that the engine ran on is closed") from None


def _start_engine(
    options: EngineOptions, listener: Listener, authenticate: Authenticate | None, channels: ViewerChannels
) -> tuple[Engine, WebServer, ViewerRelay]:
    try:  # Here, so that `import framewire` does not load the engine.
        from framewire.engine.engine import Engine
        from framewire.engine.http.server import WebServer
        from framewire.engine.relay import ViewerRelay
        from framewire.engine.viewer.admission import program_authorizer
    except (ImportError, OSError, MemoryError) as error:  # a low limit of memory or of open files, a broken install
        instead = "" if cure(error) else "; install framewire again (pip install --force-reinstall framewire)"
        raise EngineError(f"the engine cannot be imported: {reason(error)}{instead}") from error

    authorize = program_authorizer(off_the_loop(authenticate)) if authenticate else None
    engine = Engine(options, listener, authorize)
    return engine, WebServer(engine, options), ViewerRelay(engine, channels)
