"""One engine process, from start to exit: the child, and the link to it.

Must not know that another one may follow it, what the engine does, nor the kind of link.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import selectors
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from typing import Final

from framewire.errors import ClosedError, EngineError, NoProcessError
from framewire.link.bell import Doorbell
from framewire.link.control import FromEngine, parent_decoder
from framewire.link.guard import refuse_in_engine
from framewire.link.kind import by_name
from framewire.link.output import EngineOutput
from framewire.link.parent_end import DescriptorEnd, NameEnd, ParentEnd
from framewire.link.ring import RingWriter
from framewire.link.spawn import cannot_start, spawn
from framewire.shortages import reason

logger: Final = logging.getLogger("framewire")

EXIT_GRACE_S: Final = 3.0
"""Time for an engine to exit after Shutdown, and again after each of the signals.

Source: chosen by hand, above the 2.5 s in which an engine closes its viewers' sockets; pinned by
`tests/link/test_supervisor.py::test_an_engine_that_ignores_shutdown_is_killed`."""
_REFUSALS: Final = frozenset({
    errno.EPERM, errno.EACCES, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EAFNOSUPPORT,
    errno.EPROTONOSUPPORT,
})  # fmt: skip
_ENDS: Final = frozenset({
    errno.EPIPE, errno.ECONNRESET, errno.ECONNABORTED, errno.ENOTCONN, errno.ESHUTDOWN, errno.EBADF, errno.ENOTSOCK,
})  # fmt: skip
"""Of a connection whose other end is closed, or that this process has closed: the last two, of which Windows says
``ENOTSOCK``."""
KILL: Final = getattr(signal, "SIGKILL", signal.SIGTERM)
"""The signal that no program survives. Windows has none: there SIGTERM is as final."""


class EngineProcess:
    """A running engine, with this side's end of the link."""

    def __init__(self, command: Sequence[str] | None, listeners: Sequence[socket.socket]) -> None:
        refuse_in_engine()
        try:
            with contextlib.ExitStack() as ours:
                named = by_name()
                self._end: ParentEnd = (NameEnd if named else DescriptorEnd)(listeners)
                ours.callback(self._end.close)
                arguments = self._end.handles.arguments()
                self._process, output = spawn(command, arguments, self._end.descriptors, self._end.stdin)
                ours.callback(self._process.wait)
                ours.callback(self._process.kill)
                ours.callback(output.close)
                self._end.spawned()
                self._output = EngineOutput(output, has_thread=named)
                ours.pop_all()
        except (OSError, MemoryError) as error:
            raise (NoProcessError if _is_refusal(error) else EngineError)(cannot_start(error)) from error
        except EngineError as error:
            if _is_refusal(error.__cause__):
                raise NoProcessError(str(error)) from error.__cause__
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def bell(self) -> Doorbell:
        return self._end.bell

    def signal(self, number: int) -> None:
        """Send the process a signal; nothing happens where it has exited.

        `Popen.send_signal` takes the lock that waiting for the exit needs. A signal handler that came at that moment,
        and waits for the exit, would wait forever.
        """
        if os.name == "nt":  # there is no such lock
            self._process.send_signal(number)
        elif self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, number)

    def send(self, data: bytes, ring: RingWriter | None = None) -> None:
        """Send an encoded message, with the memory that goes with a Ring. A dead engine raises nothing: reading
        finds it. One that cannot be sent the message for another reason is killed: the next one is sent all that holds.
        """
        try:
            self._end.send(data, ring)
        except ClosedError:
            pass
        except OSError as error:
            if error.errno not in _ENDS:
                full = isinstance(error, BlockingIOError | TimeoutError)
                why = "it does not read" if full else reason(error)
                logger.warning("framewire: the engine cannot be sent a message, and is ended: %s", why)
                self.signal(KILL)

    @property
    def stopped(self) -> bool:
        """Whether it has been stopped, as by SIGSTOP; where the system does not say so, and in a debugger, False."""
        return self._state == b"T"

    @property
    def debugged(self) -> bool:
        """Whether a debugger such as gdb holds it at this moment; where the system does not say so, False."""
        return self._state == b"t"

    @property
    def _state(self) -> bytes:
        try:
            with open(f"/proc/{self.pid}/stat", "rb") as file:
                return file.read().rpartition(b") ")[2][:1]
        except OSError:
            return b""

    def messages(self, interval_s: float) -> Iterator[FromEngine | None]:
        """Messages of the engine until it closes its end; what it prints meanwhile is logged. None comes where nothing
        else has for so long."""
        if not self._end.connected(lambda: self._process.poll() is None):
            return
        decoder = parent_decoder()
        with _selector() as selector:
            selector.register(self._end, selectors.EVENT_READ)
            if not self._output.has_thread:
                selector.register(self._output, selectors.EVENT_READ)
            while True:
                ready = [key.fileobj for key, _ in selector.select(interval_s)]
                if not ready:
                    yield None
                if self._output in ready and not self._output.read():
                    selector.unregister(self._output)
                if self._end in ready:
                    data = self._end.receive()
                    if not data:
                        return
                    yield from decoder.feed(data)

    def wait(self) -> str:
        """Wait for the exit, kill the process if it does not come, and close everything. Returns the cause of exit."""
        deadline = time.monotonic() + EXIT_GRACE_S
        self._output.finish(deadline)
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._end.close()
        self._output.close()
        return _exit_cause(self._process.returncode)

    def last_output(self) -> str:
        """The line that the engine printed last, to be appended to an error message: of a traceback, the error. The
        log has all lines."""
        return self._output.last()

    def after_fork_in_child(self) -> None:
        """Close this copy: the process is not this one's child."""
        self._end.after_fork_in_child()
        self._output.after_fork_in_child()
        self._process.returncode = 0  # there is nothing to wait for


def _selector() -> selectors.BaseSelector:
    """One without a descriptor that a fork could inherit. Windows has no poll, and eventlet takes it away."""
    return getattr(selectors, "PollSelector", selectors.SelectSelector)()


def _is_refusal(error: BaseException | None) -> bool:
    """Whether the system, or its sandbox, never allows what was tried. (A program that is refused has a name: it may be
    the wrong one.)"""
    return isinstance(error, OSError) and error.errno in _REFUSALS and error.filename is None


def _exit_cause(code: int) -> str:
    if code >= 0:
        return f"exit status {code:#x}" if code > 0xFFFF else f"exit status {code}"  # Windows: 0xc0000005, say
    with contextlib.suppress(ValueError):
        return f"signal {-code}, {signal.Signals(-code).name}"
    return f"signal {-code}"
