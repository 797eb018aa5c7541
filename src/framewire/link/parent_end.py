"""The parent's end of a link: the control connection and the bell, in both kinds (`link.kind`).

Must not know what messages mean, nor the process at the other end.
"""

from __future__ import annotations

import array
import contextlib
import hmac
import os
import secrets
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from framewire.link.bell import Doorbell
from framewire.link.control import Listeners, encode
from framewire.link.descriptors import socket_above_stdio
from framewire.link.handles import GREETING, PROOF_BYTES, TCP_BUFFER_BYTES, Handles
from framewire.link.ring import RingWriter

SEND_TIMEOUT_S: Final = 10
"""An engine that reads nothing for so long is killed: its loop is stuck.

Source: chosen by hand; pinned by `tests/link/test_process.py::test_an_engine_that_does_not_read_is_killed`."""
_ACCEPT_POLL_S: Final = 0.1
"""Time between two looks whether an engine that has not connected yet still runs.

Source: chosen by hand."""
_PROOF_TIMEOUT_S: Final = 2.0
"""Time for whoever connects to prove that it is the engine.

Source: chosen by hand; pinned by `tests/link/test_parent_end.py::test_whoever_does_not_prove_itself_is_hung_up_on`."""
_LOOPBACK: Final = "127.0.0.1"
_READ_BYTES: Final = 65_536
_NO_SIGPIPE: Final = getattr(socket, "MSG_NOSIGNAL", 0)
_DARWIN_SO_NOSIGPIPE: Final = 0x1022


class ParentEnd(Protocol):
    """One link to one engine. Any thread may send; one receives."""

    bell: Doorbell
    handles: Handles
    """For the engine's command line."""
    descriptors: tuple[int, ...]
    """Those that the engine inherits."""
    stdin: bytes
    """What the engine reads from its standard input."""

    def spawned(self) -> None:
        """The engine has inherited what it needs."""

    def connected(self, runs: Callable[[], bool]) -> bool:
        """Wait until the engine is connected; False where it does not run any more."""

    def send(self, data: bytes, ring: RingWriter | None = None) -> None:
        """Send a message, with the memory that goes with a Ring. Raises OSError: TimeoutError or BlockingIOError where
        the engine does not read."""

    def receive(self) -> bytes:
        """What has come, at least one byte; none at the end. Waits."""

    def fileno(self) -> int:
        """To be polled before :meth:`receive`."""

    def close(self) -> None:
        """Idempotent."""

    def after_fork_in_child(self) -> None:
        """Close this copy. Locks may be held by threads that do not exist here."""


class DescriptorEnd:
    """Pairs of local sockets, of which the engine inherits one end each. Memory is sent as a descriptor."""

    stdin = b""

    def __init__(self, listeners: Sequence[socket.socket]) -> None:
        with contextlib.ExitStack() as stack:
            self._control, self._engines_control = _pair(socket.SOCK_STREAM)
            stack.enter_context(self._control)
            stack.enter_context(self._engines_control)
            bell, self._engines_bell = _pair(socket.SOCK_DGRAM)
            stack.enter_context(bell)
            stack.enter_context(self._engines_bell)
            _limit_sending(self._control)
            _survive_its_end(bell)
            stack.pop_all()
        self.bell = Doorbell(bell)
        self.handles = Handles(
            control=self._engines_control.fileno(),
            bell=self._engines_bell.fileno(),
            listeners=tuple(sock.fileno() for sock in listeners),
            parent=os.getpid(),
        )
        self.descriptors = (self.handles.control, self.handles.bell, *self.handles.listeners)

    def spawned(self) -> None:
        self._engines_control.close()
        self._engines_bell.close()

    def connected(self, runs: Callable[[], bool]) -> bool:
        return True

    def send(self, data: bytes, ring: RingWriter | None = None) -> None:
        if ring and sys.platform != "win32":
            # Not socket.send_fds: it drops its flags, and a parent with SIGPIPE at its default would die.
            beside = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [ring.fileno()]))
            data = data[self._control.sendmsg([data], [beside], _NO_SIGPIPE) :]
        self._control.sendall(data, _NO_SIGPIPE)

    def receive(self) -> bytes:
        return _received(self._control)

    def fileno(self) -> int:
        return self._control.fileno()

    def close(self) -> None:
        self.spawned()
        self._control.close()
        self.bell.close()

    def after_fork_in_child(self) -> None:
        self.spawned()
        self._control.close()
        self.bell.after_fork_in_child()


