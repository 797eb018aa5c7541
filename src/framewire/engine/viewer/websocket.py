"""The transport over a WebSocket: one writer task, messages before units. Must not know sessions or
subscriptions, nor which library the WebSocket comes from."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple, Protocol

from framewire import wire
from framewire.engine.stream.encoding import PackedUnit
from framewire.errors import CloseCode

log: Final = logging.getLogger(__name__)

MAX_QUEUED_MESSAGES: Final = 512
"""Text messages queued for one viewer. A viewer that leaves more unread is closed with 4429.

Source: chosen by hand; pinned by
`tests/engine/viewer/test_websocket.py::test_a_viewer_that_reads_nothing_is_refused_more_messages`"""

MAX_UNIT_HOLD_S: Final = 0.15
"""Hold units back at most this long while an offer is made: on a slow TCP link, an offer behind a picture arrives
a second later.

Source: chosen by hand, above the 60 ms that an offer takes; pinned by
`tests/engine/viewer/test_websocket.py::test_units_are_held_for_a_bounded_time`"""

CLOSE_TIMEOUT_S: Final = 5.0
"""Time for a viewer to read the last messages and the close code. Then its connection is cut off.

Source: chosen by hand; pinned by
`tests/engine/viewer/test_websocket.py::test_a_viewer_that_does_not_read_its_close_code_is_cut_off`"""


class _Chunk(NamedTuple):
    """A part of a unit, as one binary message."""

    sub: int
    position: int
    """Place in the unit, from 0."""
    message: bytes


class Socket(Protocol):
    """One accepted WebSocket, or what stands for it. Sending waits while the viewer reads slowly; on a closed one it
    raises ``ConnectionError``."""

    async def send_text(self, text: str) -> None: ...
    async def send_bytes(self, data: bytes) -> None: ...
    async def close(self, code: int, reason: str) -> None: ...
    def admitted(self) -> None:
        """Its viewer has been admitted."""

    def closing(self) -> None:
        """It is about to be closed: nothing of it is needed any more, but for its close code to be read."""

    def abort(self) -> None:
        """Cut it off without a close frame. Sends that wait end with an error."""

    def delivery_rate_bps(self) -> float | None:
        """Bits per second that TCP delivers at the moment; None where that is unknown."""


class WebSocketTransport:
    """A `Transport` over one WebSocket. Made on a running loop and used from it alone."""

    def __init__(self, socket: Socket) -> None:
        self._socket = socket
        self._messages: deque[str] = deque()
        self._chunks: deque[_Chunk] = deque()
        self._wake = asyncio.Event()
        self._hold: asyncio.TimerHandle | None = None
        """Set while units are held back."""
        self._close_frame: tuple[int, str] | None = None
        self._close_timer: asyncio.TimerHandle | None = None
        self._writer: asyncio.Task[None] | None = None

    def start(self, on_lost: Callable[[], None]) -> None:
        self._writer = asyncio.create_task(self._write(on_lost))

    def admitted(self) -> None:
        self._socket.admitted()

    def send(self, message: wire.ServerMessage) -> bool:
        if len(self._messages) >= MAX_QUEUED_MESSAGES:
            return False
        self._messages.append(wire.encode(message))
        self._wake.set()
        return True

    def send_unit(self, sub: int, packed: PackedUnit) -> None:
        self._chunks.extend(_Chunk(sub, position, message) for position, message in enumerate(packed.messages))
        self._wake.set()

    def drop_units(self, sub: int) -> None:
        self._chunks = deque(_without(sub, self._chunks))

    @property
    def queued_chunks(self) -> int:
        """Binary messages that wait to be sent."""
        return len(self._chunks)

    def hold_units(self) -> None:
        if self._hold is None:
            self._hold = asyncio.get_running_loop().call_later(MAX_UNIT_HOLD_S, self.release_units)

    def release_units(self) -> None:
        if self._hold is not None:
            self._hold.cancel()
            self._hold = None
            self._wake.set()

    def close(self, code: int, reason: str) -> None:
        if self._close_frame is not None:
            return
        self._close_frame = (int(code), reason)
        self._socket.closing()
        self._chunks.clear()
        self._wake.set()
        self._close_timer = asyncio.get_running_loop().call_later(CLOSE_TIMEOUT_S, self.abort)

    def abort(self) -> None:
        self._socket.abort()
        # An aborted socket may leave the writer waiting for the viewer's half of the close handshake.
        if self._writer:
            self._writer.cancel()

    async def wait_closed(self) -> None:
        if self._writer:
            await asyncio.gather(self._writer, return_exceptions=True)

    def delivery_rate_bps(self) -> float | None:
        return self._socket.delivery_rate_bps()

    async def _write(self, on_lost: Callable[[], None]) -> None:
        """The only task that sends. Messages go first: an offer must not wait for a picture."""
        try:
            while await self._wake.wait():
                self._wake.clear()
                while self._messages or (self._chunks and not self._hold):
                    if self._messages:
                        await self._socket.send_text(self._messages.popleft())
                    else:
                        await self._socket.send_bytes(self._chunks.popleft().message)
                if self._close_frame:
                    await self._socket.close(*self._close_frame)
                    return
        except (ConnectionError, RuntimeError):
            pass  # The viewer is gone. Whatever reads from the socket notices it as well.
        except Exception:
            log.exception("cannot write to a viewer")
            self._socket.abort()
        finally:
            self._finish(on_lost)

    def _finish(self, on_lost: Callable[[], None]) -> None:
        for timer in (self._close_timer, self._hold):
            if timer:
                timer.cancel()
        self._chunks.clear()
        if self._close_frame is None:
            self._close_frame = (int(CloseCode.GOING_AWAY), "")
            on_lost()


def _without(sub: int, chunks: Iterable[_Chunk]) -> Iterator[_Chunk]:
    """The chunks that are still sent when a subscription ends: those of other subscriptions, and the rest of a unit
    that is partly sent. Without that rest, the next subscription's first unit would start in the middle of it."""
    partly_sent = True
    for chunk in chunks:
        if chunk.sub != sub:
            yield chunk
            continue
        partly_sent = partly_sent and chunk.position > 0
        if partly_sent:
            yield chunk
