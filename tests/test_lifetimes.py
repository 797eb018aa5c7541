"""Displays with an engine process of their own: threads, forks, kills and ends, and that nothing is left of them."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import psutil
import pytest
import xxhash

import framewire as fw
from framewire import registry, wire
from framewire.authentication import AuthContext, Authenticate, ConnectionRequest
from framewire.frame import AccessUnit
from framewire.link import memory, parent_end
from framewire.link.kind import LINK_VARIABLE
from framewire.options import EngineHome, EngineOptions
from tests.engine.fakes import units
from tests.link.ends import left_names
from tests.viewer import TEST_TIMEOUT_S, connected, eventually, flat, noise, same


@pytest.fixture(scope="module", params=["descriptors", "names"])
def display(request: pytest.FixtureRequest) -> Iterator[fw.Display]:
    """One display with an engine process, for all tests that can share it; and one of the other kind of link."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(LINK_VARIABLE, request.param)
        with fw.serve(64, 48, port=0) as display:
            display.wait_ready(TEST_TIMEOUT_S * 2)
            yield display


@pytest.fixture(params=["descriptors", "names"])
def link_kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LINK_VARIABLE, request.param)


def watch(display: fw.Display, value: int) -> None:
    """A viewer comes, and finds this picture."""

    async def look() -> None:
        async with connected(display.ws_url, display.server.token) as viewer:
            await eventually(lambda: display.name in viewer.streams)
            await viewer.subscribe(display.name)
            unit = await viewer.unit(lambda unit: same(unit, flat(unit.width, unit.height, value)))
            assert unit.width

    asyncio.run(look())


def test_no_loop_is_needed(display: fw.Display) -> None:
    display.publish(flat(64, 48, 1))
    watch(display, 1)
    display.publish(flat(640, 480, 2))
    watch(display, 2)
    assert (display.width, display.height) == (640, 480)


