"""Reads a viewer's socket in small pieces, and not at all while the viewer has sent too much.

Must not know WebSocket frames: a flood of them is bytes. What it reads goes to the protocol that was there before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

READ_BYTES: Final = 8 * 1024
"""Bytes read in one turn of the loop. Empty messages, the shortest, take 4 us each: these take 5 ms, and asyncio's own
256 KiB take 170 ms.

Source: measured; pinned by `tests/engine/http/test_reads.py::test_much_at_once_is_read_in_pieces`"""


class BoundedReads(asyncio.BufferedProtocol):
    """Takes the place of a transport's protocol, and passes everything on to it.

    ``on_bytes`` is told how many bytes have come, and returns the seconds until more may be read.
    """

    def __init__(self, transport: asyncio.Transport, on_bytes: Callable[[int], float]) -> None:
        inner = transport.get_protocol()
        assert isinstance(inner, asyncio.Protocol), "an HTTP connection reads bytes"
        self._inner, self._transport, self._on_bytes = inner, transport, on_bytes
        self._buffer = memoryview(bytearray(READ_BYTES))
        self._paused: asyncio.TimerHandle | None = None
        transport.set_protocol(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._inner.data_received(bytes(self._buffer[:nbytes]))
        wait_s = self._on_bytes(nbytes)
        # Where the protocol has paused reading itself, it resumes when its messages are taken.
        if wait_s and self._transport.is_reading():
            self._transport.pause_reading()
            self._paused = asyncio.get_running_loop().call_later(wait_s, self._transport.resume_reading)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._paused:
            self._paused.cancel()
        self._inner.connection_lost(exc)
