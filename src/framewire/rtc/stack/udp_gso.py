"""Many datagrams to one address with one system call, where the kernel can cut them apart (``UDP_SEGMENT``).

Must not know what is in them. The socket stays asyncio's: whatever this cannot do is left to the transport, which
waits where the socket is full and says what went wrong.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import sys
from collections.abc import Iterator, Sequence
from typing import Any

UDP_SEGMENT = 103
"""Of Linux 4.18 and later (``linux/udp.h``); Python has no name for it."""
MOST_DATAGRAMS = 64
"""``UDP_MAX_SEGMENTS`` of the kernels that have the fewest."""
MOST_OCTETS = 65_000
"""Together they are one datagram until they are cut, so the length of one is the limit."""
UNABLE = frozenset({errno.EINVAL, errno.EIO, errno.EOPNOTSUPP, errno.ENOPROTOOPT, errno.EMSGSIZE, errno.ENOSYS})
"""What a kernel or a network card says that cannot, or not over so small an MTU."""


class UdpGso:
    """Sends on one socket of asyncio's, in order."""

    def __init__(self, transport: asyncio.DatagramTransport) -> None:
        self._transport: Any = transport
        self._socket = _duplicate(transport)

    def send(self, datagrams: Sequence[bytes], address: tuple[str, int]) -> None:
        """Hand datagrams to the socket. Never blocks, never raises."""
        for run in runs(datagrams):
            if len(run) == 1 or not self._send_at_once(run, address):
                for datagram in run:
                    self._transport.sendto(datagram, address)

    def _send_at_once(self, run: list[bytes], address: tuple[str, int]) -> bool:
        # What waits in the transport goes first.
        if self._socket is None or self._transport.get_write_buffer_size():
            return False
        length = len(run[0]).to_bytes(2, sys.byteorder)
        try:
            self._socket.sendmsg(run, [(socket.IPPROTO_UDP, UDP_SEGMENT, length)], 0, address)
        except OSError as error:
            if error.errno in UNABLE:
                self.close()
            return False
        return True

    def close(self) -> None:
        """Send one by one from now on. May be called twice."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def runs(datagrams: Sequence[bytes]) -> Iterator[list[bytes]]:
    """Neighbours of one length, the last of which may be shorter: what can be cut apart again by length alone."""
    start = 0
    while start < len(datagrams):
        length = len(datagrams[start])
        most = min(len(datagrams), start + MOST_DATAGRAMS, start + max(1, MOST_OCTETS // max(length, 1)))
        end = start + 1
        while end < most and len(datagrams[end]) == length:
            end += 1
        if end < most and 0 < len(datagrams[end]) < length:
            end += 1
        yield list(datagrams[start:end])
        start = end


def _duplicate(transport: asyncio.DatagramTransport) -> socket.socket | None:
    """The socket once more, as asyncio lends its own for looking only; None where it cannot send many at once."""
    lent: Any = transport.get_extra_info("socket")
    # A relayed transport (TURN) has no socket of its own.
    if not sys.platform.startswith("linux") or not hasattr(lent, "dup"):
        return None
    try:
        duplicate: socket.socket = lent.dup()
    except OSError:
        return None
    duplicate.setblocking(False)
    return duplicate
