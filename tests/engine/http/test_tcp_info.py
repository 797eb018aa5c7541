"""What Linux measures of a TCP connection, and when it is no measure of the path."""

from __future__ import annotations

import socket
import struct
import sys

import pytest

from framewire.engine.http.tcp_info import MIN_ACKED_BYTES, delivery_rate_bps, parse_delivery_rate


def tcp_info(*, limited: bool = False, acked: int = 100_000, rate: int = 125_000) -> bytes:
    """As Linux fills it in, as far as it is read."""
    info = bytearray(232)
    info[7] = int(limited)
    struct.pack_into("=Q", info, 120, acked)
    struct.pack_into("=Q", info, 160, rate)
    return bytes(info)


def test_the_delivery_rate_is_known_only_when_it_was_measured() -> None:
    assert parse_delivery_rate(tcp_info()) == 1e6
    assert parse_delivery_rate(tcp_info(limited=True)) is None, "it had no more to send"
    assert parse_delivery_rate(tcp_info(acked=MIN_ACKED_BYTES)) == 1e6
    assert parse_delivery_rate(tcp_info(acked=MIN_ACKED_BYTES - 1)) is None, "its first packets do not measure the path"
    assert 2 * 14_600 < MIN_ACKED_BYTES < 4 * 14_600, "initial windows of ten segments"
    assert parse_delivery_rate(tcp_info()[:168]) == 1e6
    assert parse_delivery_rate(tcp_info()[:167]) is None, "an old kernel"
    assert parse_delivery_rate(b"") is None


class FakeTcp:
    """A TCP socket with a delivery rate."""

    def __init__(self, family: int) -> None:
        self.family = family

    def getsockopt(self, level: int, option: int, size: int) -> bytes:
        assert (level, option) == (socket.IPPROTO_TCP, socket.TCP_INFO)
        return tcp_info()[:size]


@pytest.mark.skipif(not hasattr(socket, "TCP_INFO"), reason="an option of Linux")
def test_the_delivery_rate_of_a_tcp_socket_is_read_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert delivery_rate_bps(FakeTcp(socket.AF_INET)) == delivery_rate_bps(FakeTcp(socket.AF_INET6)) == 1e6
    assert delivery_rate_bps(FakeTcp(socket.AF_UNIX)) is None
    monkeypatch.delattr(socket, "TCP_INFO")
    assert delivery_rate_bps(FakeTcp(socket.AF_INET)) is None, "another operating system"


def test_a_socket_that_is_not_tcp_has_no_delivery_rate() -> None:
    assert delivery_rate_bps(None) is None
    here, there = socket.socketpair()
    with here, there:
        assert delivery_rate_bps(here) is None
    with socket.socket() as closed:
        pass
    assert delivery_rate_bps(closed) is None


@pytest.mark.skipif(sys.platform != "linux", reason="the places of the fields are Linux's")
def test_a_real_connection_with_more_to_send_has_a_delivery_rate() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.create_connection(listening.getsockname()) as ours:
        theirs, _ = listening.accept()
        with theirs:
            ours.setblocking(False)
            taken = 0
            while taken < 4_000_000:
                try:
                    taken += ours.send(bytes(1 << 16))
                except BlockingIOError:
                    if taken > 1_000_000:
                        break
                    theirs.recv(1 << 20)
            speed = delivery_rate_bps(ours)
    assert speed is None or speed > 1e6
