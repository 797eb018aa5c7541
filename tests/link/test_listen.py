"""The port is known at once and the same for every address; a taken one is an error or avoided."""

from __future__ import annotations

import contextlib
import errno
import socket

import pytest

from framewire.errors import EngineError
from framewire.link import listen
from framewire.link.listen import bind


@pytest.fixture
def bound():
    """`bind`, with everything closed afterwards."""
    with contextlib.ExitStack() as stack:

        def bind_(*args):
            sockets = bind(*args)
            for sock in sockets:
                stack.enter_context(sock)
            return sockets

        yield bind_


def port_of(sockets):
    return sockets[0].getsockname()[1]


def test_localhost_is_every_loopback_address_on_one_port(bound):
    sockets = bound("localhost", 0)
    assert sockets[0].getsockname()[0] == "127.0.0.1"
    assert {sock.getsockname()[1] for sock in sockets} == {port_of(sockets)}
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        assert len(sockets) == 1
    else:
        assert [sock.getsockname()[0] for sock in sockets] == ["127.0.0.1", "::1"]


def test_they_listen_before_an_engine_accepts(bound):
    for sock in bound("localhost", 0):
        with socket.create_connection(sock.getsockname()[:2], timeout=10):
            pass


def test_an_explicit_port_that_is_taken_is_an_error_that_names_it(bound):
    port = port_of(bound("127.0.0.1", 0))
    with pytest.raises(EngineError, match=f"port {port} .* taken"):
        bound("127.0.0.1", port)
    with pytest.raises(EngineError, match=str(port)):
        bound("localhost", port)


def test_a_free_port_is_used_where_the_default_is_taken(bound, monkeypatch):
    monkeypatch.setattr(listen, "DEFAULT_PORT", port_of(bound("127.0.0.1", 0)))
    assert port_of(bound("localhost", None)) != listen.DEFAULT_PORT


def test_the_default_port_is_used_when_it_is_free(bound, monkeypatch):
    sockets = bound("127.0.0.1", 0)
    free = port_of(sockets)
    sockets[0].close()
    monkeypatch.setattr(listen, "DEFAULT_PORT", free)
    assert port_of(bound("127.0.0.1")) == free


def test_a_port_that_is_taken_at_the_other_address_is_replaced_by_another(bound, monkeypatch):
    real = listen._listener
    taken: list[int] = []

    def listener(address, port):
        if address[0] == socket.AF_INET6 and len(taken) < 3:
            taken.append(port)
            raise OSError(errno.EADDRINUSE, "taken")
        return real(address, port)

    monkeypatch.setattr(listen, "_listener", listener)
    sockets = bound("localhost", 0)
    assert len(taken) == 3 or len(sockets) == 1


def test_without_ipv6_localhost_is_ipv4(bound, monkeypatch):
    real = listen._listener

    def listener(address, port):
        if address[0] == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "no IPv6")
        return real(address, port)

    monkeypatch.setattr(listen, "_listener", listener)
    assert [sock.getsockname()[0] for sock in bound("localhost", 0)] == ["127.0.0.1"]


@pytest.mark.parametrize("host", ["0.0.0.0", "", "*"])
def test_every_interface_has_many_names(bound, host):
    assert "0.0.0.0" in {sock.getsockname()[0] for sock in bound(host, 0)}


@pytest.mark.parametrize("host", ["0.0.0.0", "", "127.0.0.1"])
def test_other_hosts_answer_on_the_loopback_too(bound, host):
    with socket.create_connection(("127.0.0.1", port_of(bound(host, 0))), timeout=10):
        pass


@pytest.mark.parametrize("host", ["203.0.113.7", "no.such.host.invalid", "a" * 300])
def test_a_host_that_is_not_this_machine_is_an_error_that_names_it(bound, host):
    with pytest.raises(EngineError, match=host):
        bound(host, 0)


def test_udp_sockets_can_be_opened_at_addresses_of_this_machine_alone():
    listen.check_udp(())
    listen.check_udp(["127.0.0.1"])
    for host in ("203.0.113.7", "2001:db8::7"):
        with pytest.raises(
            EngineError, match=rf"^udp_host='{host}' is not an address of this machine; '127.0.0.1' is$"
        ):
            listen.check_udp(["127.0.0.1", host])


def test_another_fault_of_a_udp_socket_is_named(monkeypatch):
    def refused(*_):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(socket, "socket", refused)
    with pytest.raises(EngineError, match=r"^udp_host='127.0.0.1' cannot be used: Operation not permitted$"):
        listen.check_udp(["127.0.0.1"])


@pytest.mark.parametrize("port", [70_000, -1])
def test_a_number_that_is_not_a_port_is_an_error(bound, port):
    with pytest.raises(EngineError, match=str(port)):
        bound("127.0.0.1", port)


def test_a_failed_bind_leaves_nothing_open(bound, monkeypatch):
    real = listen._listener
    made: list[socket.socket] = []

    def listener(address, port):
        if made:
            raise OSError(errno.EACCES, "no")
        made.append(real(address, port))
        return made[0]

    monkeypatch.setattr(listen, "_listener", listener)
    with pytest.raises(EngineError):
        bound("localhost", 0)
    assert made[0].fileno() == -1
