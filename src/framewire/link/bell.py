"""The doorbell: "stream 7 has a new frame", sent from the publisher's thread in microseconds.

Must not know frames or processes. A ring of the bell is one datagram of four bytes (the stream's id, little-endian)
on a non-blocking pair of sockets, which `link.parent_end` makes. If the engine is slow, the pair fills up (Linux keeps
ten datagrams of a local socket by default) and further rings are lost. No frame is lost with them: a full pair means
that the engine has yet to drain it, and :func:`drain` then reports that rings of any stream may be lost.
"""

from __future__ import annotations

import ctypes
import socket
import sys
import threading
from collections.abc import Callable
from typing import Final

_DATAGRAM_BYTES: Final = 4
"""A ring of the bell: the id of a stream.

Source: chosen by hand; both ends read it here."""
_LOSS_POSSIBLE_DATAGRAMS: Final = 4
"""So many datagrams in one draining: others may have been lost. Far below any system's queue.

Source: chosen by hand; pinned by `tests/link/test_bell.py::test_a_full_pair_loses_no_stream`."""
_MAX_DRAINED_DATAGRAMS: Final = 64
"""Datagrams of one draining: a publisher that rings faster than they are read must not hold up the loop.

Source: chosen by hand; pinned by `tests/link/test_bell.py::test_one_draining_is_bounded`."""
_SEND_FLAGS: Final = getattr(socket, "MSG_DONTWAIT", 0) | getattr(socket, "MSG_NOSIGNAL", 0)


class Doorbell:
    """The publisher's end; any thread may ring. Owns ``sock``."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._lock = threading.RLock()  # a signal handler may ring in the middle of a ring
        self._open = True

    def ring(self, stream: int) -> None:
        """Notify the engine that ``stream`` has a newer frame. Never waits, never raises for a dead engine.

        The frame is written before: the system call orders it before the bell.
        """
        data = stream.to_bytes(_DATAGRAM_BYTES, "little")
        with self._lock:  # or the number of a descriptor that was closed meanwhile, and is another one's by now
            if self._open:
                _send(self._sock, data)

    def close(self) -> None:
        """Idempotent."""
        with self._lock:
            self._open = False
            self._sock.close()

    def after_fork_in_child(self) -> None:
        """Close this copy without the lock, which a thread that does not exist here may hold."""
        self._lock = threading.RLock()
        self.close()


def drain(sock: socket.socket) -> tuple[set[int], bool]:
    """The streams that rang since the last call, and whether rings of others may have been lost."""
    streams: set[int] = set()
    for count in range(_MAX_DRAINED_DATAGRAMS):
        try:
            data = sock.recv(_DATAGRAM_BYTES)
        except OSError:  # none left, or the parent is gone, which the control socket reports
            return streams, count >= _LOSS_POSSIBLE_DATAGRAMS
        if len(data) < _DATAGRAM_BYTES:
            return streams, False
        streams.add(int.from_bytes(data, "little"))
    return streams, True


def _send_keeping_the_gil() -> Callable[[socket.socket, bytes], None]:
    """``send`` without releasing the GIL, or the ordinary one where there is no C library to call.

    Measured, next to a thread busy in Python: 0.02 ms this way at the 90th percentile; 5.2 ms through
    ``socket.send``, which waits for the switch interval to get the GIL back.
    """
    try:
        send = ctypes.PyDLL("ws2_32" if sys.platform == "win32" else None).send
    except (OSError, AttributeError, TypeError):
        return _send_plainly
    # A socket is a number of a pointer's size on Windows, and the length one of an int's.
    handle, length = (ctypes.c_size_t, ctypes.c_int) if sys.platform == "win32" else (ctypes.c_int, ctypes.c_size_t)
    send.argtypes = (handle, ctypes.c_char_p, length, ctypes.c_int)
    return lambda sock, data: send(sock.fileno(), data, len(data), _SEND_FLAGS) and None


def _send_plainly(sock: socket.socket, data: bytes) -> None:
    try:
        sock.send(data)
    except OSError:
        pass  # the pair is full (see above), or the engine is gone and its supervisor starts another


_send: Final = _send_keeping_the_gil()
