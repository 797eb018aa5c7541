"""Supervised engines that report what they receive, and what tests ask of them. Must not know what is tested."""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path

import numpy as np
import psutil

from framewire.link.control import AddStream, Configure, EngineStats, Ring
from framewire.link.listen import bind
from framewire.link.ring import RingWriter
from framewire.link.supervisor import EngineSupervisor
from framewire.options import EngineOptions, StreamOptions

HERE = Path(__file__).parent
ECHO = [sys.executable, str(HERE / "echo_engine.py")]
TEST_TIMEOUT_S = 60.0


def eventually(what, because=""):
    deadline = time.monotonic() + TEST_TIMEOUT_S
    while not (value := what()):
        assert time.monotonic() < deadline, because or "it did not happen"
        time.sleep(0.01)
    return value


def stream_options(id_, size):
    return StreamOptions(id=id_, name=f"stream {id_}", width=size, height=size)


def gone(pid):
    """No such process; or a zombie, which its new parent has not waited for."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


class Engines:
    """Supervised engines and their messages; closed in the end."""

    def __init__(self) -> None:
        self.stack = contextlib.ExitStack()
        self.received: list[object] = []

    def start(self, *words, command=None, listeners=None, on_message=None, **options):
        def receive(message):
            self.received.append(message)
            if on_message:
                on_message(message)

        engine = EngineSupervisor(
            bind("127.0.0.1", 0) if listeners is None else listeners,
            Configure(options=EngineOptions(token="s3cret-token-of-enough-characters")),
            on_message=receive,
            command=command or [*ECHO, *words],
            **options,
        )
        self.stack.callback(engine.close)
        return engine

    def stream(self, engine, id_=1, size=64):
        ring = RingWriter(size * size * 3)
        self.stack.callback(ring.close)
        engine.send(AddStream(options=stream_options(id_, size)))
        engine.send(Ring(stream=id_), ring)
        return ring

    def echo(self, number, stream=1, by=None):
        """What the engine (of process id ``by``) reports of the frame."""
        for message in list(self.received):
            if (
                isinstance(message, EngineStats)
                and (message.stream, message.stats["number"]) == (stream, number)
                and by in (None, message.stats["pid"])
            ):
                return message.stats
        return None


def random_frame(seed, size=64):
    return np.random.default_rng(seed).integers(0, 255, (size, size, 3), np.uint8)
