"""One engine process, from start to end: its birth, both ends of what it says and hears, its burial.

Must not know that there may be another one after it, nor what the engine does.
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
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import IO, Final

from framewire.errors import ClosedError, EngineError
from framewire.link.bell import Doorbell
from framewire.link.control import FromEngine, Handles, ToEngine, encode, parent_decoder
from framewire.link.ring import RingWriter

logger: Final = logging.getLogger("framewire")

GRACE: Final = 3.0
"""Seconds an engine has to end after Shutdown, and again after each of the signals."""
_SAY_WITHIN: Final = 10
"""Seconds after which an engine that does not read is taken for dead."""
_LINES: Final = 30
_LINE: Final = 65_536
_NO_SIGNAL: Final = getattr(socket, "MSG_NOSIGNAL", 0)


class Life:
    """One engine process, from start to end, with this side's ends of what connects to it."""

    def __init__(self, command: Sequence[str] | None, listeners: Sequence[socket.socket]) -> None:
        if os.name != "posix":
            raise EngineError('no engine process on this system yet; engine="inline" works')
        command = command or default_command()
        try:
            with contextlib.ExitStack() as ours:
                self._be_born(command, listeners, ours)
                ours.pop_all()
        except OSError as error:
            raise EngineError(f"the engine cannot be started: {command[0]}: {error}") from error
        self._lines: deque[str] = deque(maxlen=_LINES)
        self._unfinished = b""

    def _be_born(self, command: Sequence[str], listeners: Sequence[socket.socket], ours: contextlib.ExitStack) -> None:
        self._control, control = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        ours.enter_context(self._control)
        with control:
            bell, rung = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
            ours.enter_context(bell)
            with rung:
                handles = Handles(
                    control=control.fileno(),
                    bell=rung.fileno(),
                    listeners=tuple(sock.fileno() for sock in listeners),
                    parent=os.getpid(),
                )
                self.process, self._output = _spawn(command, handles)
        self.bell = Doorbell(bell)
        within = struct.pack("@ll", _SAY_WITHIN, 0)  # struct timeval; only sends have a limit, not reads
        self._control.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, within)

    def say(self, message: ToEngine, ring: RingWriter | None) -> None:
        """Sends; whatever goes wrong, goes wrong for this life only, and its keeper finds out."""
        data = encode(message)
        try:
            if ring:
                # Not socket.send_fds: it drops its flags, and a parent with SIGPIPE at its default would die.
                beside = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [ring.fileno()]))
                data = data[self._control.sendmsg([data], [beside], _NO_SIGNAL) :]
            self._control.sendall(data, _NO_SIGNAL)
        except BlockingIOError:
            self.process.kill()
        except (OSError, ClosedError):
            pass

    def hear(self) -> Iterator[FromEngine]:
        """What the engine says, until it has no more to say; its prints are logged on the way."""
        decoder = parent_decoder()
        with selectors.PollSelector() as selector:  # has no descriptor that a fork could inherit
            selector.register(self._control, selectors.EVENT_READ)
            selector.register(self._output, selectors.EVENT_READ)
            while True:
                ready = [key.fileobj for key, _ in selector.select()]
                if self._output in ready and not self._listen():
                    selector.unregister(self._output)
                if self._control in ready:
                    data = self._read()
                    if not data:
                        return
                    yield from decoder.feed(data)

    def end(self) -> str:
        """Sees to it that the process is gone, closes everything, and says what it died of."""
        deadline = time.monotonic() + GRACE
        with selectors.PollSelector() as selector:
            selector.register(self._output, selectors.EVENT_READ)
            while (left := deadline - time.monotonic()) > 0 and selector.select(left):
                if not self._listen():
                    break
        try:
            self.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._close_sockets()
        self._output.close()
        return _cause(self.process.returncode)

    def last_words(self) -> str:
        """What the engine printed last, as the end of an error message."""
        return "".join(f"\n  {line}" for line in self._lines)

    def forget(self) -> None:
        """In a forked child."""
        self._control.close()
        self.bell.forget()
        self._output.close()
        self.process.returncode = 0  # not this process' child: there is nothing to wait for

    def _read(self) -> bytes:
        try:
            return self._control.recv(65_536)
        except OSError:
            return b""

    def _listen(self) -> bool:
        data = os.read(self._output.fileno(), 65_536)
        *lines, self._unfinished = (self._unfinished + (data or b"\n")).split(b"\n")
        for line in (line.decode(errors="replace").rstrip() for line in lines):
            if line:
                self._lines.append(line)
                logger.warning("framewire engine: %s", line)
        self._unfinished = self._unfinished[-_LINE:]
        return bool(data)

    def _close_sockets(self) -> None:
        self._control.close()
        self.bell.close()


def _spawn(command: Sequence[str], handles: Handles) -> tuple[subprocess.Popen[bytes], IO[bytes]]:
    process = subprocess.Popen(
        [*command, *handles.arguments()],
        pass_fds=(handles.control, handles.bell, *handles.listeners),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        bufsize=0,
        start_new_session=True,  # an interrupt is meant for the cell, not for us
        env=environment(),
    )
    assert process.stdout, "asked for above"
    return process, process.stdout


def default_command() -> list[str]:
    """The engine that comes with this package, run by this Python."""
    if not sys.executable:
        raise EngineError('this Python does not know its own executable; engine="inline" works')
    return [sys.executable, "-m", "framewire.engine"]


def environment() -> dict[str, str]:
    """The parent's, with a PYTHONPATH by which the engine imports the very modules that the parent would.

    Except for the working directory and the script's, which come last: a user's ``queue.py`` beside a
    notebook must not become the engine's. Python would put them first for ``-m``; PYTHONSAFEPATH keeps it
    from doing so.
    """
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    here = _working_directory()
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    last = {here, os.path.dirname(os.path.abspath(script)) if script else here} - {root}
    path = [p or here for p in sys.path]
    path = [*([] if root in path else [root]), *path]
    path = [*(p for p in path if p not in last), *(p for p in path if p in last)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(dict.fromkeys(path)), "PYTHONSAFEPATH": "1"}


def _cause(code: int) -> str:
    if code >= 0:
        return f"exit status {code}"
    with contextlib.suppress(ValueError):
        return f"signal {-code}, {signal.Signals(-code).name}"
    return f"signal {-code}"


def _working_directory() -> str:
    try:
        return os.getcwd()
    except OSError:  # removed under us
        return os.sep
