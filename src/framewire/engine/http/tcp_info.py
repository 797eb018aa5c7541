"""What the operating system measures of a TCP connection. Must not know what it carries."""

from __future__ import annotations

import socket
import struct
from typing import Any, Final

TCP_INFO_BYTES: Final = 168
"""Length of ``struct tcp_info`` up to the last field that is read.

Source: Linux, include/uapi/linux/tcp.h, ``tcpi_delivery_rate``"""

MIN_ACKED_BYTES: Final = 40_000
"""Bytes that the other end must have acknowledged before the rate is believed. What TCP sends in its first round trips
is limited by its initial window, and does not measure the path.

Source: initial window of ten segments (RFC 6928), doubled once; pinned by
`tests/engine/http/test_tcp_info.py::test_the_delivery_rate_is_known_only_when_it_was_measured`"""

DELIVERY_RATE_APP_LIMITED: Final = 1
"""Bit of byte 7: the sender had nothing more to send while the rate was measured.

Source: Linux, include/uapi/linux/tcp.h, ``tcpi_delivery_rate_app_limited``"""


def delivery_rate_bps(sock: Any) -> float | None:
    """Bits per second that a socket delivered recently; None where that is unknown."""
    if sock is None or not hasattr(socket, "TCP_INFO") or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return None
    try:
        return parse_delivery_rate(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_BYTES))
    except OSError:
        return None


def parse_delivery_rate(info: bytes) -> float | None:
    """Bits per second by Linux's ``struct tcp_info``. None if it does not contain the rate (an old kernel), if too
    little was delivered, or if the sender had nothing more to send."""
    if len(info) < TCP_INFO_BYTES or info[7] & DELIVERY_RATE_APP_LIMITED:
        return None
    (acked,) = struct.unpack_from("=Q", info, 120)
    (delivered,) = struct.unpack_from("=Q", info, 160)
    return delivered * 8.0 if acked >= MIN_ACKED_BYTES and delivered else None
