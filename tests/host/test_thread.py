"""A host on a thread of this process: serving, closing from anywhere, forks, and the program's asyncio."""

from __future__ import annotations

import asyncio
import contextlib
import os
import selectors
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator

import aiohttp
import pytest

from framewire import wire
from framewire.errors import ClosedError, EngineError
from framewire.host import thread as module
from framewire.host.thread import ThreadHost
from tests.host.fakes import OPTIONS, STREAM, TOKEN, Recorder
from tests.viewer import TEST_TIMEOUT_S, connected, eventually, flat, same


@pytest.fixture
def listener() -> Recorder:
    return Recorder()


@pytest.fixture
def host(listener: Recorder) -> Iterator[ThreadHost]:
    host = ThreadHost(OPTIONS, listener)
    yield host
    host.close()


def ended(before: set[threading.Thread]) -> None:
    """Wait until there is no thread but those (encoders finish what they had begun)."""
    asyncio.run(eventually(lambda: set(threading.enumerate()) <= before))


async def look(host: ThreadHost, value: int, name: str = "default") -> None:
    """A viewer comes, and finds this picture."""
    async with connected(f"ws://127.0.0.1:{host.port}/ws", TOKEN) as viewer:
        await eventually(lambda: name in viewer.streams)
        await viewer.subscribe(name)
        await viewer.unit(lambda unit: same(unit, flat(unit.width, unit.height, value)))


def test_it_serves_without_an_event_loop_of_the_callers(host: ThreadHost) -> None:
    outlet = host.open(STREAM)
    host.wait_ready(TEST_TIMEOUT_S)
    outlet.write(flat(8, 6, 1), 1, 1)
    asyncio.run(look(host, 1))
    outlet.write(flat(100, 60, 2), 2, 2)
    asyncio.run(look(host, 2))
    frame = outlet.newest(1)
    assert frame and frame.number == 2
    assert (host.pid, host.over, host.usable_here) == (None, False, True)


async def test_it_serves_beside_a_loop_that_is_blocked(host: ThreadHost, listener: Recorder) -> None:
    host.open(STREAM).write(flat(8, 6, 3), 1, 1)
    await host.ready()
    other = threading.Thread(target=lambda: asyncio.run(look(host, 3)))
    other.start()
    other.join(TEST_TIMEOUT_S)  # on this loop's thread
    assert not other.is_alive()
    await eventually(lambda: [call for call in listener.calls if call[0] == "viewers"])


def test_a_port_that_is_taken_is_an_error_at_the_call_and_leaves_no_thread(listener: Recorder) -> None:
    before = set(threading.enumerate())
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(EngineError, match=f"port {port} .* is taken"):
            ThreadHost(type(OPTIONS)(token=TOKEN, port=port), listener)
    ended(before)


def test_it_leaves_no_thread_no_descriptor_and_a_free_port(listener: Recorder) -> None:
    ThreadHost(OPTIONS, listener).close()  # what is loaded once is loaded
    threads = set(threading.enumerate())
    descriptors = len(os.listdir("/proc/self/fd"))
    host = ThreadHost(OPTIONS, listener)
    outlet = host.open(STREAM)
    outlet.write(flat(8, 6), 1, 1)
    asyncio.run(look(host, 0))
    host.close()
    host.close()
    ended(threads)
    assert len(os.listdir("/proc/self/fd")) == descriptors
    with pytest.raises(ClosedError):
        outlet.write(flat(8, 6), 2, 2)
    with pytest.raises(ClosedError):
        host.open(STREAM)
    with pytest.raises(ClosedError):
        host.wait_ready(1)
    with socket.create_server(("127.0.0.1", host.port)):
        """The port is free."""


async def test_it_closes_from_a_coroutine(host: ThreadHost) -> None:
    async with connected(f"ws://127.0.0.1:{host.port}/ws", TOKEN) as viewer:
        await host.aclose()
        assert await viewer.closed() == 1001
    await host.aclose()


def test_it_may_be_closed_on_its_own_thread(host: ThreadHost) -> None:
    host._loop.call_soon_threadsafe(host.close)
    host._thread.join(TEST_TIMEOUT_S)
    assert not host._thread.is_alive()


@pytest.mark.parametrize("later", [False, True], ids=["a function", "a coroutine function"])
def test_authentication_holds_no_other_viewer_up(listener: Recorder, later: bool) -> None:
    hanging, released = threading.Event(), threading.Event()

    def authenticate(token: str, _: object) -> str | None:
        if token == "hang":
            hanging.set()
            released.wait(TEST_TIMEOUT_S)
        return token

    async def authenticate_later(token: str, _: object) -> str | None:
        return token

    host = ThreadHost(OPTIONS, listener, authenticate_later if later else authenticate)
    host.open(STREAM).write(flat(8, 6, 1), 1, 1)

    async def watch() -> None:
        url = f"ws://127.0.0.1:{host.port}/ws"
        async with aiohttp.ClientSession() as session, session.ws_connect(url) as stuck:
            await stuck.send_str(wire.encode(wire.Hello(wire.VERSION, "hang", [])))
            await eventually(lambda: later or hanging.is_set())
            await look(host, 1)
            released.set()

    asyncio.run(watch())
    host.close()


