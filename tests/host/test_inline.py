"""A host on the caller's event loop: serving, closing from anywhere, and the end of the loop."""

from __future__ import annotations

import asyncio
import socket

import pytest

from framewire.errors import ClosedError, EngineError
from framewire.host.inline import InlineHost
from framewire.host.protocols import Outlet
from tests.host.fakes import OPTIONS, STREAM, TOKEN, Recorder
from tests.viewer import connected, eventually, flat, same


@pytest.fixture
def listener() -> Recorder:
    return Recorder()


def test_it_needs_a_running_loop(listener: Recorder) -> None:
    with pytest.raises(EngineError, match="running event loop"):
        InlineHost(OPTIONS, listener)


async def test_it_serves_on_the_loop_that_runs(listener: Recorder) -> None:
    host = InlineHost(OPTIONS, listener)
    outlet = host.open(STREAM)
    assert outlet.newest() is None
    outlet.write(flat(8, 6, 1), 1, 1)
    await host.ready()
    host.wait_ready(0)
    async with connected(f"ws://127.0.0.1:{host.port}/ws", TOKEN) as viewer:
        await viewer.subscribe("default")
        assert same(await viewer.unit(), flat(8, 6, 1))
        await asyncio.to_thread(outlet.write, flat(100, 60, 2), 2, 2)
        assert same(await viewer.unit(), flat(100, 60, 2))
        frame = outlet.newest(1)
        assert frame and frame.number == 2 and outlet.newest(2) is None
        await eventually(lambda: [call for call in listener.calls if call[0] == "stats" and call[2]["viewers"] == 1])
        outlet.close()
        await eventually(lambda: not viewer.streams)
    with pytest.raises(ClosedError):
        outlet.write(flat(8, 6), 3, 3)
    with pytest.raises(ClosedError):
        outlet.newest()
    await host.aclose()
    assert host._engine.stats() == {} and host.pid is None


async def test_it_closes_once_however_often_it_is_called(listener: Recorder) -> None:
    host = InlineHost(OPTIONS, listener)
    await asyncio.to_thread(host.close)
    host.close()
    await asyncio.gather(host.aclose(), host.aclose())
    assert host._reporter.cancelled()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", host.port)


async def test_a_caller_that_stops_waiting_stops_nothing(listener: Recorder) -> None:
    host = InlineHost(OPTIONS, listener)
    waiting = asyncio.create_task(host.ready())
    await asyncio.sleep(0)
    waiting.cancel()
    await host.ready()
    async with connected(f"ws://127.0.0.1:{host.port}/ws", TOKEN):
        await host.aclose()


async def test_it_is_usable_on_its_own_loop_alone(listener: Recorder) -> None:
    host = InlineHost(OPTIONS, listener)

    async def elsewhere() -> bool:
        return host.usable_here

    assert host.usable_here and not host.over
    assert not await asyncio.to_thread(lambda: host.usable_here)
    assert not await asyncio.to_thread(asyncio.run, elsewhere())
    await host.aclose()


@pytest.mark.parametrize("closed_in_time", [False, True])
def test_when_its_loop_is_closed_the_port_is_free_and_publishing_says_why(
    listener: Recorder, closed_in_time: bool
) -> None:
    async def main() -> tuple[InlineHost, Outlet]:
        host = InlineHost(OPTIONS, listener)
        outlet = host.open(STREAM)
        await host.ready()
        if closed_in_time:
            host.close()  # as `with` does, without waiting for it
        return host, outlet

    host, outlet = asyncio.run(main())
    assert host.over and not host.usable_here
    with pytest.raises(ClosedError, match="event loop that the engine ran on is closed"):
        outlet.write(flat(8, 6), 1, 1)
    outlet.close()
    host.close()
    with socket.create_server(("127.0.0.1", host.port)):
        """The port is free."""


async def test_an_engine_that_cannot_serve_its_port_says_so(
    listener: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = InlineHost(OPTIONS, listener)

    async def start(sockets: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(host._server, "start", start)
    with pytest.raises(
        EngineError, match=r"^the engine cannot serve its port: Too many open files; raise .*; then serve again$"
    ):
        await host.ready()
    assert [call for call in listener.calls if call[0] == "failed"]
    await host.aclose()
    socket.create_server(("127.0.0.1", host.port)).close()
