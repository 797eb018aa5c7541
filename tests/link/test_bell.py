"""A bell never waits, never raises, and a lost one is noticed."""

from __future__ import annotations

import socket

import pytest

from framewire.link import bell
from framewire.link.bell import Doorbell, drain


@pytest.fixture(params=["quietly", "plainly"])
def pair(request, monkeypatch):
    if request.param == "plainly":
        monkeypatch.setattr(bell, "_send", bell._send_plainly)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    theirs.setblocking(False)
    doorbell = Doorbell(ours)
    yield doorbell, theirs
    doorbell.close()
    theirs.close()


def test_nothing_rung_is_nothing_heard(pair):
    assert drain(pair[1]) == (set(), False)


def test_what_was_rung_is_heard_once(pair):
    doorbell, theirs = pair
    for stream in (7, 0xFFFFFFFF, 7):
        doorbell.ring(stream)
    assert drain(theirs) == ({7, 0xFFFFFFFF}, False)
    assert drain(theirs) == (set(), False)


def test_bells_that_found_the_pair_full_are_suspected(pair):
    doorbell, theirs = pair
    for _ in range(5_000):
        doorbell.ring(1)
    doorbell.ring(2)
    heard, suspected = drain(theirs)
    assert heard == {1} and suspected


def test_an_engine_that_is_gone_and_a_closed_bell_are_rung_in_silence(pair):
    doorbell, theirs = pair
    theirs.close()
    for _ in range(3):
        doorbell.ring(1)
    doorbell.close()
    doorbell.close()
    doorbell.ring(1)


def test_a_descriptor_that_became_somebody_elses_is_not_rung(pair):
    doorbell, _ = pair
    doorbell.close()
    others = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    doorbell.ring(1)
    for sock in others:
        sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            sock.recv(4)
        sock.close()


def test_the_end_of_the_publisher_is_no_bell(pair):
    doorbell, theirs = pair
    doorbell.ring(3)
    doorbell.close()
    assert drain(theirs)[0] == {3}
    assert drain(theirs) == (set(), False)
