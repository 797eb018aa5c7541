"""Descriptors that are ours stay clear of the standard streams' numbers. Must not know what a descriptor is of.

A service or a daemon starts a program with descriptors 0, 1 or 2 closed, and whatever is opened first gets their
numbers. Another process cannot be handed one of them: its own standard streams are laid over it. And what a C library
prints to descriptor 2 would go into it.
"""

from __future__ import annotations

import os
import socket
import sys
from typing import Final

_FIRST_FREE: Final = 3
"""The lowest number that is no standard stream's."""


def above_stdio(fd: int) -> int:
    """``fd``, or a copy of it with a higher number in its place. Raises OSError, and ``fd`` is closed."""
    if fd >= _FIRST_FREE or sys.platform == "win32":
        return fd
    import fcntl  # POSIX alone has it

    try:
        return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _FIRST_FREE)
    finally:
        os.close(fd)


def socket_above_stdio(sock: socket.socket) -> socket.socket:
    """``sock``, or one with a higher number in its place. Raises OSError, and ``sock`` is closed."""
    if sock.fileno() >= _FIRST_FREE or sys.platform == "win32":
        return sock
    return socket.socket(fileno=above_stdio(sock.detach()))
