"""Accepts connections: bounds how many there are, how long each has for a request, and what it may send before.

Must not know HTTP: the protocol that it hands connections to says when a request has come, and what became of it.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Final, cast

from framewire.engine.descriptors import descriptor_limit, is_nearly_last
from framewire.engine.http.connections import Connections, max_unknown
from framewire.limited_log import LimitedLog

log: Final = LimitedLog(logging.getLogger(__name__))

HEADER_TIMEOUT_S: Final = 5.0
"""Time for a whole request header, and for the TLS handshake before it.

Source: chosen by hand, the slowest link's few round trips; pinned by
`tests/engine/http/test_accept.py::test_a_connection_without_a_whole_request_is_cut`"""

IDLE_TIMEOUT_S: Final = 60.0
"""Time from a request until its answer is read and the next request begins.

Source: chosen by hand: the page's script at 64 kbit/s takes half of it; pinned by
`tests/engine/http/test_accept.py::test_an_answer_that_is_not_read_is_cut`"""

MAX_HEADER_BYTES: Final = 64 * 1024
"""Bytes of a connection that has no request yet. Browsers send up to 16 KiB; cookies of all ports of a machine count.

Source: chosen by hand; pinned by
`tests/engine/http/test_accept.py::test_a_header_without_end_is_cut`"""

ACCEPTS_PER_TURN: Final = 16
"""Connections that are accepted before frames and viewers have their turn.

Source: chosen by hand, a few milliseconds; pinned by
`tests/engine/http/test_accept.py::test_many_connections_leave_the_loop_its_turns`"""

RETRY_S: Final = 0.05
"""Time until accepting is tried again, when no descriptor is left.

Source: chosen by hand; pinned by
`tests/engine/http/test_accept.py::test_without_a_descriptor_the_oldest_makes_way_and_few_lines_are_logged`"""

TLS_CLOSE_TIMEOUT_S: Final = 2.0
"""Time for the end of a TLS connection. asyncio's own is 30 s.

Source: chosen by hand, as for a WebSocket's close frame; pinned by
`tests/engine/http/test_accept.py::test_a_connection_that_is_closed_does_not_wait_for_the_other_end`"""

_OUT_OF_DESCRIPTORS: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Acceptor:
    """Serves connections of listening sockets, each with a protocol of its own. Made on a running loop."""

    def __init__(self, make_protocol: Callable[[], asyncio.Protocol], tls: ssl.SSLContext | None = None) -> None:
        self._make_protocol, self._tls = make_protocol, tls
        self._descriptor_limit = descriptor_limit()
        self._connections: Connections[Connection] = Connections(max_unknown(self._descriptor_limit))
        self._listeners: list[socket.socket] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.open: set[Connection] = set()
        """All connections, admitted ones too."""

    @property
    def unknown(self) -> int:
        """Connections that are not an admitted viewer's."""
        return len(self._connections)

    def start(self, listeners: Iterable[socket.socket]) -> None:
        """Accept on these sockets, which are closed in the end."""
        for listener in listeners:
            listener.setblocking(False)
            self._listeners.append(listener)
            self._run(self._accept(listener))

    async def close(self) -> None:
        """Stop accepting, and cut connections that are not served yet. The others stay as they are."""
        for connection in [each for each in self.open if each.silent]:
            connection.cut()
        tasks, self._tasks = self._tasks, set()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for listener in self._listeners:
            listener.close()

    def requested(self, connection: Connection) -> None:
        """It has sent a whole request."""
        self._connections.requested(connection)

    def admitted(self, connection: Connection) -> None:
        """Its viewer has been admitted: it makes way for no other."""
        self._connections.remove(connection)

    def refused(self, connection: Connection) -> None:
        """It has been sent a close code."""
        if connection in self.open:
            self._connections.refuse(connection)

    def closed(self, connection: Connection) -> None:
        self._connections.remove(connection)
        self.open.discard(connection)

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while listener.fileno() >= 0:
            for _ in range(ACCEPTS_PER_TURN):
                try:
                    sock, address = await loop.sock_accept(listener)
                except OSError as error:
                    await self._on_error(error)
                    break
                self._begin(sock, address)
            await asyncio.sleep(0)

    def _begin(self, sock: socket.socket, address: object) -> None:
        connection = Connection(self, sock, self._make_protocol)
        self.open.add(connection)
        host = address[0] if isinstance(address, tuple) and address else ""
        if oldest := self._connections.add(connection, str(host)):
            oldest.cut()
        if is_nearly_last(sock.fileno(), self._descriptor_limit):
            self._make_room(connection)
        self._run(connection.connect(self._tls))

    def _make_room(self, newest: Connection | None = None) -> None:
        oldest = self._connections.take_next()
        if oldest:
            oldest.cut()
        if oldest is newest:  # viewers and their peers have all the others
            log.warning(
                "no more viewers can connect: nearly all of the %d files that may be open are (ulimit -n)",
                self._descriptor_limit,
            )

    async def _on_error(self, error: OSError) -> None:
        """A connection was not accepted."""
        if error.errno in _OUT_OF_DESCRIPTORS:
            self._make_room()
            await asyncio.sleep(RETRY_S)
        elif not isinstance(error, ConnectionError):  # not of one that has left already
            log.warning("a connection could not be accepted (%s)", error.strerror)
            await asyncio.sleep(RETRY_S)


