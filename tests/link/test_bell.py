"""The doorbell never waits, never raises, and a lost ring is noticed."""

from __future__ import annotations

import socket

import pytest

from framewire.link import bell
from framewire.link.bell import Doorbell, drain


@pytest.fixture(params=["keeping the GIL", "plainly"])
def pair(request, monkeypatch):
    if request.param == "plainly":
        monkeypatch.setattr(bell, "_send", bell._send_plainly)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    theirs.setblocking(False)
    doorbell = Doorbell(ours)
    yield doorbell, theirs
    doorbell.close()
    theirs.close()


def test_before_the_first_ring_there_is_none(pair):
    assert drain(pair[1]) == (set(), False)


def test_each_stream_that_rang_is_drained_once(pair):
    doorbell, theirs = pair
    for stream in (7, 0xFFFFFFFF, 7):
        doorbell.ring(stream)
    assert drain(theirs) == ({7, 0xFFFFFFFF}, False)
    assert drain(theirs) == (set(), False)


def test_a_full_pair_loses_no_stream(pair):
    doorbell, theirs = pair
    for _ in range(5_000):
        doorbell.ring(1)
    doorbell.ring(2)
    assert drain(theirs) == ({1}, True), "others may have been lost"


@pytest.mark.parametrize(("rings", "some_lost"), [(3, False), (4, True)])
def test_a_few_rings_at_once_are_all_that_there_were(pair, rings, some_lost):
    doorbell, theirs = pair
    for _ in range(rings):
        doorbell.ring(1)
    assert drain(theirs) == ({1}, some_lost)


def test_one_draining_is_bounded():
    class Busy:
        """Has always one more."""

        def __init__(self) -> None:
            self.reads = 0

        def recv(self, size: int) -> bytes:
            self.reads += 1
            return self.reads.to_bytes(size, "little")

    busy = Busy()
    streams, some_lost = drain(busy)  # type: ignore[arg-type]
    assert (len(streams), busy.reads, some_lost) == (64, 64, True)


def test_ringing_for_a_dead_engine_or_after_closing_does_nothing(pair):
    doorbell, theirs = pair
    theirs.close()
    for _ in range(3):
        doorbell.ring(1)
    doorbell.close()
    doorbell.close()
    doorbell.ring(1)


def test_a_closed_descriptor_that_was_given_out_again_gets_no_ring(pair):
    doorbell, _ = pair
    doorbell.close()
    others = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    doorbell.ring(1)
    for sock in others:
        sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            sock.recv(4)
        sock.close()


def test_the_end_of_the_publisher_is_not_a_ring(pair):
    doorbell, theirs = pair
    doorbell.ring(3)
    doorbell.close()
    assert drain(theirs)[0] == {3}
    assert drain(theirs) == (set(), False)
