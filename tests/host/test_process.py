"""A host with an engine process: the messages and the memory that go there, and the reports that come back."""

from __future__ import annotations

import socket
from typing import Any

import numpy as np
import pytest

from framewire.authentication import ConnectionRequest
from framewire.errors import ClosedError
from framewire.host import process as host_module
from framewire.host.process import ProcessHost
from framewire.link.control import (
    AddStream,
    AdmissionAnswered,
    AdmissionAsked,
    EngineStats,
    Failed,
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
    encode,
)
from framewire.link.ring import RingReader, RingWriter
from framewire.viewers import WatchingViewer
from tests.host.fakes import OPTIONS, STREAM, Recorder
from tests.viewer import eventually, flat


class FakeSupervisor:
    """Records what is sent, and reads the rings."""

    def __init__(self, listeners: list[socket.socket], configure: Any, *, on_message: Any, on_exit: Any) -> None:
        self.listeners, self.configure, self.on_message = listeners, configure, on_message
        self.on_exit = on_exit
        self.sent: list[Any] = []
        self.readers: list[RingReader] = []
        self.bells: list[int] = []
        self.waits: list[float] = []
        self.closed = False
        self.pid = 4711
        self.runs = True

    def send(self, message: Any, ring: RingWriter | None = None) -> None:
        if self.closed:
            raise ClosedError("the engine is closed")
        encode(message)
        self.sent.append(message)
        if ring:
            self.readers.append(RingReader(ring.memory))

    def send_once(self, message: Any) -> bool:
        if self.runs:
            self.send(message)
        return self.runs

    def ring_bell(self, stream: int) -> None:
        self.bells.append(stream)

    def wait_ready(self, timeout: float = 30.0) -> None:
        self.waits.append(timeout)

    def close(self) -> None:
        self.closed = True
        for listener in self.listeners:
            listener.close()


def newest(reader: RingReader) -> int | None:
    lease = reader.latest()
    if lease is None:
        return None
    value = int(lease.frame.pixels[0, 0, 0])
    lease.release()
    return value


@pytest.fixture
def listener() -> Recorder:
    return Recorder()


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, listener: Recorder) -> ProcessHost:
    monkeypatch.setattr(host_module, "EngineSupervisor", FakeSupervisor)
    return ProcessHost(OPTIONS, listener)


def engine_of(host: ProcessHost) -> Any:
    return host._engine


def test_a_frame_that_outgrows_its_memory_is_in_the_new_one_before_the_engine_gets_it(host: ProcessHost) -> None:
    engine, outlet = engine_of(host), host.open(STREAM)
    assert [type(message) for message in engine.sent] == [AddStream, Ring]
    assert engine.sent[0].options == STREAM
    outlet.write(flat(8, 6, 1), 1, 1)
    outlet.write(np.full((6, 8, 4), 2, np.uint8), 2, 2)
    assert len(engine.readers) == 1, "there is room for RGBA of the announced size"
    outlet.write(flat(100, 100, 3), 3, 3)
    assert [newest(reader) for reader in engine.readers] == [2, 3]
    assert [type(message) for message in engine.sent] == [AddStream, Ring, Ring]
    assert engine.bells == [0, 0, 0]
    outlet.close()
    outlet.close()
    assert isinstance(engine.sent[-1], RemoveStream) and len(engine.sent) == 4
    with pytest.raises(ClosedError):
        outlet.write(flat(8, 6), 4, 4)
    host.close()


def test_memory_that_could_not_be_sent_is_closed_and_the_old_one_kept(host: ProcessHost) -> None:
    outlet: Any = host.open(STREAM)
    host.close()
    with pytest.raises(ClosedError):
        outlet.write(flat(100, 100), 1, 1)
    assert outlet._ring.fits(8 * 6 * 4) and not outlet._ring.fits(100 * 100 * 3)
    outlet.close()


def test_the_newest_frame_can_be_copied_until_the_stream_is_closed(host: ProcessHost) -> None:
    outlet = host.open(STREAM)
    assert outlet.newest() is None
    outlet.write(flat(8, 6, 1), 1, 10)
    outlet.write(flat(100, 100, 2), 2, 20)
    frame = outlet.newest(1)
    assert frame and (frame.number, frame.time_us, frame.width) == (2, 20, 100) and (frame.pixels == 2).all()
    assert outlet.newest(2) is None
    outlet.close()
    with pytest.raises(ClosedError):
        outlet.newest()
    host.close()


