"""The engine's end, on a loop in this process: messages with their memory, bells, and the exit of the parent."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import resource
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from framewire.link import attach
from framewire.link.attach import EngineLink
from framewire.link.control import (
    AddStream,
    InputArrived,
    Log,
    RemoveStream,
    Ring,
    RingLost,
    Shutdown,
    ViewerBinary,
    encode,
    parent_decoder,
)
from framewire.link.kind import LINK_VARIABLE
from framewire.link.ring import RingReader, RingWriter
from framewire.link.spawn import environment
from framewire.options import StreamOptions
from framewire.waiting_events import BYTES_PER_EVENT
from tests.link.ends import engines_handles, parent_end


async def until(what):
    for _ in range(3_000):
        if what():
            return
        await asyncio.sleep(0.01)
    pytest.fail("it did not happen")


def add_stream(id_):
    return AddStream(options=StreamOptions(id=id_, name="s", width=1, height=1))


class Parent:
    """The parent's ends of the sockets."""

    def __init__(self, **handles) -> None:
        self.end = parent_end()
        self.bell = self.end.bell
        self.rings: asyncio.Queue[set[int]] = asyncio.Queue()
        self.exits: list[int] = []
        with engines_handles(self.end) as given:
            self.link = EngineLink(
                replace(given, **{"parent": os.getppid(), **handles}),
                on_bell=self.rings.put_nowait,
                exit_process=self.exits.append,
            )
        assert self.end._control
        self.control = self.end._control

    def send(self, message, ring=None):
        if ring and ring.name:
            message = replace(message, memory=ring.name, size=len(ring.memory))
        self.end.send(encode(message), ring)

    def close(self):
        self.link.close()
        self.end.close()


@pytest.fixture
async def parent(link_kind):
    parent = Parent()
    yield parent
    parent.close()


async def test_messages_arrive_in_order_each_ring_with_its_own_memory(parent):
    rings = [RingWriter(4), RingWriter(4)]
    for stream, ring in enumerate(rings):
        ring.write(np.full((1, 1, 1), stream, np.uint8), stream, 0)
        parent.send(add_stream(stream))
        parent.send(Ring(stream=stream), ring)
    parent.send(Shutdown())
    for stream in range(2):
        assert await parent.link.receive() == (add_stream(stream), None)
        message, memory = await parent.link.receive()
        assert isinstance(message, Ring) and message.stream == stream and message.memory == rings[stream].name
        assert not isinstance(memory, int) or not os.get_inheritable(memory)
        lease = RingReader(memory).latest()
        assert lease and lease.frame.number == stream
    assert await parent.link.receive() == (Shutdown(), None)


async def test_a_ring_whose_descriptor_was_cut_off_is_asked_for_again(monkeypatch, caplog):
    """The engine has too many files open for another one; it goes on, and takes the ring when it can."""
    monkeypatch.setenv(LINK_VARIABLE, "descriptors")
    assert attach.RING_RETRY_S == 1.0
    monkeypatch.setattr(attach, "RING_RETRY_S", 0.01)
    parent, rings = Parent(), [RingWriter(4), RingWriter(4)]
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))), limits[1]))
    full = []
    try:
        with contextlib.suppress(OSError):
            while True:
                full.append(os.dup(0))
        for number in (1, 2):
            rings[number - 1].write(np.full((1, 1, 1), number, np.uint8), number, 0)
            parent.send(Ring(stream=7, number=number), rings[number - 1])
        parent.send(Shutdown())
        assert await asyncio.wait_for(parent.link.receive(), 30) == (Shutdown(), None)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        for fd in full:
            os.close(fd)
    asked = await asyncio.to_thread(parent.control.recv, 1000)
    assert parent_decoder().feed(asked)[0] == RingLost(stream=7, number=2), "the one that is there no more is not asked"
    parent.send(Ring(stream=7, number=2), rings[1])
    item = await asyncio.wait_for(parent.link.receive(), 30)
    assert item and item[1]
    lease = RingReader(item[1]).latest()
    assert lease and lease.frame.number == 2
    assert len([r for r in caplog.records if "ulimit -n" in r.getMessage()]) == 2
    parent.close()


