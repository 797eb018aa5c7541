"""Connections at a real port, served by a protocol that knows no HTTP: how long each may be silent, and which goes."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from framewire.engine.http import accept
from framewire.engine.http.accept import Acceptor, Connection
from framewire.link.listen import bind
from framewire.tls import server_context
from tests.certificates import write_certificate
from tests.viewer import TEST_TIMEOUT_S, eventually


class Echo(asyncio.Protocol):
    """A line that begins with ``!`` is a request. ``!ws`` makes a WebSocket of it, ``!in`` and ``!out`` admit and
    refuse its viewer, ``!big`` is answered at length."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        connection = transport.get_protocol()
        assert isinstance(connection, Connection)
        self.connection = connection

    def data_received(self, data: bytes) -> None:
        said = {b"!ws": self.connection.upgraded, b"!in": self.connection.admitted, b"!out": self.connection.refused}
        if data.startswith(b"!"):
            self.connection.requested()
            said.get(data, lambda: None)()
            self.transport.write(bytes(20_000_000) if data == b"!big" else data)
        elif not self.connection._bounded:
            self.transport.write(data)


class Door:
    """An acceptor at a port of this machine."""

    def __init__(self) -> None:
        self.acceptor = Acceptor(Echo)
        self.kept: list[asyncio.StreamWriter] = []
        """Or the collector would close them."""
        self.listeners = bind("127.0.0.1", 0)
        self.port = self.listeners[0].getsockname()[1]

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        before = self.acceptor._connections.count
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        await eventually(lambda: self.acceptor._connections.count > before)
        self.kept.append(writer)
        return reader, writer

    async def say(self, text: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.kept.append(writer)
        writer.write(text)
        assert await reader.read(100) == text
        return reader, writer


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    door = Door()
    door.acceptor.start(door.listeners)
    yield door
    await door.acceptor.close()
    for connection in list(door.acceptor.open):
        connection.cut()
    await eventually(lambda: not door.acceptor.open)


async def ended(reader: asyncio.StreamReader) -> bool:
    """Wait for the end of the connection."""
    async with asyncio.timeout(TEST_TIMEOUT_S):
        with contextlib.suppress(ConnectionError):
            await reader.read()
    return True


@pytest.mark.parametrize("start", [b"", b"GET / HTTP/1.1\r\nHost: loc"])
async def test_a_connection_without_a_whole_request_is_cut(
    door: Door, monkeypatch: pytest.MonkeyPatch, start: bytes
) -> None:
    assert accept.HEADER_TIMEOUT_S == 5.0
    monkeypatch.setattr(accept, "HEADER_TIMEOUT_S", 0.1)
    reader, writer = await door.connect()
    writer.write(start)
    assert await ended(reader)
    assert not door.acceptor.open and not door.acceptor.unknown


async def test_a_byte_now_and_then_gives_no_more_time(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accept, "HEADER_TIMEOUT_S", 0.3)
    reader, writer = await door.connect()
    end = asyncio.ensure_future(ended(reader))
    async with asyncio.timeout(TEST_TIMEOUT_S):
        while not end.done():
            writer.write(b"x")
            await asyncio.sleep(0.01)


async def test_the_second_request_has_no_more_time_than_the_first(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = await door.say(b"!one")
    monkeypatch.setattr(accept, "HEADER_TIMEOUT_S", 0.1)
    writer.write(b"half of a request")
    assert await ended(reader), "and not after a minute"


async def test_an_answer_that_is_not_read_is_cut(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    assert accept.IDLE_TIMEOUT_S == 60.0
    monkeypatch.setattr(accept, "IDLE_TIMEOUT_S", 0.1)
    with socket.create_connection(("127.0.0.1", door.port)) as sock:
        sock.sendall(b"!big")
        await eventually(lambda: door.acceptor.open)
        await eventually(lambda: not door.acceptor.open)


async def test_a_websocket_has_deadlines_of_its_own(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accept, "HEADER_TIMEOUT_S", 0.05)
    monkeypatch.setattr(accept, "IDLE_TIMEOUT_S", 0.05)
    reader, writer = await door.say(b"!ws")
    await asyncio.sleep(0.2)
    writer.write(bytes(1 + accept.MAX_HEADER_BYTES))
    async with asyncio.timeout(TEST_TIMEOUT_S):
        assert len(await reader.readexactly(1 + accept.MAX_HEADER_BYTES))


async def test_a_header_without_end_is_cut(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    assert accept.MAX_HEADER_BYTES == 65_536, "more than browsers send, little for each of 512"
    monkeypatch.setattr(accept, "HEADER_TIMEOUT_S", 3600.0)  # not by that
    reader, writer = await door.connect()
    writer.write(b"x" * accept.MAX_HEADER_BYTES)
    await asyncio.sleep(0.05)
    assert door.acceptor.open
    writer.write(b"x")
    assert await ended(reader)


async def test_many_connections_leave_the_loop_its_turns() -> None:
    assert accept.ACCEPTS_PER_TURN == 16
    door, turns = Door(), 0
    waiting = [socket.create_connection(("127.0.0.1", door.port)) for _ in range(160)]
    door.acceptor.start(door.listeners)
    while len(door.acceptor.open) < 160:
        turns += 1
        await asyncio.sleep(0)
    assert turns >= 10
    for sock in waiting:
        sock.close()
    await door.acceptor.close()
    await eventually(lambda: not door.acceptor.open)


async def test_the_oldest_unknown_connection_makes_way_for_the_newest(door: Door) -> None:
    door.acceptor._connections.limit = 3
    viewer = await door.say(b"!in")
    readers = [(await door.connect())[0] for _ in range(3)]
    assert door.acceptor.unknown == 3, "an admitted one does not count"
    await door.say(b"!one")
    assert await ended(readers[0])
    assert not readers[1].at_eof() and not viewer[0].at_eof()
    viewer[1].write(b"!two")
    assert await viewer[0].read(100) == b"!two"


async def test_a_refused_connection_makes_way_first(door: Door) -> None:
    door.acceptor._connections.limit = 2
    first = await door.connect()
    refused = await door.say(b"!out")
    await door.connect()
    assert await ended(refused[0])
    assert not first[0].at_eof()
    assert door.acceptor.unknown == 2


async def test_near_the_limit_of_open_files_the_oldest_makes_way(
    door: Door, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first, _ = await door.connect()
    second, _ = await door.connect()
    monkeypatch.setattr(door.acceptor, "_descriptor_limit", 0)
    third, _ = await door.connect()
    assert await ended(first)
    assert not second.at_eof() and not third.at_eof() and not caplog.records


async def test_where_viewers_have_all_descriptors_few_lines_are_logged(
    door: Door, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    viewer = await door.say(b"!in")
    monkeypatch.setattr(door.acceptor, "_descriptor_limit", 0)
    for _ in range(20):
        reader, _ = await asyncio.open_connection("127.0.0.1", door.port)
        assert await ended(reader)
    assert not viewer[0].at_eof()
    assert len(caplog.records) == 3 and "ulimit -n" in caplog.text


async def test_without_a_descriptor_the_oldest_makes_way_and_few_lines_are_logged(
    door: Door, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert accept.RETRY_S == 0.05
    monkeypatch.setattr(accept, "RETRY_S", 0.0)
    first, _ = await door.connect()
    for number in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
        await door.acceptor._on_error(OSError(number, "too many"))
    assert await ended(first)
    for _ in range(1000):
        await door.acceptor._on_error(OSError(errno.EMFILE, "too many"))
        await door.acceptor._on_error(OSError(errno.EPERM, "a firewall"))
        await door.acceptor._on_error(ConnectionAbortedError(errno.ECONNABORTED, "has left"))
    assert len(caplog.records) == 6
    await door.say(b"!one")


async def test_the_end_closes_listeners_and_silent_connections_and_leaves_the_others(door: Door) -> None:
    silent, _ = await door.connect()
    reader, writer = await door.say(b"!one")
    await door.acceptor.close()
    assert await ended(silent)
    assert all(sock.fileno() < 0 for sock in door.listeners)
    writer.write(b"!two")
    assert await reader.read(100) == b"!two"


async def test_a_listener_that_something_else_closed_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    door = Door()
    for sock in door.listeners:
        sock.close()
    async with asyncio.timeout(TEST_TIMEOUT_S):
        await door.acceptor._accept(door.listeners[0])
    assert not caplog.records


async def test_one_that_is_cut_before_it_is_served_is_closed(door: Door) -> None:
    ours, theirs = socket.socketpair()
    door.acceptor._begin(theirs, ("127.0.0.1", 1))
    (connection,) = door.acceptor.open
    connection.cut()
    assert theirs.fileno() < 0 and not door.acceptor.open
    await asyncio.sleep(0.01)
    ours.close()


# TLS


@pytest.fixture
async def secure_door(tmp_path: Path) -> AsyncIterator[tuple[Door, ssl.SSLContext]]:
    certificate, key = map(str, write_certificate(tmp_path))
    door = Door()
    door.acceptor = Acceptor(Echo, server_context((certificate, key)))
    door.acceptor.start(door.listeners)
    yield door, ssl.create_default_context(cafile=certificate)
    await door.acceptor.close()
    await eventually(lambda: not door.acceptor.open)


async def test_a_handshake_that_does_not_end_is_cut(
    secure_door: tuple[Door, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(accept, "HEADER_TIMEOUT_S", 0.1)
    door, _ = secure_door
    for start in (b"", b"\x16\x03\x01", b"GET / HTTP/1.1\r\n\r\n"):
        reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
        writer.write(start)
        assert await ended(reader)
    await eventually(lambda: not door.acceptor.open)
    assert not door.acceptor.unknown and not caplog.records, "it is no news that strangers know no TLS"


async def test_a_handshake_makes_way_as_other_connections_do(secure_door: tuple[Door, ssl.SSLContext]) -> None:
    door, trusting = secure_door
    door.acceptor._connections.limit = 2
    first, _ = await door.connect()
    await asyncio.sleep(0.05)
    await door.connect()
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port, ssl=trusting)
    assert await ended(first)
    writer.write(b"!one")
    assert await reader.read(100) == b"!one"
    writer.close()


async def test_a_connection_that_is_closed_does_not_wait_for_the_other_end(
    secure_door: tuple[Door, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert accept.TLS_CLOSE_TIMEOUT_S == 2.0, "a long round trip"
    monkeypatch.setattr(accept, "TLS_CLOSE_TIMEOUT_S", 0.1)
    door, trusting = secure_door

    def connect() -> ssl.SSLSocket:
        sock = trusting.wrap_socket(socket.create_connection(("127.0.0.1", door.port)), server_hostname="localhost")
        sock.sendall(b"!one")
        assert sock.recv(100) == b"!one"
        return sock

    sock = await asyncio.to_thread(connect)
    (connection,) = door.acceptor.open
    assert connection._transport
    connection._transport.close()
    await eventually(lambda: not door.acceptor.open)
    sock.close()


async def test_the_end_cuts_a_handshake(secure_door: tuple[Door, ssl.SSLContext]) -> None:
    door, _ = secure_door
    reader, _ = await door.connect()
    await asyncio.sleep(0.05)
    await door.acceptor.close()
    assert await ended(reader)
