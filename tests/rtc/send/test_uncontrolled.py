"""Sending for a viewer without feedback on packets."""

from __future__ import annotations

import pytest

from framewire.rtc.send.deadline import NEVER
from framewire.rtc.send.uncontrolled import UncontrolledSend
from tests.rtc.send.test_controller import Draft, Socket


@pytest.fixture
def socket():
    return Socket()


@pytest.fixture
def packets(socket):
    return UncontrolledSend(socket)


def test_packets_leave_as_they_come_and_without_numbers(packets, socket):
    packets.send([Draft(1, 1000)] * 300, [Draft(3, 9, "parity")], 1 / 30, 1000.0)
    packets.send_urgent([Draft(2, 10, "again")], 1000.0)
    assert len(socket.sent) == 302 and socket.bursts == 2
    assert socket.names[0] == "#media None" and socket.names[-2:] == ["#parity None", "#again None"]
    assert socket.left_at(0) == 1000.0


def test_nothing_is_no_burst(packets, socket):
    packets.send_urgent([], 1000.0)
    assert socket.bursts == 0


def test_the_newest_packet_is_repeated_byte_for_byte(packets, socket):
    packets.send([Draft(1, 10), Draft(1, 20, "last")], (), 1 / 30, 1000.0)
    packets.repeat_last(1)
    packets.repeat_last(77)
    assert socket.sent[2:] == [socket.sent[1]]
    packets.remove(1)
    packets.remove(1)
    packets.repeat_last(1)
    assert len(socket.sent) == 3


def test_nothing_is_known_of_the_path_and_nothing_done_about_it(packets, socket):
    packets.set_useful_bitrate(1e6)
    packets.feed(b"invalid", 1000.0)
    packets.tick(1000.0)
    assert packets.admits(1000.0) and packets.deadline == NEVER and not socket.sent
    assert packets.unacknowledged_since(1000.0) is None and not packets.loses_repairs
    assert packets.parity_count(30, 0.2, 1 / 30) == packets.late_fraction(30, 0, 0.2, 1 / 30) == 0
    assert packets.queueing_delay_s == 0
