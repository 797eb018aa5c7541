"""The sockets of an engine, in both kinds of link (`link.kind`): inherited, or connected to its parent.

Must not know what messages mean.
"""

from __future__ import annotations

import hmac
import os
import socket
import sys
from collections.abc import Callable
from typing import Final

from framewire.errors import LocalProtocolError
from framewire.link.handles import GREETING, PROOF_BYTES, TCP_BUFFER_BYTES, Handles

_READ_BYTES: Final = 65_536
_MAX_DESCRIPTORS: Final = 16
"""Descriptors taken with one read: each Ring in it brings one.

Source: chosen by hand; the smallest messages between two Rings make it enough for any read."""
_CONNECT_TIMEOUT_S: Final = 10.0
"""Time for the parent to prove itself.

Source: chosen by hand."""


class EngineEnd:
    """``control`` and ``bell`` do not block. ``listeners`` are the listening sockets that were inherited."""

    def __init__(self, handles: Handles) -> None:
        """Raises LocalProtocolError where whoever has the parent's port is not the parent; OSError where no one has."""
        connect = _connected if handles.by_name else _inherited
        self.control, self.bell = connect(handles)
        self._has_descriptors = not handles.by_name
        self.listeners = [socket.socket(fileno=fd) for fd in handles.listeners]
        for sock in (self.control, self.bell, *self.listeners):
            sock.setblocking(False)

    def receive(self) -> tuple[bytes, list[int | None]]:
        """What has come, and the descriptors that came beside it: None for one that this process could not take, since
        it has too many already. Raises OSError."""
        if not self._has_descriptors or sys.platform == "win32":
            return self.control.recv(_READ_BYTES), []
        data, fds, flags, _ = socket.recv_fds(self.control, _READ_BYTES, _MAX_DESCRIPTORS)
        for fd in fds:
            os.set_inheritable(fd, False)
        # A read ends with the bytes that descriptors came beside, so no others are behind the one that is missing.
        return data, [*fds, *[None] * bool(flags & socket.MSG_CTRUNC)]

    def close(self) -> None:
        """Close all of them."""
        for sock in (self.control, self.bell, *self.listeners):
            sock.close()


def parent_watch(pid: int) -> Callable[[], bool]:
    """Says whether the parent is gone. It may be asked often."""
    if sys.platform != "win32":
        return lambda: os.getppid() != pid
    import ctypes  # Windows' processes keep the number of a parent that is gone

    kernel = ctypes.windll.kernel32
    kernel.OpenProcess.restype = ctypes.c_void_p
    kernel.WaitForSingleObject.argtypes = (ctypes.c_void_p, ctypes.c_uint32)
    synchronize, signalled = 0x00100000, 0
    parent = kernel.OpenProcess(synchronize, False, pid)
    return lambda: parent is None or kernel.WaitForSingleObject(parent, 0) == signalled


def listening_socket(share: bytes) -> socket.socket:
    """A listening socket that the parent has handed over on Windows."""
    if sys.platform != "win32":
        raise LocalProtocolError("listening sockets are inherited here")
    sock = socket.fromshare(share)
    sock.setblocking(False)
    return sock


def _inherited(handles: Handles) -> tuple[socket.socket, socket.socket]:
    return socket.socket(fileno=handles.control), socket.socket(fileno=handles.bell)


def _connected(handles: Handles) -> tuple[socket.socket, socket.socket]:
    secret = _exactly(2 * PROOF_BYTES, lambda length: os.read(0, length))
    control = socket.create_connection(("127.0.0.1", handles.control), _CONNECT_TIMEOUT_S)
    control.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    control.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, TCP_BUFFER_BYTES)
    bell = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    bell.bind(("127.0.0.1", 0))
    bell.connect(("127.0.0.1", handles.bell))
    control.sendall(secret[:PROOF_BYTES] + GREETING.pack(bell.getsockname()[1], os.getpid()))
    if not hmac.compare_digest(_exactly(PROOF_BYTES, control.recv), secret[PROOF_BYTES:]):
        raise LocalProtocolError("the port of the engine's parent is another program's")
    return control, bell


def _exactly(length: int, read: Callable[[int], bytes]) -> bytes:
    """So many bytes, or fewer at the end."""
    data = b""
    while len(data) < length and (more := read(length - len(data))):
        data += more
    return data
