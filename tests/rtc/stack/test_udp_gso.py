"""Many datagrams in one call arrive unchanged and in order; without kernel support they leave one by one."""

from __future__ import annotations

import asyncio
import errno
import sys
from itertools import chain
from typing import Any

import pytest

from framewire.rtc.stack.udp_gso import MAX_DATAGRAMS, MAX_RUN_BYTES, UDP_SEGMENT, UdpGso, runs
from tests.viewer import eventually


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [
        ([], []),
        ([5], [[5]]),
        ([5, 5, 5], [[5, 5, 5]]),
        ([5, 5, 3], [[5, 5, 3]]),
        ([5, 5, 3, 3, 2], [[5, 5, 3], [3, 2]]),
        ([3, 5], [[3], [5]]),
        ([5, 4, 3], [[5, 4], [3]]),
    ],
)
def test_datagrams_that_length_alone_can_cut_apart_are_one_run(lengths, expected):
    assert [[len(each) for each in run] for run in runs([bytes(length) for length in lengths])] == expected


@pytest.mark.parametrize("length", [100, 1200, 65_000])
def test_no_run_exceeds_the_kernels_limits(length):
    datagrams = [bytes(length)] * 200
    made = list(runs(datagrams))
    assert list(chain.from_iterable(made)) == datagrams
    assert max(map(len, made)) <= MAX_DATAGRAMS
    assert all(sum(map(len, run)) <= MAX_RUN_BYTES for run in made)


class Listener(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.came: list[bytes] = []

    def datagram_received(self, data, addr):
        self.came.append(data)


@pytest.fixture
async def pair():
    """A sender, a receiver, and the receiver's address."""
    loop = asyncio.get_running_loop()
    theirs, listener = await loop.create_datagram_endpoint(Listener, local_addr=("127.0.0.1", 0))
    ours, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0))
    gso = UdpGso(ours)
    yield gso, listener, theirs.get_extra_info("sockname")
    gso.close()
    ours.close()
    theirs.close()


async def arrived(listener, count):
    return await eventually(lambda: len(listener.came) >= count and listener.came)


DATAGRAMS = [bytes([index]) * 1200 for index in range(20)] + [b"last", b"longer than the last", b"x" * 20]


async def test_all_arrive_unchanged_and_in_order(pair):
    gso, listener, address = pair
    gso.send(DATAGRAMS, address)
    assert await arrived(listener, len(DATAGRAMS)) == DATAGRAMS


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="UDP_SEGMENT is Linux's")
async def test_a_frame_is_one_system_call(pair, monkeypatch):
    gso, listener, address = pair
    single = []
    monkeypatch.setattr(gso._transport, "sendto", lambda *args: single.append(args))
    gso.send(DATAGRAMS[:21], address)
    assert await arrived(listener, 21) == DATAGRAMS[:21]
    assert single == []


class Broken:
    """A socket that refuses."""

    def __init__(self, number):
        self.number = number
        self.tried = 0
        self.closed = False

    def sendmsg(self, run, control, flags, address):
        assert control[0][1] == UDP_SEGMENT
        self.tried += 1
        raise OSError(self.number, "no")

    def close(self):
        self.closed = True


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EIO])
async def test_a_kernel_without_support_is_tried_once_and_nothing_is_lost(pair, number):
    gso, listener, address = pair
    gso.close()
    gso._socket = broken = Broken(number)
    gso.send(DATAGRAMS, address)
    gso.send(DATAGRAMS, address)
    assert await arrived(listener, 2 * len(DATAGRAMS)) == DATAGRAMS * 2
    assert (broken.tried, broken.closed) == (1, True)


async def test_a_full_socket_is_left_to_asyncio(pair):
    gso, listener, address = pair
    gso.close()
    gso._socket = broken = Broken(errno.EAGAIN)
    gso.send(DATAGRAMS[:5], address)
    assert await arrived(listener, 5) == DATAGRAMS[:5]
    assert (broken.tried, broken.closed) == (1, False)
    gso._socket = None


async def test_what_waits_in_the_transport_leaves_first(pair, monkeypatch):
    gso, _, address = pair
    gso.close()
    gso._socket = broken = Broken(errno.EAGAIN)
    single = []
    monkeypatch.setattr(gso._transport, "get_write_buffer_size", lambda: 9)
    monkeypatch.setattr(gso._transport, "sendto", lambda datagram, to: single.append(datagram))
    gso.send(DATAGRAMS, address)
    assert single == DATAGRAMS
    assert broken.tried == 0
    gso._socket = None


async def test_a_transport_without_a_socket_sends_one_by_one():
    class Relay:
        def __init__(self):
            self.sent = []

        def get_extra_info(self, name, default=None):
            return default

        def sendto(self, datagram, address):
            self.sent.append(datagram)

    relay: Any = Relay()
    UdpGso(relay).send(DATAGRAMS, ("192.0.2.1", 9))
    assert relay.sent == DATAGRAMS


async def test_the_duplicate_closes_without_the_original(pair):
    gso, listener, address = pair
    gso.close()
    gso.close()
    gso.send(DATAGRAMS, address)
    assert await arrived(listener, len(DATAGRAMS)) == DATAGRAMS