async def test_messages_of_a_viewer_go_both_ways(host: ProcessHost) -> None:
    engine, received = engine_of(host), Recorder()
    channel = host.open_viewer(
        lambda text: received.calls.append((text,)),
        lambda data: received.calls.append((data,)),
        lambda code, reason: received.calls.append((code, reason)),
        ConnectionRequest(remote="here"),
    )
    channel.send_text("hello")
    engine.on_message(ViewerText(id=0, text="welcome"))
    engine.on_message(ViewerBinary(id=0, data=b"unit"))
    await eventually(lambda: len(engine.sent) == 4)
    engine.on_message(ViewerClosed(id=0, code=4401, reason="no"))
    await eventually(lambda: len(received.calls) == 3)
    assert received.calls == [("welcome",), (b"unit",), (4401, "no")]
    assert engine.sent == [
        ViewerOpened(id=0, request=ConnectionRequest(remote="here")), ViewerText(id=0, text="hello"),
        ViewerRead(id=0, size=7), ViewerRead(id=0, size=4),
    ]  # fmt: skip
    host.open_viewer(print, print, print, ConnectionRequest()).close()
    assert engine.sent[-1] == ViewerClosed(id=1)
    host.close()


@pytest.mark.parametrize("runs", [True, False], ids=["that exits", "that is being started again"])
async def test_a_viewer_of_an_engine(host: ProcessHost, runs: bool) -> None:
    engine_of(host).runs = runs
    closed: list[int] = []
    channel = host.open_viewer(print, print, lambda code, _: closed.append(code), ConnectionRequest())
    if runs:
        engine_of(host).on_exit()
    await eventually(lambda: closed)
    assert closed == [1001]
    with pytest.raises(ClosedError):
        channel.send_text("hello")
    host.close()


async def test_the_program_is_asked_which_viewers_are_admitted(
    monkeypatch: pytest.MonkeyPatch, listener: Recorder
) -> None:
    monkeypatch.setattr(host_module, "EngineSupervisor", FakeSupervisor)
    host = ProcessHost(OPTIONS, listener, lambda token, request: request.query.get(token))
    engine = engine_of(host)
    assert engine.configure.asks_parent
    request = ConnectionRequest(query={"user": "ada", "odd": "\udcff"})
    for id_, token in enumerate(("user", "other", "odd")):
        engine.on_message(AdmissionAsked(id=id_, token=token, request=request))
        await eventually(lambda: len(engine.sent) == id_ + 1)  # noqa: B023
    assert engine.sent == [
        AdmissionAnswered(id=0, principal="ada"), AdmissionAnswered(id=1), AdmissionAnswered(id=2, failed=True),
    ]  # fmt: skip
    host.close()
    engine.on_message(AdmissionAsked(id=3, token="user", request=request))
    assert not engine_of(ProcessHost(OPTIONS, listener)).configure.asks_parent


async def test_reports_of_the_engine_reach_the_listener(host: ProcessHost, listener: Recorder) -> None:
    report = engine_of(host).on_message
    report(Ready(pid=1))
    report(InputArrived(stream=3, client_id="v", event={"type": "close"}, principal="me"))
    report(Viewers(stream=3, viewers=(WatchingViewer("a"),)))
    report(EngineStats(stream=3, stats={"a": 1}))
    report(Failed(text="no more"))
    assert listener.calls == [
        ("ready",),
        ("input", 3, "v", "me", {"type": "close"}),
        ("viewers", 3, (WatchingViewer("a"),)),
        ("stats", 3, {"a": 1}),
        ("failed", "no more"),
    ]
    assert host.pid == 4711 and host.usable_here and not host.over
    await host.ready()
    host.wait_ready(1.5)
    assert engine_of(host).waits == [30.0, 1.5]
    await host.aclose()
    assert engine_of(host).closed


def test_the_options_of_the_engine_are_sent_as_they_are_and_the_port_is_known(host: ProcessHost) -> None:
    engine = engine_of(host)
    assert engine.configure.options == OPTIONS
    assert host.port == engine.listeners[0].getsockname()[1] != 0
    host.close()
