"""One engine process, from start to exit: the child, the sockets to it, and what it prints.

Must not know that another one may follow it, nor what the engine does.
"""

from __future__ import annotations

import array
import contextlib
import logging
import os
import selectors
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Iterator, Sequence
from typing import Final

from framewire.errors import ClosedError, EngineError
from framewire.link.bell import Doorbell
from framewire.link.control import FromEngine, parent_decoder
from framewire.link.descriptors import socket_above_stdio
from framewire.link.guard import refuse_in_engine
from framewire.link.handles import Handles
from framewire.link.ring import RingWriter
from framewire.link.spawn import cannot_start, spawn

logger: Final = logging.getLogger("framewire")

EXIT_GRACE_S: Final = 3.0
"""Time for an engine to exit after Shutdown, and again after each of the signals.

Source: chosen by hand, above the 2.5 s in which an engine closes its viewers' sockets; pinned by
`tests/link/test_supervisor.py::test_an_engine_that_ignores_shutdown_is_killed`."""
_SEND_TIMEOUT_S: Final = 10
"""An engine that reads nothing for so long is killed: its loop is stuck.

Source: chosen by hand; pinned by `tests/link/test_process.py::test_an_engine_that_does_not_read_is_killed`."""
_MAX_LINE_BYTES: Final = 65_536
"""Bytes kept of a line without an end.

Source: chosen by hand."""
_READ_BYTES: Final = 65_536
_NO_SIGPIPE: Final = getattr(socket, "MSG_NOSIGNAL", 0)


class EngineProcess:
    """A running engine, with this side's ends of its sockets and pipe."""

    def __init__(self, command: Sequence[str] | None, listeners: Sequence[socket.socket]) -> None:
        if os.name != "posix":
            raise EngineError('no engine process on this system yet; engine="inline" works')
        refuse_in_engine()
        try:
            with contextlib.ExitStack() as ours:
                self._start(command, listeners, ours)
                ours.pop_all()
        except OSError as error:
            raise EngineError(cannot_start(error)) from error
        self._last_line = ""
        self._unfinished = b""

    def _start(
        self, command: Sequence[str] | None, listeners: Sequence[socket.socket], ours: contextlib.ExitStack
    ) -> None:
        self._control, control = _pair(socket.SOCK_STREAM)
        ours.enter_context(self._control)
        with control:
            ours_bell, bell = _pair(socket.SOCK_DGRAM)
            ours.enter_context(ours_bell)
            with bell:
                handles = Handles(
                    control=control.fileno(),
                    bell=bell.fileno(),
                    listeners=tuple(sock.fileno() for sock in listeners),
                    parent=os.getpid(),
                )
                given = (handles.control, handles.bell, *handles.listeners)
                self._process, self._output = spawn(command, handles.arguments(), given)
        self.bell: Doorbell = Doorbell(ours_bell)
        timeout = struct.pack("@ll", _SEND_TIMEOUT_S, 0)  # struct timeval; only sends have a limit, not reads
        self._control.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeout)

    @property
    def pid(self) -> int:
        return self._process.pid

    def signal(self, number: int) -> None:
        """Send the process a signal; nothing happens where it has exited."""
        self._process.send_signal(number)

    def send(self, data: bytes, ring: RingWriter | None = None) -> None:
        """Send an encoded message, with the memory that goes with a Ring. A dead engine raises nothing: reading
        finds it."""
        try:
            if ring:
                # Not socket.send_fds: it drops its flags, and a parent with SIGPIPE at its default would die.
                beside = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [ring.fileno()]))
                data = data[self._control.sendmsg([data], [beside], _NO_SIGPIPE) :]
            self._control.sendall(data, _NO_SIGPIPE)
        except BlockingIOError:
            self._process.kill()
        except (OSError, ClosedError):
            pass

    def messages(self) -> Iterator[FromEngine]:
        """Messages of the engine until it closes its end; what it prints meanwhile is logged."""
        decoder = parent_decoder()
        with _selector() as selector:
            selector.register(self._control, selectors.EVENT_READ)
            selector.register(self._output, selectors.EVENT_READ)
            while True:
                ready = [key.fileobj for key, _ in selector.select()]
                if self._output in ready and not self._read_output():
                    selector.unregister(self._output)
                if self._control in ready:
                    data = self._read_control()
                    if not data:
                        return
                    yield from decoder.feed(data)

    def wait(self) -> str:
        """Wait for the exit, kill the process if it does not come, and close everything. Returns the cause of exit."""
        deadline = time.monotonic() + EXIT_GRACE_S
        with _selector() as selector:
            selector.register(self._output, selectors.EVENT_READ)
            while (left := deadline - time.monotonic()) > 0 and selector.select(left):
                if not self._read_output():
                    break
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._control.close()
        self.bell.close()
        self._output.close()
        return _exit_cause(self._process.returncode)

    def last_output(self) -> str:
        """The line that the engine printed last, to be appended to an error message: of a traceback, the error. The
        log has all lines."""
        return f": {self._last_line}" if self._last_line else ""

    def after_fork_in_child(self) -> None:
        """Close this copy: the process is not this one's child."""
        self._control.close()
        self.bell.after_fork_in_child()
        self._output.close()
        self._process.returncode = 0  # there is nothing to wait for

    def _read_control(self) -> bytes:
        try:
            return self._control.recv(_READ_BYTES)
        except OSError:
            return b""

    def _read_output(self) -> bool:
        """Log what the engine has printed; False at the end of its output."""
        data = os.read(self._output.fileno(), _READ_BYTES)
        *lines, self._unfinished = (self._unfinished + (data or b"\n")).split(b"\n")
        for line in (line.decode(errors="replace").rstrip() for line in lines):
            if line:
                self._last_line = line.strip()
                logger.warning("framewire engine: %s", line)
        self._unfinished = self._unfinished[-_MAX_LINE_BYTES:]
        return bool(data)


def _pair(kind: socket.SocketKind) -> tuple[socket.socket, socket.socket]:
    """This side's end, and the engine's."""
    ours, engines = socket.socketpair(socket.AF_UNIX, kind)
    with contextlib.ExitStack() as both:
        both.enter_context(engines)
        ours = both.enter_context(socket_above_stdio(ours))
        engines = socket_above_stdio(engines)
        both.pop_all()
    return ours, engines


def _selector() -> selectors.BaseSelector:
    """One without a descriptor that a fork could inherit. Windows has no poll, and eventlet takes it away."""
    return getattr(selectors, "PollSelector", selectors.SelectSelector)()


def _exit_cause(code: int) -> str:
    if code >= 0:
        return f"exit status {code}"
    with contextlib.suppress(ValueError):
        return f"signal {-code}, {signal.Signals(-code).name}"
    return f"signal {-code}"
