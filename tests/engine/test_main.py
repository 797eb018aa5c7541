"""The engine as its parent sees it: a real process at the other end of the link."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any, cast

import numpy as np
import psutil
import pytest

from framewire import wire
from framewire.engine import __main__ as main_module
from framewire.link.attach import EngineLink
from framewire.link.control import (
    AddStream,
    Configure,
    EngineStats,
    FromEngine,
    InputArrived,
    Ready,
    RemoveStream,
    Ring,
    Viewers,
)
from framewire.link.handles import Handles
from framewire.link.listen import bind
from framewire.link.ring import RingWriter
from framewire.link.supervisor import EngineSupervisor
from framewire.options import EngineOptions, StreamOptions
from tests.viewer import TEST_TIMEOUT_S, connected, eventually, flat, noise, same

TOKEN = "only-those-who-know-it-come-in"


class Parent:
    """Starts an engine, and keeps the messages that it sends."""

    def __init__(self) -> None:
        self.received: list[FromEngine] = []
        sockets = bind("127.0.0.1", 0)
        self.port = sockets[0].getsockname()[1]
        configure = Configure(options=EngineOptions(token=TOKEN))
        self.engine = EngineSupervisor(sockets, configure, on_message=self.received.append)
        self.rings: list[RingWriter] = []

    def add(self, id_: int, name: str, size: tuple[int, int]) -> None:
        options = StreamOptions(id=id_, name=name, width=size[0], height=size[1], max_bitrate=500_000, codecs=("vp8",))
        self.engine.send(AddStream(options=options))
        self.hand_over(id_, size)

    def hand_over(self, id_: int, size: tuple[int, int]) -> RingWriter:
        ring = RingWriter(size[0] * size[1] * 4)
        self.rings.append(ring)
        self.engine.send(Ring(stream=id_), ring)
        return ring

    def publish(self, id_: int, number: int, pixels: np.ndarray) -> None:
        self.rings[-1].write(pixels, number, number)
        self.engine.ring_bell(id_)

    def all(self, kind: type[Any]) -> list[Any]:
        return [message for message in self.received if isinstance(message, kind)]


@pytest.fixture
async def parent() -> AsyncIterator[Parent]:
    parent = Parent()
    try:
        await asyncio.to_thread(parent.engine.wait_ready, TEST_TIMEOUT_S * 2)
        yield parent
    finally:
        await asyncio.to_thread(parent.engine.close)
        for ring in parent.rings:
            ring.close()


async def test_the_engine_serves_from_its_first_message_to_its_shutdown(parent: Parent) -> None:
    url = f"ws://127.0.0.1:{parent.port}/ws"
    pid = parent.engine.pid
    assert pid and parent.all(Ready)[0].pid == pid
    parent.add(5, "cam", (64, 48))
    parent.publish(5, 1, flat(64, 48, 1))
    async with connected(url, TOKEN) as viewer:
        await eventually(lambda: "cam" in viewer.streams)
        sub = await viewer.subscribe("cam")
        assert same(await viewer.unit(), flat(64, 48, 1))

        # A frame that needs a larger ring, while the first one is watched.
        parent.hand_over(5, (640, 480))
        picture = noise(640, 480)
        parent.publish(5, 2, picture)
        assert same(await viewer.unit(lambda unit: unit.number == 2), picture)

        await viewer.send(wire.Input(sub, wire.RenderviewEvent("wheel", 1.0, x=0, y=0, dy=2.5)))
        await eventually(lambda: parent.all(InputArrived))
        assert parent.all(InputArrived)[0].event == {"type": "wheel", "timestamp": 1.0, "x": 0.0, "y": 0.0, "dy": 2.5}
        await eventually(
            lambda: any(message.stats["encodes"] == {"lossless": 2} for message in parent.all(EngineStats))
        )
        await eventually(lambda: parent.all(Viewers))
        (watching,) = parent.all(Viewers)[-1].viewers
        assert (parent.all(Viewers)[-1].stream, watching.visible) == (5, True)

        # What the configuration left out is not offered.
        await viewer.subscribe("cam", "webcodecs", "h264")
        assert (await viewer.message(wire.Ended)).reason == "no_codec"

        os.kill(pid, signal.SIGINT)  # a notebook kernel's interrupt is for the user's code
        parent.engine.send(RemoveStream(id=5))
        assert (await viewer.message(wire.Ended)).reason == "stream_closed"
        assert psutil.Process(pid).is_running()

        closing = asyncio.create_task(asyncio.to_thread(parent.engine.close))
        assert await viewer.closed() == 1001, "viewers are sent a close code"
        await closing
    assert not psutil.pid_exists(pid)


@pytest.mark.parametrize(("hard", "expected"), [(900, 900), (2000, 1000)])
def test_an_engine_opens_as_many_files_as_the_system_allows(hard: int, expected: int) -> None:
    assert main_module.MAX_OPEN_FILES == 8192
    program = f"""
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (200, {hard}))
from framewire.engine import __main__ as main
main.MAX_OPEN_FILES = 1000
main.raise_file_limit()
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(expected), str(hard)]


async def test_an_engine_says_that_it_is_alive(parent: Parent, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[bool] = []
    monkeypatch.setattr(parent.engine._silence, "heard", lambda now, *, debugged: heard.append(debugged))
    await eventually(lambda: len(heard) >= 2)
    assert not any(heard)


async def test_a_long_log_record_is_cut() -> None:
    sent: list[Any] = []

    class Link:
        def send(self, message: FromEngine) -> None:
            sent.append(message)

    handler = main_module._ParentLogHandler(cast("EngineLink", Link()), asyncio.get_running_loop())
    handler.emit(logging.LogRecord("framewire", logging.WARNING, "", 0, "x" * 1_000_000, None, None))
    await eventually(lambda: sent)
    assert sent[0].level == logging.WARNING and len(sent[0].text) == 4000


async def test_a_line_of_code_that_logs_again_and_again_is_sent_a_few_times() -> None:
    assert main_module.MAX_LOG_RECORDS_PER_MINUTE == 5
    sent: list[Any] = []

    class Link:
        def send(self, message: FromEngine) -> None:
            sent.append(message)

    handler = main_module._ParentLogHandler(cast("EngineLink", Link()), asyncio.get_running_loop())
    for number in range(1000):
        for line in (1, 2):
            handler.emit(logging.LogRecord("aioice.ice", logging.ERROR, "", line, f"odd {number}", None, None))
    await eventually(lambda: len(sent) == 10)
    await asyncio.sleep(0.01)
    assert len(sent) == 10 and sent[-1].text == "odd 4 (more like it are only counted for a minute)"


class HangingEngine:
    async def close(self) -> None:
        await asyncio.Event().wait()


async def test_an_engine_that_does_not_close_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 1.5 < main_module.SHUTDOWN_TIMEOUT_S < 3, "after the viewers' 1.5 s, before the parent's 3"
    monkeypatch.setattr(main_module, "SHUTDOWN_TIMEOUT_S", 0.01)
    program = main_module.EngineProgram(Handles(control=0, bell=0, parent=0))
    program._engine = program._server = HangingEngine()  # type: ignore[assignment]
    async with asyncio.timeout(TEST_TIMEOUT_S):
        await program._shut_down()


def test_a_failure_is_reported_with_its_traceback() -> None:
    arguments = ["--control=0", "--bell=0", "--listen=", f"--parent={os.getpid()}", "--by-name=0"]
    done = subprocess.run(
        [sys.executable, "-m", "framewire.engine", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1 and "Traceback" in done.stderr and "OSError" in done.stderr