async def test_a_ring_that_cannot_be_taken_again_and_again_is_logged_once(monkeypatch, caplog, parent):
    monkeypatch.setattr(attach, "RING_RETRY_S", 0.01)
    ring, decoder = RingWriter(4), parent_decoder()
    for _ in range(3):
        parent.send(Ring(stream=7, number=2), ring)
        message, memory = await parent.link.receive()
        RingReader(memory).close()
        parent.link.ring_lost(message)
        asked = decoder.feed(await asyncio.to_thread(parent.control.recv, 1000))
        assert asked == [RingLost(stream=7, number=2)]
    parent.send(Ring(stream=7, number=3), ring)
    message, memory = await parent.link.receive()
    RingReader(memory).close()
    parent.link.ring_lost(message)
    assert len([r for r in caplog.records if "ulimit -n" in r.getMessage()]) == 2, "one for each ring"


async def test_memory_that_is_gone_is_passed_over(monkeypatch):
    monkeypatch.setenv(LINK_VARIABLE, "names")
    parent, ring = Parent(), RingWriter(4)
    parent.send(add_stream(1))
    parent.send(Ring(stream=1), ring)
    assert ring.name
    os.unlink(ring.name)
    parent.send(Shutdown())
    assert [await parent.link.receive() for _ in range(2)] == [(add_stream(1), None), (Shutdown(), None)]
    parent.close()


async def test_a_ring_of_the_bell_arrives(parent):
    parent.bell.ring(5)
    assert await asyncio.wait_for(parent.rings.get(), 30) == {5}


async def test_after_too_many_rings_every_stream_is_reported(parent):
    for stream in (1, 2, 3):
        parent.send(add_stream(stream))
        await parent.link.receive()
    parent.send(RemoveStream(id=3))
    await parent.link.receive()
    for _ in range(5_000):
        parent.bell.ring(1)
    assert await asyncio.wait_for(parent.rings.get(), 30) == {1, 2}


async def test_messages_wait_for_a_slow_parent_and_arrive_complete(parent):
    sent = [Log(level=n, text="x" * 10_000) for n in range(100)]
    for message in sent:
        parent.link.send(message)
    decoder = parent_decoder()
    received: list[object] = []
    parent.control.setblocking(False)
    while len(received) < len(sent):
        received += decoder.feed(await asyncio.wait_for(asyncio.get_running_loop().sock_recv(parent.control, 4096), 30))
    assert received == sent


async def test_what_waits_for_a_parent_that_does_not_read_is_bounded(parent, monkeypatch):
    monkeypatch.setattr(attach, "_MAX_OUTBOX_BYTES", 1 << 20)
    for _ in range(400):
        parent.link.send(Log(level=1, text="x" * 10_000))
    assert len(parent.link._outbox) < (1 << 20) + 20_000


async def test_input_for_a_parent_that_does_not_read_is_bounded_and_in_no_reports_way(parent) -> None:
    assert attach.MAX_WAITING_INPUT == 1024
    link, touches = parent.link, {str(n): {"x": 0.5, "y": 0.5, "pressure": 0.5} for n in range(32)}

    def send(client_id: str, kind: str, n: int, **fields: object) -> None:
        link.send_input(InputArrived(stream=1, client_id=client_id, event={"type": kind, "n": n, **fields}))

    send("quiet", "key_down", 0, key="a")
    for n in range(30_000):
        send("flood", "double_click", n, touches=touches)
        send("moves", "pointer_move", n)
    send("quiet", "key_up", 1, key="a")
    link.send(Log(level=1, text="x"))
    assert len(link._input) <= 1024 and link._input.bytes <= 1024 * BYTES_PER_EVENT and len(link._outbox) < 100
    decoder = parent_decoder()
    received: list[Any] = []
    parent.control.setblocking(False)
    last = InputArrived(stream=1, client_id="quiet", event={"type": "key_up", "n": 1, "key": "a"})
    while last not in received:
        data = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(parent.control, 65_536), 30)
        received += decoder.feed(data)
    of: dict[str, list[dict[str, Any]]] = {"quiet": [], "moves": [], "flood": []}
    for each in received:
        if isinstance(each, InputArrived):
            of[each.client_id].append(each.event)
    assert [event["type"] for event in of["quiet"]] == ["key_down", "key_up"]
    assert of["moves"][-1]["n"] == of["flood"][-1]["n"] == 29_999
    at = next(index for index, each in enumerate(received) if isinstance(each, Log))
    assert at < len(received) - 100, "ahead of what waited"
    assert [each["n"] for each in of["flood"]] == sorted(each["n"] for each in of["flood"])