class NameEnd:
    """A TCP connection that the engine makes to this process, on 127.0.0.1, and datagrams. Memory is sent as a name.

    Any program of the machine may connect. So each end proves itself with half of a secret, which the engine reads from
    its standard input. Messages wait until it has connected: starting one takes as little time as in the other kind.
    """

    descriptors: tuple[int, ...] = ()

    def __init__(self, listeners: Sequence[socket.socket]) -> None:
        with contextlib.ExitStack() as stack:
            self._door = stack.enter_context(_on_loopback(socket.SOCK_STREAM))
            self._door.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, TCP_BUFFER_BYTES)
            self._door.listen(4)
            self._bell = stack.enter_context(_on_loopback(socket.SOCK_DGRAM))
            stack.pop_all()
        self.bell = Doorbell(self._bell)
        self.stdin = secrets.token_bytes(2 * PROOF_BYTES)
        self._listeners = tuple(listeners)
        inherited = () if sys.platform == "win32" else tuple(sock.fileno() for sock in listeners)
        self.descriptors = inherited
        self.handles = Handles(
            control=self._door.getsockname()[1],
            bell=self._bell.getsockname()[1],
            listeners=inherited,
            parent=os.getpid(),
            by_name=True,
        )
        self._lock = threading.Lock()
        self._waiting: list[bytes] = []
        self._control: socket.socket | None = None

    def spawned(self) -> None: ...

    def connected(self, runs: Callable[[], bool]) -> bool:
        self._door.settimeout(_ACCEPT_POLL_S)
        while runs():
            if (control := self._accepted()) and self._is_engine(control):
                return True
        return False

    def send(self, data: bytes, ring: RingWriter | None = None) -> None:
        with self._lock:
            if self._control:
                self._control.sendall(data, _NO_SIGPIPE)
            else:
                self._waiting.append(data)

    def receive(self) -> bytes:
        assert self._control, "it is received from when it is connected"
        return _received(self._control)

    def fileno(self) -> int:
        assert self._control, "it is polled when it is connected"
        return self._control.fileno()

    def close(self) -> None:
        self._door.close()
        if self._control:
            self._control.close()
        self.bell.close()

    def after_fork_in_child(self) -> None:
        self._lock = threading.Lock()
        self.close()
        self.bell.after_fork_in_child()

    def _accepted(self) -> socket.socket | None:
        """Whoever has connected; None after a while."""
        try:
            return self._door.accept()[0]
        except TimeoutError:
            return None
        except OSError:  # too many files are open: it waits in the backlog, and would be asked for without a pause
            time.sleep(_ACCEPT_POLL_S)
            return None

    def _is_engine(self, control: socket.socket) -> bool:
        """Whether it is the engine; then the link begins. Else it is hung up on."""
        with contextlib.suppress(OSError):  # it hung up
            if greeting := self._proven(control):
                self._begin(control, *greeting)
                return True
        control.close()
        return False

    def _proven(self, control: socket.socket) -> tuple[int, int] | None:
        """The engine's greeting; None from a stranger."""
        length = PROOF_BYTES + GREETING.size
        deadline, said = time.monotonic() + _PROOF_TIMEOUT_S, b""
        while len(said) < length:
            control.settimeout(max(deadline - time.monotonic(), 0.001))
            data = control.recv(length - len(said))
            if not data:
                return None
            said += data
        if not hmac.compare_digest(said[:PROOF_BYTES], self.stdin[:PROOF_BYTES]):
            return None
        control.settimeout(None)
        port, pid = GREETING.unpack(said[PROOF_BYTES:])
        return port, pid

    def _begin(self, control: socket.socket, port: int, pid: int) -> None:
        control.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _limit_sending(control)
        # Before the messages: the engine looks at a ring when it gets it, and hears of every frame after.
        self._bell.connect((_LOOPBACK, port))
        first = [self.stdin[PROOF_BYTES:]]
        if sys.platform == "win32":
            first.append(encode(Listeners(shares=tuple(sock.share(pid) for sock in self._listeners))))
        with self._lock:
            control.sendall(b"".join([*first, *self._waiting]), _NO_SIGPIPE)
            self._waiting.clear()
            self._control = control
        self._door.close()


def _pair(kind: socket.SocketKind) -> tuple[socket.socket, socket.socket]:
    """This side's end, and the engine's."""
    if sys.platform == "win32":
        raise OSError("Windows' processes inherit no sockets")
    ours, engines = socket.socketpair(socket.AF_UNIX, kind)
    with contextlib.ExitStack() as both:
        both.enter_context(engines)
        ours = both.enter_context(socket_above_stdio(ours))
        engines = socket_above_stdio(engines)
        both.pop_all()
    return ours, engines


def _on_loopback(kind: socket.SocketKind) -> socket.socket:
    sock = socket_above_stdio(socket.socket(socket.AF_INET, kind))
    try:
        if sys.platform == "win32":  # or any program may bind to the same port
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        sock.bind((_LOOPBACK, 0))
    except BaseException:
        sock.close()
        raise
    return sock


def _limit_sending(sock: socket.socket) -> None:
    """Only sending has a limit, not reading."""
    if sys.platform == "win32":
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, SEND_TIMEOUT_S * 1000)
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@ll", SEND_TIMEOUT_S, 0))  # struct timeval
    _survive_its_end(sock)


def _survive_its_end(sock: socket.socket) -> None:
    """A program with SIGPIPE at its default must not end when it sends to an engine that has ended. macOS has no
    MSG_NOSIGNAL."""
    if sys.platform == "darwin":
        sock.setsockopt(socket.SOL_SOCKET, _DARWIN_SO_NOSIGPIPE, 1)


def _received(sock: socket.socket) -> bytes:
    try:
        return sock.recv(_READ_BYTES)
    except OSError:
        return b""
