"""What the system knows of a TCP connection. Must not know what goes over it, nor who asks."""

from __future__ import annotations

import socket
import struct
from typing import Any, Final

INFO_SIZE: Final = 168
"""Octets of ``struct tcp_info`` (linux/tcp.h) as far as it is read."""
SPEAKS: Final = 40_000
"""Octets that must have arrived: what TCP sends before it knows the way is no measure of it."""


def speed_of(sock: Any) -> float | None:
    """Bits a second at which a socket delivers of late; None where that is not known."""
    if sock is None or not hasattr(socket, "TCP_INFO") or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return None
    try:
        return delivery_rate(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, INFO_SIZE))
    except OSError:
        return None


def delivery_rate(info: bytes) -> float | None:
    """The same of Linux's ``struct tcp_info``; None if it does not say (an old kernel), too little has been delivered,
    or no more was to be."""
    if len(info) < INFO_SIZE or info[7] & 1:
        return None
    (acked,) = struct.unpack_from("=Q", info, 120)
    (delivered,) = struct.unpack_from("=Q", info, 160)
    return delivered * 8.0 if acked >= SPEAKS and delivered else None
