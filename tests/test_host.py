"""Where the engine lives: what both kinds of host promise, and where they differ."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import numpy as np
import pytest

from framewire import host as host_module
from framewire.errors import ClosedError, EngineError
from framewire.host import InlineHost, Outlet, ProcessHost, open_sockets
from framewire.link.control import AddStream, EngineStats, Failed, InputArrived, Ready, RemoveStream, Ring, Viewers
from framewire.link.ring import RingReader, RingWriter
from framewire.options import EngineOptions, StreamOptions
from tests.viewer import connected, eventually, flat, same

TOKEN = "only-those-who-know-it-come-in"
OPTIONS = EngineOptions(token=TOKEN, port=0)
STREAM = StreamOptions(id=0, name="default", width=8, height=6, fps=30.0, max_bitrate=1_000_000)


class Ear:
    """A `Listener` that notes what it hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []

    def on_input(self, *words: Any) -> None:
        self.heard.append(("input", *words))

    def on_viewers(self, *words: Any) -> None:
        self.heard.append(("viewers", *words))

    def on_stats(self, *words: Any) -> None:
        self.heard.append(("stats", *words))

    def on_ready(self) -> None:
        self.heard.append(("ready",))

    def on_failed(self, *words: Any) -> None:
        self.heard.append(("failed", *words))


class Process:
    """Stands for `EngineProcess`: notes what it is told, and reads what it is handed."""

    def __init__(self, listeners: list[socket.socket], configure: Any, *, on_message: Any) -> None:
        self.listeners, self.configure, self.on_message = listeners, configure, on_message
        self.said: list[Any] = []
        self.readers: list[RingReader] = []
        self.bells: list[int] = []
        self.closed = False
        self.pid = 4711

    def send(self, message: Any, ring: RingWriter | None = None) -> None:
        if self.closed:
            raise ClosedError("the engine is closed")
        self.said.append(message)
        if ring:
            self.readers.append(RingReader(ring._map))

    def ring_bell(self, stream: int) -> None:
        self.bells.append(stream)

    def wait_ready(self, timeout: float) -> None: ...

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


# A process


@pytest.fixture
def ear() -> Ear:
    return Ear()


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_module, "EngineProcess", Process)


@pytest.mark.usefixtures("process")
def test_a_frame_that_outgrows_its_memory_gets_more_before_the_engine_hears_of_it(ear: Ear) -> None:
    host = ProcessHost(OPTIONS, ear)
    engine: Any = host._process
    outlet = host.open(STREAM)
    assert [type(message) for message in engine.said] == [AddStream, Ring]
    assert engine.said[0].options == STREAM
    outlet.write(flat(8, 6, 1), 1, 1)
    outlet.write(np.full((6, 8, 4), 2, np.uint8), 2, 2)
    assert len(engine.readers) == 1, "there is room for RGBA of the announced size"
    outlet.write(flat(100, 100, 3), 3, 3)
    assert [newest(reader) for reader in engine.readers] == [2, 3]
    assert [type(message) for message in engine.said] == [AddStream, Ring, Ring]
    assert engine.bells == [0, 0, 0]
    outlet.close()
    outlet.close()
    assert isinstance(engine.said[-1], RemoveStream) and len(engine.said) == 4
    with pytest.raises(ClosedError):
        outlet.write(flat(8, 6), 4, 4)
    host.close()


@pytest.mark.usefixtures("process")
def test_memory_that_could_not_be_handed_over_is_given_back(ear: Ear) -> None:
    host = ProcessHost(OPTIONS, ear)
    outlet: Any = host.open(STREAM)
    host.close()
    with pytest.raises(ClosedError):
        outlet.write(flat(100, 100), 1, 1)
    assert outlet._ring.fits(8 * 6 * 4) and not outlet._ring.fits(100 * 100 * 3), "the ring it had is still the one"
    outlet.close()


