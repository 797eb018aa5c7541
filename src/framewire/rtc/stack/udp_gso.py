"""Sends many datagrams to one address with one system call, where the kernel can cut them apart (``UDP_SEGMENT``).

Must not know what is in them. The socket stays asyncio's: what cannot be done here is left to its transport, which
queues while the socket is full and reports errors.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import sys
from collections.abc import Iterator, Sequence
from typing import Any, Final

UDP_SEGMENT: Final = 103
"""The socket option; Python has no name for it.

Source: ``linux/udp.h`` of Linux 4.18 and later."""

MAX_DATAGRAMS: Final = 64
"""At most this many datagrams go in one call.

Source: ``UDP_MAX_SEGMENTS`` of Linux before 6.9, the smallest of all kernels."""

MAX_RUN_BYTES: Final = 65_000
"""Datagrams in one call have at most this many bytes: until they are cut, they are one datagram.

Source: RFC 768, a UDP datagram has at most 65,507 bytes of data over IPv4."""

UNSUPPORTED: Final = frozenset(
    {errno.EINVAL, errno.EIO, errno.EOPNOTSUPP, errno.ENOPROTOOPT, errno.EMSGSIZE, errno.ENOSYS}
)
"""Errors of a kernel or a network card that cannot do it, or not over so small an MTU.

Source: udp(7), and ``net/ipv4/udp.c``."""


class UdpGso:
    """Sends on one asyncio socket, in order."""

    def __init__(self, transport: asyncio.DatagramTransport) -> None:
        self._transport: Any = transport
        self._socket = _duplicate(transport)

    def send(self, datagrams: Sequence[bytes], address: tuple[str, int]) -> None:
        """Hand datagrams to the socket. Never blocks, never raises."""
        for run in runs(datagrams):
            if len(run) == 1 or not self._send_run(run, address):
                for datagram in run:
                    self._transport.sendto(datagram, address)

    def _send_run(self, run: list[bytes], address: tuple[str, int]) -> bool:
        # What waits in the transport must leave first.
        if self._socket is None or self._transport.get_write_buffer_size():
            return False
        length = len(run[0]).to_bytes(2, sys.byteorder)
        try:
            self._socket.sendmsg(run, [(socket.IPPROTO_UDP, UDP_SEGMENT, length)], 0, address)  # type: ignore[attr-defined,unused-ignore]
        except OSError as error:
            if error.errno in UNSUPPORTED:
                self.close()
            return False
        return True

    def close(self) -> None:
        """Send one by one from now on. Idempotent."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def runs(datagrams: Sequence[bytes]) -> Iterator[list[bytes]]:
    """Split datagrams into runs that the kernel can cut apart by length alone: all of one length, and only the last may
    be shorter."""
    start = 0
    while start < len(datagrams):
        length = len(datagrams[start])
        limit = min(len(datagrams), start + MAX_DATAGRAMS, start + max(1, MAX_RUN_BYTES // max(length, 1)))
        end = start + 1
        while end < limit and len(datagrams[end]) == length:
            end += 1
        if end < limit and 0 < len(datagrams[end]) < length:
            end += 1
        yield list(datagrams[start:end])
        start = end


def _duplicate(transport: asyncio.DatagramTransport) -> socket.socket | None:
    """A second handle of the socket, as asyncio shows its own for inspection only. None if it cannot send many at
    once."""
    shown: Any = transport.get_extra_info("socket")
    # A relayed transport (TURN) has no socket of its own.
    if not sys.platform.startswith("linux") or not hasattr(shown, "dup"):
        return None
    try:
        duplicate: socket.socket = shown.dup()
    except OSError:
        return None
    duplicate.setblocking(False)
    return duplicate