async def test_messages_to_viewers_are_never_lost_and_never_in_the_way_of_reports(parent, monkeypatch):
    monkeypatch.setattr(attach, "_MAX_OUTBOX_BYTES", 1 << 20)
    units = [ViewerBinary(id=1, data=bytes([n]) * 100_000) for n in range(100)]
    for unit in units:
        parent.link.send_to_viewer(unit)
    reports = [Log(level=n, text="x" * 1000) for n in range(10)]
    for report in reports:
        parent.link.send(report)
    decoder = parent_decoder()
    received: list[object] = []
    parent.control.setblocking(False)
    while len(received) < len(units) + len(reports):
        data = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(parent.control, 65_536), 30)
        received += decoder.feed(data)
    assert [each for each in received if isinstance(each, ViewerBinary)] == units
    assert [each for each in received if isinstance(each, Log)] == reports
    assert received.index(reports[-1]) < 30, "ahead of what waited"


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(lambda parent: parent.control.close(), id="its end is closed"),
        pytest.param(lambda parent: parent.control.sendall(b"\xff" * 64), id="it sends what is no message"),
        pytest.param(lambda parent: parent.send(Ring(stream=1), None), id="a ring without memory"),
    ],
)
async def test_the_end_of_the_parent_ends_receiving(parent, end):
    parent.send(Shutdown())
    assert await asyncio.wait_for(parent.link.receive(), 30) == (Shutdown(), None)
    end(parent)
    assert await asyncio.wait_for(parent.link.receive(), 30) is None
    assert await asyncio.wait_for(parent.link.receive(), 30) is None
    parent.link.send(Log(level=1, text="too late"))
    parent.link.send_to_viewer(ViewerBinary(id=1, data=b"too late"))
    parent.link.close()


async def test_closing_closes_descriptors_that_were_not_received(parent):
    before = set(os.listdir("/proc/self/fd"))
    ring = RingWriter(4)
    parent.send(Ring(stream=1), ring)
    await until(lambda: not parent.link._received.empty())
    parent.link.close()
    parent.link.close()
    ring.close()
    assert await parent.link.receive() is None
    assert len(set(os.listdir("/proc/self/fd")) - before) == 0


@pytest.mark.parametrize(
    ("parent", "closed"),
    [(os.getppid(), True), (os.getppid() + 1, False)],
    ids=["the socket is closed", "another parent"],
)
async def test_an_engine_without_a_parent_is_ended_by_force(link_kind, monkeypatch, parent, closed):
    monkeypatch.setattr(attach, "ORPHAN_EXIT_GRACE_S", 0.05)
    ends = Parent(parent=parent)
    if closed:
        ends.control.close()
    assert await asyncio.wait_for(ends.link.receive(), 30) is None
    ends.close()
    await until(lambda: ends.exits)
    assert ends.exits == [1]


async def test_an_engine_that_closed_the_link_is_not_ended_by_force(link_kind, monkeypatch):
    monkeypatch.setattr(attach, "ORPHAN_EXIT_GRACE_S", 0)
    monkeypatch.setattr(attach, "PARENT_POLL_INTERVAL_S", 0.01)
    ends = Parent()
    ends.close()
    ends.link._watcher.join(30)
    assert not ends.link._watcher.is_alive() and ends.exits == []


def test_an_engine_whose_loop_is_stuck_is_ended_by_force():
    program = """
import asyncio, os, socket, time
from framewire.link import attach
from framewire.link.kind import by_name
from framewire.link.parent_end import DescriptorEnd, NameEnd
attach.ORPHAN_EXIT_GRACE_S = 0.05
async def main():
    ends = [*socket.socketpair(), *socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)]
    handles = Handles(control=ends[0].detach(), bell=ends[2].detach(), parent=os.getppid() + 1)
    attach.EngineLink(handles, on_bell=print)
    time.sleep(600)
asyncio.run(main())
"""
    run = subprocess.run([sys.executable, "-c", program], env=environment(), timeout=60, check=False)
    assert run.returncode == 1


async def test_without_memory_to_read_with_it_reads_later_and_does_not_take_its_parent_for_gone(monkeypatch, parent):
    assert attach.RING_RETRY_S == 1.0
    monkeypatch.setattr(attach, "RING_RETRY_S", 0.05)
    reads, receive = [], parent.link._end.receive

    def without_memory():
        reads.append(0)
        if len(reads) <= 2:
            raise OSError(errno.ENOMEM, "Cannot allocate memory")
        return receive()

    monkeypatch.setattr(parent.link._end, "receive", without_memory)
    parent.send(add_stream(3))
    assert await asyncio.wait_for(parent.link.receive(), 30) == (add_stream(3), None)
    assert len(reads) == 3, "without a pause it would be many"
