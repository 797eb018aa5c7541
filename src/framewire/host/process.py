"""An engine in a process of its own: streams are rings of shared memory, reports come as messages.

Must not know displays, nor how a process is started.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from typing import Final

from framewire.authentication import Authenticate, ConnectionRequest
from framewire.errors import CloseCode, ClosedError, LocalProtocolError
from framewire.frame import Frame, Pixels
from framewire.host.authenticator import Authenticator
from framewire.host.channels import ViewerChannels
from framewire.host.protocols import Listener, Outlet, ViewerChannel
from framewire.host.waiting import off_loop
from framewire.link.control import (
    AddStream,
    AdmissionAnswered,
    AdmissionAsked,
    Configure,
    EngineStats,
    Failed,
    FromEngine,
    InputArrived,
    Ready,
    RemoveStream,
    Ring,
    ViewerBinary,
    ViewerClosed,
    ViewerOpened,
    ViewerRead,
    Viewers,
    ViewerText,
)
from framewire.link.listen import bind, check_udp
from framewire.link.ring import RingWriter, check_memory
from framewire.link.supervisor import EngineSupervisor
from framewire.options import EngineOptions, StreamOptions

log: Final = logging.getLogger("framewire")


class ProcessHost:
    """`EngineHost` of an engine process, which is started again when it dies."""

    over = False
    usable_here = True

    def __init__(self, options: EngineOptions, listener: Listener, authenticate: Authenticate | None = None) -> None:
        check_memory()
        check_udp(options.udp_host)
        sockets = bind(options.host, options.port)
        self.port: int = sockets[0].getsockname()[1]
        self._listener = listener
        self._channels = ViewerChannels()
        self._authenticator = Authenticator(authenticate, self._answer) if authenticate else None
        configure = Configure(options=options, asks_parent=authenticate is not None)
        self._engine = EngineSupervisor(sockets, configure, on_message=self._take, on_exit=self._channels.close_all)

    @property
    def pid(self) -> int | None:
        return self._engine.pid

    def open(self, options: StreamOptions) -> Outlet:
        return _RingOutlet(self._engine, options)

    def open_viewer(
        self,
        on_text: Callable[[str], None],
        on_binary: Callable[[bytes], None],
        on_close: Callable[[int, str], None],
        request: ConnectionRequest,
    ) -> ViewerChannel:
        uplink = _LinkUplink(self._engine, self._channels)
        return self._channels.open(uplink, on_text, on_binary, on_close, request)

    def wait_ready(self, timeout: float) -> None:
        self._engine.wait_ready(timeout)

    async def ready(self) -> None:
        await off_loop(self._engine.wait_ready)

    def close(self) -> None:
        self._engine.close()

    def stop(self) -> None:
        self._engine.stop()

    async def aclose(self) -> None:
        await off_loop(self._engine.close)

    def _take(self, message: FromEngine) -> None:
        match message:
            case InputArrived():
                self._listener.on_input(message.stream, message.client_id, message.principal, message.event)
            case Viewers():
                self._listener.on_viewers(message.stream, message.viewers)
            case EngineStats():
                self._listener.on_stats(message.stream, message.stats)
            case Ready():
                self._listener.on_ready()
            case Failed():
                self._listener.on_failed(message.text)
            case ViewerText():
                self._channels.on_viewer_text(message.id, message.text)
            case ViewerBinary():
                self._channels.on_viewer_binary(message.id, message.data)
            case ViewerClosed():
                self._channels.on_viewer_closed(message.id, message.code, message.reason)
            case AdmissionAsked():
                assert self._authenticator, "an engine asks only where it is configured to"
                self._authenticator.ask(message.id, message.token, message.request)

    def _answer(self, question: int, principal: str | None, failed: bool) -> None:
        with contextlib.suppress(ClosedError):
            try:
                self._engine.send_once(AdmissionAnswered(id=question, principal=principal, failed=failed))
            except LocalProtocolError:  # a principal that cannot be encoded
                log.exception("framewire: a principal cannot be sent to the engine")
                self._engine.send_once(AdmissionAnswered(id=question, failed=True))


class _LinkUplink:
    """`channels.Uplink` over the link."""

    def __init__(self, engine: EngineSupervisor, channels: ViewerChannels) -> None:
        self._engine, self._channels = engine, channels

    def open_viewer(self, viewer: int, request: ConnectionRequest) -> None:
        if not self._engine.send_once(ViewerOpened(id=viewer, request=request)):
            self._channels.on_viewer_closed(viewer, CloseCode.GOING_AWAY, "the engine is being started again")

    def send_viewer_text(self, viewer: int, text: str) -> None:
        self._engine.send_once(ViewerText(id=viewer, text=text))

    def viewer_read(self, viewer: int, size: int) -> None:
        self._engine.send_once(ViewerRead(id=viewer, size=size))

    def close_viewer(self, viewer: int) -> None:
        self._engine.send_once(ViewerClosed(id=viewer))


class _RingOutlet:
    """A ring, replaced when a frame outgrows it."""

    def __init__(self, engine: EngineSupervisor, options: StreamOptions) -> None:
        self._engine = engine
        self._id = options.id
        self._lock = threading.Lock()
        self._closed = False
        self._ring_count, self._is_sent = 0, False
        # Room for RGBA of the announced size: pages that are never written cost nothing.
        self._ring = RingWriter(options.width * options.height * 4)  # before the engine is told of a stream
        try:
            engine.send(AddStream(options=options))
            self._send(self._ring)
            self._is_sent = True
        except BaseException:
            self._ring.close()
            raise

    def write(self, pixels: Pixels, number: int, time_us: int) -> None:
        with self._lock:
            if self._closed:
                raise ClosedError("the stream is closed")
            if self._ring.fits(pixels.nbytes):
                self._ring.write(pixels, number, time_us)
            else:
                self._use_larger_ring(pixels, number, time_us)
            if not self._is_sent:  # a larger one could not be, or an interrupt came in the middle of it
                self._send(self._ring)
                self._is_sent = True
        self._engine.ring_bell(self._id)

    def newest(self, known: int | None = None) -> Frame | None:
        with self._lock:
            if self._closed:
                raise ClosedError("the stream is closed")
            return self._ring.newest(known)

    def describe(self, options: StreamOptions) -> None:
        self._engine.send(AddStream(options=options))

    def close(self) -> None:
        with self._lock:
            if not self._closed:
                self._closed = True
                with contextlib.suppress(ClosedError):
                    self._engine.send(RemoveStream(id=self._id))
            self._ring.close()  # again, in case that an interrupt came between the two

    def _use_larger_ring(self, pixels: Pixels, number: int, time_us: int) -> None:
        larger, old = RingWriter(pixels.nbytes), self._ring
        try:
            # The frame is in the new memory before the engine gets it, so the engine never finds it empty.
            larger.write(pixels, number, time_us)
            self._is_sent = False
            self._send(larger)
        except BaseException:
            larger.close()
            raise
        self._ring, self._is_sent = larger, True
        old.close()

    def _send(self, ring: RingWriter) -> None:
        self._ring_count += 1
        self._engine.send(Ring(stream=self._id, number=self._ring_count), ring)