@pytest.mark.usefixtures("process")
async def test_what_the_engine_says_reaches_whoever_listens(ear: Ear) -> None:
    host = ProcessHost(OPTIONS, ear)
    say: Any = host._process.on_message  # type: ignore[attr-defined]
    say(Ready(pid=1))
    say(InputArrived(stream=3, client_id="v", event={"type": "close"}, principal="me"))
    say(Viewers(stream=3, count=2))
    say(EngineStats(stream=3, stats={"a": 1}))
    say(Failed(text="no more"))
    assert ear.heard == [
        ("ready",),
        ("input", 3, "v", "me", {"type": "close"}),
        ("viewers", 3, 2),
        ("stats", 3, {"a": 1}),
        ("failed", "no more"),
    ]
    assert host.pid == 4711
    await host.ready()
    await host.aclose()


@pytest.mark.usefixtures("process")
def test_an_engine_is_told_what_was_asked_for(ear: Ear) -> None:
    options = EngineOptions(token=TOKEN, host="0.0.0.0", port=0, allow_hosts=("a",), codecs=("vp8",))
    host = ProcessHost(options, ear)
    assert host._process.configure.options == options  # type: ignore[attr-defined]
    host.close()


# Inline


def test_inline_needs_a_loop(ear: Ear) -> None:
    with pytest.raises(EngineError, match="running event loop"):
        InlineHost(OPTIONS, ear)


async def test_inline_serves_on_the_loop_that_runs(ear: Ear) -> None:
    host = InlineHost(OPTIONS, ear)
    outlet = host.open(STREAM)
    outlet.write(flat(8, 6, 1), 1, 1)
    await host.ready()
    async with connected(f"ws://127.0.0.1:{host.port}/ws", TOKEN) as viewer:
        await viewer.subscribe("default")
        assert same(await viewer.unit(), flat(8, 6, 1))
        await asyncio.to_thread(outlet.write, flat(100, 60, 2), 2, 2)
        assert same(await viewer.unit(), flat(100, 60, 2))
        await eventually(lambda: [each for each in ear.heard if each[0] == "stats" and each[2]["viewers"] == 1])
        outlet.close()
        await eventually(lambda: not viewer.streams)
    with pytest.raises(ClosedError):
        outlet.write(flat(8, 6), 3, 3)
    await host.aclose()
    assert host.engine.stats() == {}


async def test_inline_ends_once_however_often_it_is_told(ear: Ear) -> None:
    host = InlineHost(OPTIONS, ear)
    await asyncio.to_thread(host.close)
    host.close()
    await asyncio.gather(host.aclose(), host.aclose())
    assert host._reporter.cancelled()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", host.port)


async def test_who_gives_up_waiting_stops_nothing(ear: Ear) -> None:
    host = InlineHost(OPTIONS, ear)
    waiting = asyncio.create_task(host.ready())
    await asyncio.sleep(0)
    waiting.cancel()
    await host.ready()
    async with connected(f"ws://127.0.0.1:{host.port}/ws", TOKEN):
        await host.aclose()


@pytest.mark.parametrize("closed_in_time", [False, True])
def test_when_its_loop_is_closed_the_port_is_free_and_publishing_says_why(ear: Ear, closed_in_time: bool) -> None:
    async def main() -> tuple[InlineHost, Outlet]:
        host = InlineHost(OPTIONS, ear)
        outlet = host.open(STREAM)
        await host.ready()
        if closed_in_time:
            host.close()  # as `with` does: nobody waits for it
        return host, outlet

    host, outlet = asyncio.run(main())
    with pytest.raises(ClosedError, match="event loop that the engine ran on is closed"):
        outlet.write(flat(8, 6), 1, 1)
    outlet.close()
    host.close()
    with socket.create_server(("127.0.0.1", host.port)):
        """Nobody holds the port any more."""


# Addresses


@pytest.mark.parametrize("host", ["", "0.0.0.0", "*"])
def test_every_interface_has_many_names(host: str) -> None:
    sockets = open_sockets(EngineOptions(token=TOKEN, host=host, port=0))
    assert "0.0.0.0" in {sock.getsockname()[0] for sock in sockets}
    for sock in sockets:
        sock.close()