class Connection(asyncio.Protocol):
    """One connection, around the protocol that serves it. Its deadline and its bytes count until it is `upgraded`."""

    def __init__(self, acceptor: Acceptor, sock: socket.socket, make_protocol: Callable[[], asyncio.Protocol]) -> None:
        self._acceptor = acceptor
        self._sock: socket.socket | None = sock
        """Until it is connected."""
        self._loop = asyncio.get_running_loop()
        self._make_protocol = make_protocol
        self._protocol: asyncio.Protocol | None = None
        self._transport: asyncio.Transport | None = None
        self._handshake: asyncio.Task[None] | None = None
        self._bounded = True
        self._unserved_bytes = 0
        """What has come since the last request."""
        self._timer = self._loop.call_later(HEADER_TIMEOUT_S, self.cut)

    @property
    def silent(self) -> bool:
        """Whether nothing has come yet."""
        return self._protocol is None

    async def connect(self, tls: ssl.SSLContext | None) -> None:
        """Serve it. Returns when it is connected, with TLS where that is asked for, or has failed to be."""
        sock, self._sock = self._sock, None
        if sock is None:
            return
        self._handshake = asyncio.current_task()
        limits = {"ssl_handshake_timeout": HEADER_TIMEOUT_S, "ssl_shutdown_timeout": TLS_CLOSE_TIMEOUT_S} if tls else {}
        try:
            await self._loop.connect_accepted_socket(lambda: self, sock, ssl=tls, **limits)
        except (OSError, asyncio.CancelledError):  # no TLS, most often; the loop has closed the socket
            self._end()
        finally:
            self._handshake = None

    def cut(self) -> None:
        """Close it without a word."""
        if self._transport:
            self._transport.abort()
        elif self._sock:
            self._sock.close()
            self._sock = None
            self._end()
        elif self._handshake:
            self._handshake.cancel()

    # What the protocol says

    def requested(self) -> None:
        """A whole request has come."""
        self._unserved_bytes = 0
        self._set_timer(IDLE_TIMEOUT_S)
        self._acceptor.requested(self)

    def upgraded(self) -> None:
        """It is a WebSocket now, whose viewer has deadlines of its own."""
        self._bounded = False
        self._timer.cancel()

    def admitted(self) -> None:
        """Its viewer has been admitted."""
        self._acceptor.admitted(self)

    def refused(self) -> None:
        """It has been sent a close code."""
        self._acceptor.refused(self)

    # What the loop says

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._protocol is None:  # silent ones cost little
            assert self._transport, "data comes after the connection"
            self._protocol = self._make_protocol()
            self._protocol.connection_made(self._transport)
        if self._bounded:
            if not self._unserved_bytes:
                self._set_timer(min(HEADER_TIMEOUT_S, self._timer.when() - self._loop.time()))
            self._unserved_bytes += len(data)
            if self._unserved_bytes > MAX_HEADER_BYTES:
                return self.cut()
        self._protocol.data_received(data)

    def eof_received(self) -> bool | None:
        return self._protocol.eof_received() if self._protocol else None

    def pause_writing(self) -> None:
        if self._protocol:
            self._protocol.pause_writing()

    def resume_writing(self) -> None:
        if self._protocol:
            self._protocol.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()
        if self._protocol:
            self._protocol.connection_lost(exc)

    def _set_timer(self, delay_s: float) -> None:
        self._timer.cancel()
        self._timer = self._loop.call_later(delay_s, self.cut)

    def _end(self) -> None:
        self._timer.cancel()
        self._acceptor.closed(self)