def test_threads_that_serve_at_once_share_the_engine(display: fw.Display) -> None:
    served: list[fw.Display] = []
    threads = [threading.Thread(target=lambda n=n: served.append(fw.serve(8, 8, name=f"t{n}"))) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {each.server.engine_pid for each in served} == {display.server.engine_pid}
    for number, each in enumerate(served):
        each.publish(flat(8, 8, number))
    watch(served[2], 2)
    for each in served:
        each.close()
    assert display.server.streams == ["default"]


async def test_input_comes_back_to_a_loop_and_to_callbacks(display: fw.Display) -> None:
    called: list[str] = []
    remove = display.on_event(lambda item: called.append(threading.current_thread().name))
    async with connected(display.ws_url, display.server.token) as viewer:
        sub = await viewer.subscribe("default")
        waiting = asyncio.ensure_future(anext(display.events()))
        await asyncio.sleep(0)
        await viewer.send(wire.Input(sub, wire.RenderviewEvent("pointer_down", 1.0, x=3.0, y=4.0, button=1)))
        event = (await asyncio.wait_for(waiting, TEST_TIMEOUT_S)).event
        assert event == {"type": "pointer_down", "timestamp": 1.0, "x": 3.0, "y": 4.0, "button": 1}
        await eventually(lambda: called == ["framewire-callbacks"])
        await eventually(lambda: display.client_count == 1 and display.stats.get("viewers") == 1)
    remove()
    await eventually(lambda: display.client_count == 0)


def test_a_forked_child_owns_nothing_and_ends_nothing(display: fw.Display) -> None:
    engine = display.server.engine_pid
    with (
        display._publisher._section.lock,
        registry.serving.lock,
        display.server._section.lock,
    ):  # as if other threads were at work
        child = os.fork()
        if child == 0:
            with contextlib.suppress(BaseException):
                signal.alarm(20)
                try:
                    display.publish(flat(64, 48, 99))
                except fw.ClosedError as error:
                    assert "parent of this forked process" in str(error)
                    display.close()
                    display.server.close()
                    assert not registry.shared and display.server.engine_pid is None
                    os._exit(7)
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert display.server.engine_pid == engine
    display.publish(flat(64, 48, 3))
    watch(display, 3)


def test_an_engine_that_is_killed_comes_back_as_it_was(display: fw.Display, caplog: pytest.LogCaptureFixture) -> None:
    second = fw.serve(16, 16, name="second")
    second.publish(flat(16, 16, 5))
    display.publish(flat(64, 48, 4))
    url, old = display.url, display.server.engine_pid
    assert old
    os.kill(old, signal.SIGKILL)
    watch(display, 4)  # connects at once: it waits in the port's backlog until there is an engine again
    watch(second, 5)
    display.publish(flat(64, 48, 6))
    watch(display, 6)
    assert display.url == url and display.server.engine_pid not in (None, old)
    assert "starting it again" in caplog.text and display.server.token not in caplog.text
    second.close()


def test_the_end_leaves_no_process_no_descriptor_and_no_memory(link_kind: None) -> None:
    descriptors, memory = len(os.listdir("/proc/self/fd")), left_names()
    threads, children = threading.active_count(), {child.pid for child in psutil.Process().children(recursive=True)}
    display = fw.serve(64, 48, port=0, token="a token of this test alone")
    pid = display.server.engine_pid
    for size in (64, 1000, 10):
        display.publish(flat(size, size, 1))
    assert pid and display.server.engine_pid == pid
    arguments = " ".join(psutil.Process(pid).cmdline()) + str(psutil.Process(pid).environ())
    assert "a token of this test alone" not in arguments, "where other users of the machine could read it"
    display.close()  # before it was even up
    assert not psutil.pid_exists(pid)
    assert {child.pid for child in psutil.Process().children(recursive=True)} <= children
    assert len(os.listdir("/proc/self/fd")) <= descriptors and left_names() <= memory
    assert threading.active_count() <= threads
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", display.port))


PROGRAM = """
    import sys, time
    import numpy as np
    import framewire as fw
    display = fw.serve(64, 48, port=0).wait_ready()
    display.publish(np.zeros((48, 64, 3), np.uint8))
    print(display.server.engine_pid, display.server.port, flush=True)
    time.sleep(600)
"""


def test_the_engine_of_a_program_that_is_killed_ends(link_kind: None) -> None:
    memory = left_names()
    command = [sys.executable, "-c", textwrap.dedent(PROGRAM)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout
        engine, port = map(int, program.stdout.readline().split())
        with socket.create_connection(("127.0.0.1", port)):
            program.kill()
            deadline = time.monotonic() + TEST_TIMEOUT_S
            while psutil.pid_exists(engine) and psutil.Process(engine).status() != psutil.STATUS_ZOMBIE:
                assert time.monotonic() < deadline, "the engine outlives its program"
                time.sleep(0.05)
    assert left_names() <= memory


# Where no engine process can be had


def refusing(number: int) -> Callable[..., Any]:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return refuse


@pytest.mark.parametrize(
    ("place", "refused", "words"),
    [
        (subprocess, "Popen", "Operation not permitted"),
        (parent_end, "_pair", "Operation not permitted"),
        (memory, "_roomy_directory", "of shared memory for frames cannot be had: Operation not permitted"),
    ],
    ids=["no process", "no socket", "no memory"],
)
def test_where_a_sandbox_allows_no_engine_process_a_thread_serves_and_one_line_says_what_is_lost(
    monkeypatch: pytest.MonkeyPatch, place: Any, refused: str, words: str
) -> None:
    monkeypatch.setattr(registry, "shared", [])  # there is no other engine
    with monkeypatch.context() as sandbox, pytest.warns(fw.FramewireWarning) as warned:
        sandbox.setenv(LINK_VARIABLE, "descriptors")
        sandbox.setattr(place, refused, refusing(errno.EPERM))
        if place is memory:
            sandbox.setattr(os, "memfd_create", refusing(errno.EPERM))
        display = fw.serve(64, 48, port=0, name="sandboxed", token="of-this-test-and-no-other")
    with display:
        (warning,) = warned
        text = str(warning.message)
        assert "the picture stalls while Python code computes" in text and words in text and "\n" not in text
        assert warning.filename == __file__
        assert display.server.engine_pid is None
        display.publish(flat(64, 48, 9))
        watch(display, 9)
        same_engine = fw.serve(64, 48, port=0, name="another", token="of-this-test-and-no-other")
        assert same_engine.server is display.server
        same_engine.close()


def test_a_limit_or_a_wrong_program_is_an_error_and_no_thread_takes_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "shared", [])
    with monkeypatch.context() as limited, pytest.raises(fw.EngineError, match="ulimit -u"):
        limited.setattr(subprocess, "Popen", refusing(errno.EAGAIN))
        fw.serve(8, 8, port=0, token="of-this-test-and-no-other")
    monkeypatch.setenv("FRAMEWIRE_PYTHON", "/dev/null")
    with pytest.raises(fw.EngineError, match="/dev/null"):
        fw.serve(8, 8, port=0, token="of-this-test-and-no-other")


FULL_PROGRAM = """
    import os, resource
    import numpy as np
    import framewire as fw
    with fw.serve(64, 48, port=0).wait_ready() as display:
        small, large = (np.zeros((size, size, 3), np.uint8) for size in (48, 480))
        display.publish(small)
        highest, hard = max(map(int, os.listdir("/proc/self/fd"))), resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, hard))
        full = []
        try:
            while True:
                full.append(os.dup(1))
        except OSError:
            pass
        try:
            display.publish(large)
        except fw.EngineError as error:
            print(error)
        display.publish(small)
        for fd in full:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 9, hard))
        display.publish(large)
        print(display.width, display.server.failure)
"""


def test_too_many_open_files_refuse_a_larger_frame_and_nothing_else(link_kind: None) -> None:
    command = [sys.executable, "-c", textwrap.dedent(FULL_PROGRAM)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    refused = (
        "6 MB of shared memory for frames cannot be had: Too many open files; raise the limit of open files (ulimit -n)"
    )
    assert (done.stdout.splitlines(), done.stderr) == ([refused, "480 None"], "")


def test_an_engine_without_descriptors_takes_a_larger_frame_as_soon_as_it_has_some(
    display: fw.Display, caplog: pytest.LogCaptureFixture
) -> None:
    """Again and again; and it does not spend the time asking."""
    engine = psutil.Process(display.wait_ready(TEST_TIMEOUT_S).server.engine_pid)
    soft, hard = engine.rlimit(psutil.RLIMIT_NOFILE)
    size = (1200, 900)
    for value in (3, 4):
        taken = {int(fd) for fd in os.listdir(f"/proc/{engine.pid}/fd")}
        engine.rlimit(psutil.RLIMIT_NOFILE, (min(set(range(max(taken) + 2)) - taken), hard))
        before = sum(engine.cpu_times()[:2])
        size = (size[0] + 400, size[1] + 400)
        display.publish(flat(*size, value))
        time.sleep(1.3)  # it is asked for again after a second
        spent = sum(engine.cpu_times()[:2]) - before
        engine.rlimit(psutil.RLIMIT_NOFILE, (soft, hard))
        watch(display, value)
        assert display.server.engine_pid == engine.pid and spent < 0.65, "half of the time"
    said = [record.getMessage() for record in caplog.records]
    assert len([line for line in said if "cannot take a larger frame yet, and tries again every second" in line]) >= 2


# Viewers whose messages the program carries


class RelayedViewer:
    """A viewer in memory that speaks through `Server.open_viewer`."""

    def __init__(self, server: fw.Server, request: ConnectionRequest | None = None) -> None:
        self.received: list[str | bytes] = []
        self.closed: list[int] = []
        self.reading = threading.Event()
        self.reading.set()
        self.channel = server.open_viewer(self._take, self._take, lambda code, _: self.closed.append(code), request)

    def send(self, *messages: wire.ViewerMessage) -> None:
        for message in messages:
            self.channel.send_text(wire.encode(message))

    async def join(self, token: str) -> None:
        self.send(wire.Hello(wire.VERSION, token, ["h264", "vp8"]))
        await eventually(lambda: self.messages(wire.Streams))
        assert isinstance(self.messages(wire.Welcome)[0], wire.Welcome)

    def messages(self, kind: type[object]) -> list[object]:
        texts = [wire.decode_server(each) for each in self.received if isinstance(each, str)]
        return [message for message in texts if isinstance(message, kind)]

    async def unit(self, number: int) -> AccessUnit:
        def found() -> AccessUnit | None:
            return next((unit for unit in units(list(self.received)) if unit.number == number), None)

        unit = await eventually(found)
        assert unit
        return unit

    def _take(self, message: str | bytes) -> None:
        self.reading.wait(TEST_TIMEOUT_S)
        self.received.append(message)


@contextlib.asynccontextmanager
async def served(engine: EngineHome, authenticate: Authenticate | None = None) -> AsyncIterator[fw.Server]:
    server = fw.Server(EngineOptions(port=0), engine, authenticate=authenticate)
    try:
        await server
        yield server
    finally:
        await server.aclose()


HOMES: tuple[EngineHome, ...] = ("process", "thread", "inline")


@pytest.mark.parametrize("engine", HOMES)
async def test_a_viewer_without_a_socket_is_served_bit_exact(engine: EngineHome) -> None:
    async with served(engine) as server:
        display = server.add_stream("cam", 640, 480)
        pictures = {number: noise(640, 480, seed=number) for number in (1, 2, 3)}
        display.publish(pictures[1])
        viewer = RelayedViewer(server)
        await viewer.join(server.token)
        viewer.send(wire.Subscribe(1, "cam", "lossless"))
        assert same(await viewer.unit(1), pictures[1])
        for number in (2, 3):
            display.publish(pictures[number])
        viewer.send(wire.Ack(1, 1))
        assert (await viewer.unit(3)).checksum == xxhash.xxh32_intdigest(pictures[3].tobytes())
        viewer.send(wire.Input(1, wire.RenderviewEvent("wheel", 1.0, x=0, y=0, dy=2.0)))
        await eventually(lambda: [event.event["type"] for event in display.poll_events()] == ["wheel"])
        await eventually(lambda: display.client_count == 1)
        viewer.channel.close()
        await eventually(lambda: display.client_count == 0)
        last = RelayedViewer(server)
        await last.join(server.token)
    await eventually(lambda: last.closed)
    assert last.closed == [1001] and viewer.closed == []
    with pytest.raises(fw.ClosedError):
        RelayedViewer(server)


async def test_a_viewer_without_a_socket_ends_with_the_engines_process() -> None:
    async with served("process") as server:
        server.add_stream("cam", 64, 48)
        viewer = RelayedViewer(server)
        await viewer.join(server.token)
        pid = server.engine_pid
        assert pid
        os.kill(pid, signal.SIGKILL)
        await eventually(lambda: viewer.closed)
        assert viewer.closed == [1001]
        with pytest.raises(fw.ClosedError):
            viewer.channel.send_text("{}")
        await eventually(lambda: server.engine_pid not in (None, pid))
        again = RelayedViewer(server)
        await again.join(server.token)


async def test_a_viewer_that_does_not_read_is_closed_and_others_go_on() -> None:
    async with served("process") as server:
        display = server.add_stream("cam", 64, 48)
        stuck, other = RelayedViewer(server), RelayedViewer(server)
        for viewer in (stuck, other):
            await viewer.join(server.token)
            viewer.send(wire.Subscribe(1, "cam", "lossless"))
        stuck.reading.clear()
        with pytest.raises(fw.ClosedError):
            async with asyncio.timeout(TEST_TIMEOUT_S):
                while True:
                    before = len(other.received)
                    other.send(wire.Report(1, 0.0, True, 0, 0))
                    stuck.send(*[wire.Report(1, 0.0, True, 0, 0)] * 50)
                    await eventually(lambda n=before: len(other.received) > n)  # type: ignore[misc]
        display.publish(flat(64, 48, 9))
        assert same(await other.unit(1), flat(64, 48, 9))
        stuck.reading.set()
        await eventually(lambda: stuck.closed)
        assert stuck.closed[0] in (1001, 4429) and other.closed == []
        await eventually(lambda: display.stats.get("viewers") == 1)


# The program's own authentication


@pytest.mark.parametrize("engine", HOMES)
async def test_the_principal_of_a_viewer_is_beside_its_input(engine: EngineHome) -> None:
    async def authenticate(token: str, request: ConnectionRequest) -> str | None:
        await asyncio.sleep(0)
        return request.query.get("user") if token == "let me in" else None

    async with served(engine, authenticate) as server:
        display = server.add_stream("cam", 64, 48)
        url = f"ws://{server.address}/ws?user=ada"
        async with connected(url, "let me in") as viewer:
            sub = await viewer.subscribe("cam")
            await viewer.send(wire.Input(sub, wire.RenderviewEvent("wheel", 1.0, x=0, y=0)))
            events = await eventually(display.poll_events)
            assert [event.principal for event in events] == ["ada"]
        for refused in (server.token, "other"):
            async with connected(url) as viewer:
                await viewer.send(wire.Hello(wire.VERSION, refused, []))
                assert await viewer.closed() == 4401
        relayed = RelayedViewer(server, ConnectionRequest(query={"user": "grace"}))
        await relayed.join("let me in")


async def test_authentication_of_the_ancestors_form_admits_viewers_of_a_display() -> None:
    async def authenticate(context: AuthContext) -> str | None:
        assert context.headers is not None
        return context.headers.get("X-User") if context.token == "let me in" else None

    async with fw.serve(64, 48, name="guarded", port=0, authenticate=authenticate) as display:
        relayed = RelayedViewer(display.server, ConnectionRequest({"x-user": "ada"}))
        await relayed.join("let me in")
        for refused in ("let me in", display.server.token):
            async with connected(f"ws://{display.server.address}/ws") as viewer:
                await viewer.send(wire.Hello(wire.VERSION, refused, []))
                assert await viewer.closed() == 4401


async def test_authentication_that_hangs_stops_only_its_viewer() -> None:
    hanging, released = threading.Event(), threading.Event()

    def authenticate(token: str, _: ConnectionRequest) -> str | None:
        if token == "hang":
            hanging.set()
            released.wait(TEST_TIMEOUT_S * 4)
        return token

    async with served("process", authenticate) as server:
        display = server.add_stream("cam", 64, 48)
        url = f"ws://{server.address}/ws"
        async with connected(url) as viewer:
            await viewer.send(wire.Hello(wire.VERSION, "hang", []))
            await eventually(hanging.is_set)
            async with connected(url, "ada"):
                """Another viewer is admitted meanwhile."""
            assert await viewer.closed() == 4408
        pid = server.engine_pid
        assert pid
        os.kill(pid, signal.SIGKILL)
        await eventually(lambda: server.engine_pid not in (None, pid), "the engine is supervised all the time")
        display.publish(flat(64, 48, 5))
        async with connected(url, "ada") as viewer:
            await viewer.subscribe("cam")
            assert same(await viewer.unit(), flat(64, 48, 5))
        released.set()
