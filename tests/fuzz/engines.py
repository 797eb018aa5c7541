"""Episodes of a whole server without processes, sockets or time: a program, the link's bytes, an engine with its
streams and viewers, and pages that behave or do not. Engines die and are started again.

Must not know how episodes are made smaller, kept or counted.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Hashable, Iterator
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
from framewire.engine.engine import MAX_VIEWERS, Engine
from framewire.engine.relay import MAX_UNREAD_BYTES, ViewerRelay
from framewire.engine.stream import stream as stream_module
from framewire.engine.viewer import viewer as viewer_module
from framewire.errors import ClosedError
from framewire.host import channels as channels_module
from framewire.host.channels import ViewerChannels
from framewire.link import control
from framewire.link.restart import Replay, RestartPolicy
from framewire.link.slot import LocalSlot
from framewire.options import EngineOptions, StreamOptions
from framewire.rtc.peer import BitrateEstimate, KeyframeWanted, PeerOffer, PeerState
from framewire.viewers import WatchingViewer
from tests.engine.stills import Encoder
from tests.fuzz.choices import Choices
from tests.fuzz.fuzzer import Target
from tests.fuzz.mutators import spliced
from tests.fuzz.sessions import episode_seeds
from tests.fuzz.virtual_loop import HereExecutor, VirtualLoop

TOKEN: Final = "t" * 22
NAMES: Final = ("a", "b", "c")
MAX_PAGES: Final = 6
MAX_STEPS: Final = 60
STEPS_S: Final = (0.0, 0.01, 0.1, 0.5, 1.1, 5.1, 11.0)


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
def _without_the_world() -> Iterator[list[logging.LogRecord]]:
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
            mock.patch.object(stream_module, "open_encoder", lambda *_, **__: Encoder()),
            mock.patch.object(threading, "Thread", _NoThread),
            mock.patch.object(engine_module, "available_codecs", lambda: ("h264", "vp8")),
        ):
            yield records
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagates


def play(data: bytes) -> Hashable:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        reached = runner.run(_play(Choices(data)))
        loop: Any = runner.get_loop()
        assert not loop.errors, loop.errors
        return reached


async def _play(choices: Choices) -> Hashable:
    with _without_the_world() as records:
        desk = Desk()
        desk.add_stream("a")
        desk.start()
        desk.connect()
        steps = 0
        while choices.more and steps < MAX_STEPS:
            steps += 1
            await _step(choices, desk)
            _check(desk)
        units = await _behave(desk)
        await _close(desk)
        bugs = [record for record in records if "negotiation failed" not in record.getMessage()]
        assert not bugs, [(record.getMessage(), record.exc_info) for record in bugs]
        return (len(desk.pages), min(units, 3), min(len(FakePeer.made), 4), min(desk.next_stream, 4), desk.given_up)


async def _settle() -> None:
    for _ in range(12):
        await asyncio.sleep(0)


async def _step(choices: Choices, desk: Desk) -> None:
    kind = choices.below(20)
    pages = [page for page in desk.pages if page.is_open]
    if kind <= 9 and pages:
        _page_sends(choices, desk, choices.pick(pages), kind)
    elif kind <= 11:
        _page_comes_or_goes(choices, desk, pages, kind)
    elif kind <= 15:
        _program_goes_on(choices, desk, kind)
    elif kind == 16 and choices.below(3) == 0:
        await desk.die(asyncio.get_running_loop().time())
        if not desk.given_up:
            desk.start()
    elif kind == 17 and FakePeer.made:
        _peer_event(choices, choices.pick(FakePeer.made))
    elif kind == 18:
        await asyncio.sleep(choices.pick(STEPS_S))
    else:
        await _settle()
        for page in desk.pages:
            desk.deliver(page)


def _page_comes_or_goes(choices: Choices, desk: Desk, pages: list[Page], kind: int) -> None:
    if kind == 10 and len(pages) < MAX_PAGES:
        desk.connect()
    elif pages:
        page = choices.pick(pages)
        page.has_left = True
        page.channel.close()


def _program_goes_on(choices: Choices, desk: Desk, kind: int) -> None:
    if kind == 12 or not desk.names:
        desk.add_stream(choices.pick(NAMES))
    elif kind == 13:
        desk.remove_stream(choices.pick(sorted(desk.names)))
    else:
        desk.publish(choices.pick(sorted(desk.names)), choices.pick(((4, 6, 3), (8, 8, 1), (4, 6, 4), (300, 300, 3))))


def _page_sends(choices: Choices, desk: Desk, page: Page, kind: int) -> None:
    if kind == 0:
        _say(page, wire.Hello(1, choices.pick((TOKEN, TOKEN, TOKEN, "wrong")), ["h264", "vp8"], webcodecs=["h264"]))
    elif kind <= 3:
        page.highest += choices.pick((1, 1, 1, 1, 0))
        modes: tuple[wire.Mode, ...] = ("lossless", "webrtc", "webcodecs")
        _say(page, wire.Subscribe(max(1, page.highest), choices.pick(NAMES), choices.pick(modes)))
    elif kind == 4:
        _say(page, wire.Unsubscribe(max(1, page.highest - choices.below(3))))
    elif kind == 5:
        _say(page, wire.Ack(max(1, page.highest - choices.below(3)), max(0, desk.number - choices.below(4))))
    elif kind == 6:
        sub = max(1, page.highest - choices.below(3))
        _say(page, wire.Report(sub, 1.0, choices.below(3) > 0, 1, 1, keyframe=choices.below(4) == 0))
    elif kind == 7:
        offer = next((each for each in reversed(page.messages) if isinstance(each, wire.Offer)), None)
        if offer:
            _say(page, wire.Answer(offer.peer, offer.offer, choices.pick(("v=0", "v=0", "v=0", "bad"))))
    elif kind == 8:
        _say(page, wire.Input(max(1, page.highest), wire.RenderviewEvent("show", 1.0)))
    else:
        _say_text(page, choices.pick(("{}", "", '{"type":"hello"}', "[" * 500)))


def _say(page: Page, message: wire.ViewerMessage) -> None:
    _say_text(page, wire.encode(message))


def _say_text(page: Page, text: str) -> None:
    try:
        page.channel.send_text(text)
    except ClosedError:
        assert page.channel._id not in page.channel._channels, "it is closed, and about to be told"


def _peer_event(choices: Choices, peer: FakePeer) -> None:
    peer.on_event(
        choices.pick(
            (
                PeerState("connected"),
                PeerState("failed"),
                BitrateEstimate(choices.below(256) * 10_000, measured=True),
                KeyframeWanted(choices.below(4)),
                PeerState("connected"),
            )
        )
    )


def _check(desk: Desk) -> None:
    engine = desk.end.engine if desk.end else None
    if engine is None or desk.end is None or desk.end.relay is None:
        return
    assert engine.viewers <= MAX_VIEWERS
    assert {stream.options.name for stream in engine._streams.values()} == set(desk.names.values())
    assert desk.end.relay._viewers.keys() >= {
        page.channel._id for page in desk.pages if page.is_open and page.channel
    } & (desk.channels._channels.keys())
    for _, socket in desk.end.relay._viewers.values():
        assert socket._unread_bytes <= MAX_UNREAD_BYTES + 256 * 1024 + 65_536
    for stream in engine._streams.values():
        for encoding in stream._encodings.values():
            assert len(encoding), "an encoding without subscribers stops"
    alive = [peer for peer in FakePeer.made if not peer.closed]
    assert len(alive) <= 9 * len(desk.pages)


async def _behave(desk: Desk) -> int:
    """From here on all works: a new page that does what the contract says has its picture."""
    if desk.given_up:
        return -1
    if desk.end is None:
        desk.start()
    desk.add_stream("a")
    desk.connect()
    page = desk.pages[-1]
    _say(page, wire.Hello(1, TOKEN, ["h264"]))
    _say(page, wire.Subscribe(1, "a", "lossless"))
    desk.publish(max(desk.names), (4, 6, 3))
    for _ in range(8):
        await asyncio.sleep(0.02)
        for each in desk.pages:
            desk.deliver(each)
        if page.units:
            break
    assert page.is_open and page.units, "a viewer that behaves ends with a picture"
    return page.units


async def _close(desk: Desk) -> None:
    """Everything that was opened is closed in the end."""
    end = desk.end
    for page in desk.pages:
        if page.is_open and page.channel:
            page.channel.close()
            page.has_left = True
    await asyncio.sleep(0.2)
    if end and end.engine and end.relay:
        await asyncio.gather(*end.relay._leaving)
        assert end.engine.viewers == 0 and not end.relay._viewers
        for stream in end.engine._streams.values():
            assert stream.viewers == 0 and not stream._encodings
        await end.engine.close()
    assert not desk.channels._channels
    assert all(peer.closed for peer in FakePeer.made)
    for slot in desk.slots.values():
        slot.close()
    await asyncio.sleep(20)
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    assert not tasks, tasks


def _seeds() -> list[bytes]:
    orderly = [0, 0, 1, 0, 0, 19, 14, 0, 0, 19, 5, 0, 0, 0, 19, 2, 0, 0, 0, 1, 19, 7, 0, 0, 17, 0, 0, 14, 0, 0, 19]
    return [bytes(orderly), *episode_seeds()]


TARGETS: Final = (
    Target(
        "engine", play, _seeds, spliced, max_bytes=300, is_episode=True, variations=1, ci_inputs=300,
        max_cpu_s=1.0, max_peak_bytes=64 << 20,
    ),
)  # fmt: skip