def test_an_engine_that_does_not_close_is_left_behind(host: ThreadHost, monkeypatch: pytest.MonkeyPatch) -> None:
    assert module.CLOSE_TIMEOUT_S == 5.0
    monkeypatch.setattr(module, "CLOSE_TIMEOUT_S", 0.01)
    released = threading.Event()
    host._loop.call_soon_threadsafe(released.wait)
    host.close()
    assert host._thread.is_alive() and host._thread.daemon
    released.set()
    host._thread.join(TEST_TIMEOUT_S)
    assert not host._thread.is_alive()


def test_an_engine_that_is_not_up_in_time_is_an_error(host: ThreadHost) -> None:
    released = threading.Event()
    host._loop.call_soon_threadsafe(released.wait)
    with pytest.raises(EngineError, match=r"not up after 0\.01 s"):
        host.wait_ready(0.01)
    released.set()


@pytest.mark.parametrize("what", ["event loop", "thread"])
def test_where_there_is_none_it_says_so_in_one_line(
    listener: Recorder, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(24, "Too many open files") if what == "event loop" else RuntimeError("can't start new thread")

    place = selectors if what == "event loop" else threading.Thread
    monkeypatch.setattr(place, "DefaultSelector" if what == "event loop" else "start", refuse)
    with pytest.raises(EngineError, match=f"gets no {what}: ") as caught:
        ThreadHost(OPTIONS, listener)
    assert "\n" not in str(caught.value)


def test_a_forked_child_keeps_no_socket_of_it(host: ThreadHost) -> None:
    closed_before = ThreadHost(OPTIONS, Recorder())
    closed_before.close()
    host.open(STREAM).write(flat(8, 6, 4), 1, 1)
    asyncio.run(look(host, 4))
    to_child, from_child = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            signal.alarm(60)
            sockets = [name for name in map(_target, os.listdir("/proc/self/fd")) if name.startswith("socket:")]
            os.write(from_child[1], b"%d" % len({*sockets} & {*map(_target, os.listdir(f"/proc/{os.getppid()}/fd"))}))
            os.read(to_child[0], 1)
        os._exit(0)
    try:
        os.read(from_child[0], 9)
        asyncio.run(look(host, 4))
        host.close()
        with socket.create_server(("127.0.0.1", host.port)):
            assert not closed_before._thread.is_alive(), "the port is free, while the child lives"
    finally:
        os.write(to_child[1], b"x")
        os.waitpid(child, 0)
        for fd in (*to_child, *from_child):
            os.close(fd)


def _target(name: str) -> str:
    with contextlib.suppress(OSError):
        return os.readlink(f"/proc/self/fd/{name}")
    return ""


PROGRAM = """
    import asyncio, sys
    class Policy(asyncio.DefaultEventLoopPolicy):
        def new_event_loop(self):
            raise AssertionError("the engine asks the program's policy for a loop")
    asyncio.set_event_loop_policy(Policy())
    import numpy as np
    import framewire as fw
    if __name__ == "__main__":
        display = fw.serve(64, 48, port=0, engine="thread").wait_ready()
        display.publish(np.zeros((48, 64, 3), np.uint8))
        print(display.url)
"""


LATE_PROGRAM = """
    import subprocess, sys, threading
    import numpy as np
    import framewire as fw
    display = fw.serve(64, 48, port=0, engine="thread").wait_ready()
    def work():
        threading.main_thread().join()
        display.publish(np.full((48, 64, 3), 7, np.uint8))
        print(subprocess.run([sys.executable, "-c", sys.argv[1], display.ws_url, display.server.token]).returncode)
    threading.Thread(target=work).start()
"""
VIEWER = """
    import asyncio, sys
    from tests.viewer import connected, flat, same
    async def main():
        async with connected(*sys.argv[1:]) as viewer:
            await viewer.subscribe("default")
            await viewer.unit(lambda unit: same(unit, flat(64, 48, 7)))
    asyncio.run(main())
"""


def test_it_serves_until_the_last_thread_of_the_program_ends() -> None:
    command = [sys.executable, "-c", textwrap.dedent(LATE_PROGRAM), textwrap.dedent(VIEWER)]
    path = os.pathsep.join([os.getcwd(), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr, done.returncode) == ("0\n", "", 0)


@pytest.mark.parametrize("closed", [False, True])
def test_a_program_with_a_policy_and_asyncio_debug_ends_without_a_word(closed: bool) -> None:
    program = textwrap.dedent(PROGRAM) + ("    display.close()\n" if closed else "")
    environment = {**os.environ, "PYTHONASYNCIODEBUG": "1", "PYTHONWARNINGS": "error::ResourceWarning"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("http://127.0.0.1:")


def test_a_thread_that_has_ended_is_reported_and_leaves_its_port(host: ThreadHost, listener: Recorder) -> None:
    def ends() -> None:
        raise SystemExit(3)

    host.wait_ready(TEST_TIMEOUT_S)
    host._loop.call_soon_threadsafe(ends)
    host._thread.join(TEST_TIMEOUT_S)
    asyncio.run(eventually(lambda: [call for call in listener.calls if call[0] == "failed"]))
    (failed,) = [call for call in listener.calls if call[0] == "failed"]
    assert failed[1].startswith("the engine's thread has ended: SystemExit: 3; serve again")
    socket.create_server(("127.0.0.1", host.port)).close()
    host.close()
