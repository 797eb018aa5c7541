"""The engine's end, on a loop in this process: messages with their memory, bells, and the parent's death."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys

import numpy as np
import pytest

from framewire.link import attach
from framewire.link.attach import EngineLink
from framewire.link.bell import Doorbell
from framewire.link.control import (
    AddStream,
    Handles,
    Log,
    RemoveStream,
    Ring,
    Shutdown,
    encode,
    parent_decoder,
)
from framewire.link.life import environment
from framewire.link.ring import RingReader, RingWriter
from framewire.options import StreamOptions


async def until(what):
    for _ in range(3_000):
        if what():
            return
        await asyncio.sleep(0.01)
    pytest.fail("it did not come about")


def add_stream(id_):
    return AddStream(options=StreamOptions(id=id_, name="s", width=1, height=1))


class Parent:
    """The other ends, in the test's hands."""

    def __init__(self, **handles) -> None:
        self.control, control = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        bell, rung = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.bell = Doorbell(bell)
        self.rung: asyncio.Queue[set[int]] = asyncio.Queue()
        self.forced: list[int] = []
        self.link = EngineLink(
            Handles(**{"control": control.detach(), "bell": rung.detach(), "parent": os.getppid(), **handles}),
            on_bell=self.rung.put_nowait,
            by_force=self.forced.append,
        )

    def say(self, message, ring=None):
        if ring:
            socket.send_fds(self.control, [encode(message)], [ring.fileno()])
        else:
            self.control.sendall(encode(message))

    def close(self):
        self.link.close()
        self.control.close()
        self.bell.close()


@pytest.fixture
async def parent():
    parent = Parent()
    yield parent
    parent.close()


async def test_messages_arrive_in_order_each_ring_with_its_own_memory(parent):
    rings = [RingWriter(4), RingWriter(4)]
    for stream, ring in enumerate(rings):
        ring.write(np.full((1, 1, 1), stream, np.uint8), stream, 0)
        parent.say(add_stream(stream))
        parent.say(Ring(stream=stream), ring)
    parent.say(Shutdown())
    for stream in range(2):
        assert await parent.link.receive() == (
            add_stream(stream),
            None,
        )
        message, fd = await parent.link.receive()
        assert message == Ring(stream=stream)
        assert not os.get_inheritable(fd)
        lease = RingReader(fd).latest()
        assert lease and lease.frame.number == stream
    assert await parent.link.receive() == (Shutdown(), None)


async def test_a_bell_is_heard(parent):
    parent.bell.ring(5)
    assert await asyncio.wait_for(parent.rung.get(), 30) == {5}


async def test_after_too_many_bells_every_stream_that_there_is_may_be_meant(parent):
    for stream in (1, 2, 3):
        parent.say(add_stream(stream))
        await parent.link.receive()
    parent.say(RemoveStream(id=3))
    await parent.link.receive()
    for _ in range(5_000):
        parent.bell.ring(1)
    assert await asyncio.wait_for(parent.rung.get(), 30) == {1, 2}


async def test_what_the_engine_says_waits_for_a_slow_parent_and_arrives_whole(parent):
    said = [Log(level=n, text="x" * 10_000) for n in range(100)]
    for message in said:
        parent.link.send(message)
    decoder = parent_decoder()
    heard: list[object] = []
    parent.control.setblocking(False)
    while len(heard) < len(said):
        heard += decoder.feed(await asyncio.wait_for(asyncio.get_running_loop().sock_recv(parent.control, 4096), 30))
    assert heard == said


async def test_for_a_parent_that_does_not_read_no_more_than_so_much_is_kept(parent, monkeypatch):
    monkeypatch.setattr(attach, "_OUTBOX", 1 << 20)
    for _ in range(400):
        parent.link.send(Log(level=1, text="x" * 10_000))
    assert len(parent.link._outbox) < (1 << 20) + 20_000


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(lambda parent: parent.control.close(), id="its end is closed"),
        pytest.param(lambda parent: parent.control.sendall(b"\xff" * 64), id="it talks rubbish"),
        pytest.param(lambda parent: parent.say(Ring(stream=1)), id="a ring without memory"),
    ],
)
async def test_the_end_of_the_parent_ends_receiving(parent, end):
    parent.say(Shutdown())
    assert await asyncio.wait_for(parent.link.receive(), 30) == (Shutdown(), None)
    end(parent)
    assert await asyncio.wait_for(parent.link.receive(), 30) is None
    assert await asyncio.wait_for(parent.link.receive(), 30) is None
    parent.link.send(Log(level=1, text="to nobody"))
    parent.link.close()


async def test_closing_closes_descriptors_that_were_not_received(parent):
    before = set(os.listdir("/proc/self/fd"))
    ring = RingWriter(4)
    parent.say(Ring(stream=1), ring)
    await until(lambda: not parent.link._received.empty())
    parent.link.close()
    parent.link.close()
    ring.close()
    assert await parent.link.receive() is None
    assert len(set(os.listdir("/proc/self/fd")) - before) == 0


@pytest.mark.parametrize(
    ("parent", "closed"), [(os.getppid(), True), (os.getppid() + 1, False)], ids=["hung up", "another one"]
)
async def test_an_orphan_that_does_not_end_is_ended_even_if_it_closed_the_link(monkeypatch, parent, closed):
    monkeypatch.setattr(attach, "GRACE", 0.05)
    ends = Parent(parent=parent)
    if closed:
        ends.control.close()
    assert await asyncio.wait_for(ends.link.receive(), 30) is None
    ends.close()
    await until(lambda: ends.forced)
    assert ends.forced == [1]


async def test_who_closes_in_peace_is_not_ended_by_force(monkeypatch):
    monkeypatch.setattr(attach, "GRACE", 0)
    monkeypatch.setattr(attach, "WATCH", 0.01)
    ends = Parent()
    ends.close()
    ends.link._watcher.join(30)
    assert not ends.link._watcher.is_alive() and ends.forced == []


def test_an_engine_whose_loop_is_stuck_ends_by_force():
    program = """
import asyncio, os, socket, time
from framewire.link import attach
from framewire.link.control import Handles
attach.GRACE = 0.05
async def main():
    ends = [*socket.socketpair(), *socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)]
    handles = Handles(control=ends[0].detach(), bell=ends[2].detach(), parent=os.getppid() + 1)
    attach.EngineLink(handles, on_bell=print)
    time.sleep(600)
asyncio.run(main())
"""
    run = subprocess.run([sys.executable, "-c", program], env=environment(), timeout=60, check=False)
    assert run.returncode == 1
