"""A whole server without processes, sockets or time: a program, the link's bytes, and an engine with its streams and
viewers. Its pages' messages go through all of them.

Must not know in which order things happen.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, Final
from unittest import mock

import numpy as np

from framewire import wire
from framewire.authentication import ConnectionRequest
from framewire.codec.messages import Assembler
from framewire.engine import engine as engine_module
from framewire.engine.__main__ import _relay_viewer
from framewire.engine.engine import Engine
from framewire.engine.relay import ViewerRelay
from framewire.engine.stream import stream as stream_module
from framewire.engine.viewer import viewer as viewer_module
from framewire.engine.viewer.openings import PeerOpenings
from framewire.errors import ClosedError
from framewire.host import channels as channels_module
from framewire.host.channels import ViewerChannels
from framewire.link import control
from framewire.link.restart import Replay, RestartPolicy
from framewire.link.slot import LocalSlot
from framewire.options import EngineOptions, StreamOptions
from framewire.rtc.peer import PeerOffer
from framewire.viewers import WatchingViewer
from tests.engine.stills import Encoder
from tests.fuzz.virtual_loop import HereExecutor

TOKEN: Final = "t" * 22


class FakePeer:
    """A peer connection that negotiates at once; whether it connects is the episode's choice."""

    made: list[FakePeer]

    def __init__(self, options: EngineOptions, *, on_event: Any, parity: bool, tcp_bps: Any, **_: Any) -> None:
        self.on_event = on_event
        self.closed = False
        FakePeer.made.append(self)

    async def offer(self, tracks: Any) -> PeerOffer:
        assert not self.closed and tracks
        return PeerOffer("v=0", {track.sub: str(index) for index, track in enumerate(tracks)})

    async def answer(self, sdp: str) -> None:
        assert not self.closed
        if sdp == "bad":
            raise ValueError("aiortc raises all kinds of errors for odd SDP")

    async def add_candidate(self, candidate: str, sdp_mid: str) -> None: ...
    def set_useful_bitrate(self, bits_per_second: int) -> None: ...

    def send(self, sub: int, unit: Any) -> bool:
        assert not self.closed, "no effect after close"
        return True

    async def close(self) -> None:
        await asyncio.sleep(0.05)
        self.closed = True


class Page:
    """One viewer, with what it has been sent. ``reads`` says whether it takes its messages."""

    def __init__(self) -> None:
        self.channel: Any = None
        self.messages: list[wire.ServerMessage] = []
        self.units = 0
        self.closes = 0
        self.highest = 0
        self.assembler = Assembler()
        self.has_left = False

    def on_text(self, text: str) -> None:
        assert not self.closes and not self.has_left, "no effect after close"
        self.messages.append(wire.decode_server(text))

    def on_binary(self, data: bytes) -> None:
        assert not self.closes and not self.has_left, "no effect after close"
        if self.assembler.feed(data):
            self.units += 1

    def on_close(self, code: int, reason: str) -> None:
        assert not self.has_left, "a page that has left is not told"
        self.closes += 1
        assert self.closes == 1 and reason.isprintable()

    @property
    def is_open(self) -> bool:
        return not (self.closes or self.has_left)


class _NoThread:
    """In the place of a channel's thread: the episode says when it delivers."""

    def __init__(self, *, target: Any, name: str, daemon: bool) -> None: ...
    def start(self) -> None: ...


class EngineEnd:
    """One run of the engine: what `EngineProgram` does with its messages, and the messages that it sends."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.decoder = control.engine_decoder()
        self.engine: Engine | None = None
        self.relay: ViewerRelay | None = None
        self.options: dict[int, StreamOptions] = {}
        self.dead = False

    def take(self, data: bytes) -> None:
        for message in self.decoder.feed(data):
            self._take(message)

    def _take(self, message: control.ToEngine) -> None:
        match message:
            case control.Configure():
                self.engine = Engine(message.options, self)
                self.engine._pool = HereExecutor()  # type: ignore[assignment]
                self.relay = ViewerRelay(self.engine, self)
            case control.AddStream():
                self.options[message.options.id] = message.options
                if self.engine:
                    self.engine.describe_stream(message.options)
            case control.Ring() if self.engine:
                slot = self._desk.slots[message.stream]
                self.engine.add_stream(self.options[message.stream], slot)
                self.engine.frame_published(message.stream)
            case control.RemoveStream():
                self.options.pop(message.id, None)
                if self.engine:
                    self.engine.remove_stream(message.id)
            case _ if self.relay:
                _relay_viewer(self.relay, message)

    # What the engine and its relay report

    def on_input(self, stream: int, client_id: str, principal: str | None, event: dict[str, Any]) -> None:
        self._send(control.InputArrived(stream=stream, client_id=client_id, principal=principal, event=event))

    def on_viewers(self, stream: int, viewers: tuple[WatchingViewer, ...]) -> None:
        self._send(control.Viewers(stream=stream, viewers=viewers))

    def on_stats(self, stream: int, stats: dict[str, Any]) -> None:
        self._send(control.EngineStats(stream=stream, stats=stats))

    def on_viewer_text(self, viewer: int, text: str) -> None:
        self._send(control.ViewerText(id=viewer, text=text))

    def on_viewer_binary(self, viewer: int, data: bytes) -> None:
        self._send(control.ViewerBinary(id=viewer, data=data))

    def on_viewer_closed(self, viewer: int, code: int, reason: str) -> None:
        self._send(control.ViewerClosed(id=viewer, code=code, reason=reason))

    def _send(self, message: control.FromEngine) -> None:
        if not self.dead:
            self._desk.from_engine(control.encode(message))

    async def kill(self) -> None:
        """The process is gone; its tasks end with the episode's loop as they would with the process."""
        self.dead = True
        if self.engine:
            await self.engine.close()


