"""Displays with an engine process of their own: threads, forks, kills and ends, and that nothing is left of them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

import framewire as fw
from framewire import serving, wire
from tests.viewer import TEST_TIMEOUT_S, connected, eventually, flat, same


@pytest.fixture(scope="module")
def display() -> Iterator[fw.Display]:
    """One display with an engine process, for all tests that can share it."""
    with fw.serve(64, 48, port=0) as display:
        display.wait_ready(TEST_TIMEOUT_S * 2)
        yield display


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
        assert called == ["framewire-engine"]
        await eventually(lambda: display.client_count == 1 and display.stats.get("viewers") == 1)
    remove()
    await eventually(lambda: display.client_count == 0)


def test_a_forked_child_owns_nothing_and_ends_nothing(display: fw.Display) -> None:
    engine = display.server.engine_pid
    with display._lock, serving._shared_lock, display.server._lock:  # as if other threads were at work
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
                    assert not serving._shared and display.server.engine_pid is None
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


def shared_memory() -> set[str]:
    return {path.name for path in Path("/dev/shm").iterdir() if "framewire" in path.name or "psm" in path.name}


def test_the_end_leaves_no_process_no_descriptor_and_no_memory() -> None:
    descriptors, memory = len(os.listdir("/proc/self/fd")), shared_memory()
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
    assert {child.pid for child in psutil.Process().children(recursive=True)} == children
    assert len(os.listdir("/proc/self/fd")) == descriptors and shared_memory() == memory
    assert threading.active_count() == threads
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


def test_the_engine_of_a_program_that_is_killed_ends() -> None:
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
