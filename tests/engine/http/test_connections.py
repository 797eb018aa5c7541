"""Which connection makes way: refused ones first, then the oldest of whoever has most. Never the newest."""

from __future__ import annotations

import pytest

from framewire.engine.http.connections import Connections, max_unknown, origin_of


def test_the_room_follows_from_how_many_files_may_be_open():
    rooms = {limit: max_unknown(limit) for limit in (10, 64, 256, 1024, 2048, 2052, 8192, 1 << 20)}
    assert rooms == {10: 16, 64: 16, 256: 64, 1024: 256, 2048: 512, 2052: 512, 8192: 512, 1 << 20: 512}


def test_addresses_that_one_stranger_can_have_count_as_one():
    for address in ("127.0.0.1", "127.9.8.7", "::1", "::ffff:127.0.0.1", "", "/run/socket"):
        assert origin_of(address) == "loopback", address
    assert origin_of("2001:db8:1:2::1") == origin_of("2001:db8:1:2:ffff::2") == "2001:db8:1:2::/64"
    assert origin_of("2001:db8:1:3::1") != origin_of("2001:db8:1:2::1")
    assert origin_of("fe80::1%eth0") == "fe80::/64"
    assert origin_of("192.0.2.7") == origin_of("::ffff:192.0.2.7") == "192.0.2.7"
    assert origin_of("192.0.2.8") != origin_of("192.0.2.7")


def test_up_to_the_limit_none_makes_way():
    connections = Connections[int](3)
    assert [connections.add(n, "127.0.0.1") for n in range(3)] == [None] * 3
    assert len(connections) == 3


def test_the_oldest_makes_way_and_never_the_newest():
    connections = Connections[int](3)
    assert [connections.add(n, "127.0.0.1") for n in range(6)] == [None, None, None, 0, 1, 2]
    assert len(connections) == 3, "one that makes way is forgotten"


def test_a_limit_of_one_keeps_the_newest():
    connections = Connections[int](1)
    assert [connections.add(n, f"192.0.2.{n}") for n in range(3)] == [None, 0, 1]


def test_an_admitted_viewers_connection_makes_way_for_none():
    connections = Connections[int](2)
    connections.add(0, "127.0.0.1")
    connections.remove(0)
    assert [connections.add(n, "127.0.0.1") for n in (1, 2, 3, 4)] == [None, None, 1, 2]
    connections.remove(0)


def test_one_that_was_refused_is_the_first_to_make_way():
    connections = Connections[int](3)
    for n in range(3):
        connections.add(n, "127.0.0.1")
    connections.refuse(2)
    connections.refuse(1)
    assert len(connections) == 3, "they have a descriptor still"
    assert [connections.add(n, "127.0.0.1") for n in (3, 4, 5, 6)] == [2, 1, 0, 3]


def test_a_refused_one_that_is_closed_is_forgotten():
    connections = Connections[int](2)
    connections.add(0, "127.0.0.1")
    connections.refuse(0)
    connections.remove(0)
    assert len(connections) == 0 and connections.take_next() is None


def test_an_admitted_viewer_that_is_closed_is_refused_from_then_on():
    connections = Connections[int](2)
    connections.add(0, "127.0.0.1")
    connections.remove(0)
    connections.refuse(0)
    assert connections.take_next() == 0


def test_whoever_has_most_gives_one():
    connections = Connections[str](6)
    connections.add("viewer", "192.0.2.1")
    for n in range(5):
        assert connections.add(f"crowd {n}", "192.0.2.66") is None
    assert [connections.add(f"crowd {n}", "192.0.2.66") for n in (5, 6)] == ["crowd 0", "crowd 1"]
    assert connections.add("another viewer", "192.0.2.2") == "crowd 2"


@pytest.mark.parametrize("newest", ["192.0.2.1", "192.0.2.2"])
def test_between_equals_the_oldest_goes(newest: str):
    connections = Connections[str](2)
    connections.add("first", "192.0.2.2")
    connections.add("second", "192.0.2.1")
    connections.remove("first")
    connections.add("third", "192.0.2.2")
    assert connections.add("fourth", "192.0.2.3") == "second", "and not the one whose address came first"


def test_silence_makes_way_before_a_request_that_is_answered():
    connections = Connections[str](4)
    for name in ("asks", "asks too"):
        connections.add(name, "127.0.0.1")
        connections.requested(name)
    assert [connections.add(f"silent {n}", "127.0.0.1") for n in range(4)] == [None, None, "silent 0", "silent 1"]


def test_requests_make_way_for_silence_when_they_have_more_than_half_of_the_room():
    connections = Connections[str](4)
    for n in range(4):
        connections.add(f"asks {n}", "127.0.0.1")
        connections.requested(f"asks {n}")
    assert [connections.add(f"silent {n}", "127.0.0.1") for n in range(3)] == ["asks 0", "asks 1", "silent 0"]
    connections.requested("silent 1")
    assert connections.add("silent 3", "127.0.0.1") == "asks 2", "it keeps its place in the order"


def test_a_request_of_one_that_is_not_known_means_nothing():
    connections = Connections[str](1)
    connections.requested("admitted")
    assert len(connections) == 0


def test_who_is_next_can_be_asked_for():
    connections = Connections[int](5)
    for n in range(2):
        connections.add(n, "127.0.0.1")
    assert [connections.take_next() for _ in range(3)] == [0, 1, None]
    assert len(connections) == 0