class Desk:
    """The program's side: streams, channels, and the engine that runs now."""

    def __init__(self) -> None:
        self.channels = ViewerChannels()
        self.pages: list[Page] = []
        self.slots: dict[int, LocalSlot] = {}
        self.names: dict[int, str] = {}
        self.next_stream = self.number = 0
        self.replay: Replay[str] = Replay(control.Configure(options=EngineOptions(token=TOKEN)))
        self.policy = RestartPolicy()
        self.given_up = False
        self.end: EngineEnd | None = None
        self._decoder = control.parent_decoder()
        self.watching: dict[int, int] = {}

    # Uplink

    def open_viewer(self, viewer: int, request: ConnectionRequest) -> None:
        self._once(control.ViewerOpened(id=viewer, request=request))

    def send_viewer_text(self, viewer: int, text: str) -> None:
        self._once(control.ViewerText(id=viewer, text=text))

    def viewer_read(self, viewer: int, size: int) -> None:
        self._once(control.ViewerRead(id=viewer, size=size))

    def close_viewer(self, viewer: int) -> None:
        self._once(control.ViewerClosed(id=viewer))

    def _once(self, message: control.ToEngine) -> None:
        if self.end is None:
            raise ClosedError("the engine has ended")
        self.end.take(control.encode(message))

    # What the engine sends

    def from_engine(self, data: bytes) -> None:
        for message in self._decoder.feed(data):
            match message:
                case control.ViewerText():
                    self.channels.on_viewer_text(message.id, message.text)
                case control.ViewerBinary():
                    self.channels.on_viewer_binary(message.id, message.data)
                case control.ViewerClosed():
                    self.channels.on_viewer_closed(message.id, message.code, message.reason)
                case control.Viewers():
                    self.watching[message.stream] = len(message.viewers)
                case control.InputArrived():
                    assert message.event["type"]

    # What happens

    def start(self) -> None:
        self.end = EngineEnd(self)
        self._decoder = control.parent_decoder()
        for message, _ in self.replay.messages():
            self.end.take(control.encode(message))

    async def die(self, now: float) -> None:
        if self.end:
            end, self.end = self.end, None
            await end.kill()
            self.channels.close_all()
            self.watching.clear()
            self.given_up = self.policy.exited(now, was_ready=True) is None

    def send(self, message: control.ToEngine) -> None:
        self.replay.record(message, "memory" if isinstance(message, control.Ring) else None)
        if self.end:
            self.end.take(control.encode(message))

    def add_stream(self, name: str) -> None:
        id_ = self.next_stream
        self.next_stream += 1
        for old in [each for each, known in self.names.items() if known == name]:
            self.remove_stream(old)
        self.slots[id_], self.names[id_] = LocalSlot(), name
        self.send(control.AddStream(options=StreamOptions(id=id_, name=name, width=6, height=4)))
        self.send(control.Ring(stream=id_))

    def remove_stream(self, id_: int) -> None:
        self.names.pop(id_)
        self.send(control.RemoveStream(id=id_))
        self.slots.pop(id_).close()

    def publish(self, id_: int, shape: tuple[int, int, int]) -> None:
        self.number += 1
        self.slots[id_].write(np.full(shape, self.number & 255, np.uint8), self.number, self.number)
        if self.end and self.end.engine:
            self.end.engine.frame_published(id_)

    def connect(self) -> None:
        page = Page()
        self.pages.append(page)
        try:
            page.channel = self.channels.open(self, page.on_text, page.on_binary, page.on_close, ConnectionRequest())
        except ClosedError:
            page.has_left = True

    def deliver(self, page: Page) -> None:
        """What the channel's thread does, until there is nothing more."""
        channel = page.channel
        if channel and not channel.received.empty():
            channel.received.put(_STOP)
            with mock.patch.object(channels_module, "run_callback", lambda callback, *values: callback(*values)):
                _deliver(channel)


_STOP: Final[Any] = object()


def _deliver(channel: Any) -> None:
    """`_Channel._deliver`, which waits where this one returns."""
    received, channel.received = channel.received, SimpleNamespace(get=None)
    end: list[Any] = []

    def get() -> Any:
        item = received.get()
        if item is _STOP:
            end.append(item)
            return channels_module._End(0, "")
        return item

    channel.received.get = get
    closed, on_close = channel._closed, channel._on_close
    channel._on_close = lambda *values: None if end else on_close(*values)
    try:
        channel._deliver()
    finally:
        channel.received, channel._on_close = received, on_close
        assert channel._closed >= closed


@contextmanager
def without_the_world() -> Iterator[list[logging.LogRecord]]:
    """No threads, no clocks, no peers, no encoders; what is logged as an error is kept."""
    FakePeer.made = []
    loop = asyncio.get_running_loop()
    clock = SimpleNamespace(monotonic=loop.time, time=loop.time)
    records: list[logging.LogRecord] = []
    handler = logging.Handler(logging.ERROR)
    handler.emit = records.append  # type: ignore[assignment, method-assign]
    logger = logging.getLogger("framewire")
    logger.addHandler(handler)
    propagates, logger.propagate = logger.propagate, False
    try:
        with (
            mock.patch.object(viewer_module, "Peer", FakePeer),
            mock.patch.object(viewer_module, "time", clock),
            mock.patch.object(engine_module, "time", clock),
            mock.patch.object(engine_module, "PeerOpenings", lambda: PeerOpenings(loop.time)),
            mock.patch.object(stream_module, "open_encoder", lambda *_, **__: Encoder()),
            mock.patch.object(threading, "Thread", _NoThread),
            mock.patch.object(engine_module, "available_codecs", lambda: ("h264", "vp8")),
        ):
            yield records
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagates
