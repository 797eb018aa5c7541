"""Viewers whose messages the host carries to the engine, instead of a socket that the engine itself has.

Must not know what carries them, nor whether the host is another process.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final, Protocol

from framewire.authentication import ConnectionRequest
from framewire.engine.engine import Engine
from framewire.engine.viewer.viewer import Viewer
from framewire.engine.viewer.websocket import WebSocketTransport
from framewire.errors import CloseCode

MAX_UNREAD_BYTES: Final = 1 << 20
"""Once a viewer has left so much unread, the next message for it waits. The host keeps this for each viewer.

Source: chosen by hand, four of the longest binary messages; pinned by
`tests/engine/test_relay.py::test_a_viewer_that_reads_nothing_is_sent_one_mebibyte`"""

MAX_UNREAD_S: Final = 10.0
"""While a message waits for a viewer that reads nothing for so long, the viewer is closed with 4429.

Source: chosen by hand, as the time for a pong of a WebSocket; pinned by
`tests/engine/test_relay.py::test_a_viewer_that_reads_nothing_for_ten_seconds_is_closed_with_4429`"""


MAX_UNTAKEN_BYTES: Final = 1 << 20
"""Of what a viewer has sent, so much waits for the loop. The link cannot slow one viewer down without all others, so
one that sends more is closed with 4429.

Source: chosen by hand, sixteen of the longest text messages; pinned by
`tests/engine/test_relay.py::test_a_viewer_that_sends_more_than_the_loop_takes_is_closed_with_4429`"""

MAX_UNTAKEN_MESSAGES: Final = 4096
"""So many messages wait, however short.

Source: chosen by hand, above the budget that a viewer has at once; pinned by
`tests/engine/test_relay.py::test_a_viewer_that_sends_more_than_the_loop_takes_is_closed_with_4429`"""


class RelayOutlet(Protocol):
    """Carries messages to viewers, in order. Called on the event loop; returns at once, and loses none."""

    def on_viewer_text(self, viewer: int, text: str) -> None: ...
    def on_viewer_binary(self, viewer: int, data: bytes) -> None: ...
    def on_viewer_closed(self, viewer: int, code: int, reason: str) -> None:
        """The engine has closed this viewer. Nothing follows."""


class ViewerRelay:
    """The relayed viewers of one engine, by the numbers that the host gives them. Used from the engine's loop alone."""

    def __init__(self, engine: Engine, outlet: RelayOutlet) -> None:
        self._engine, self._outlet = engine, outlet
        self._viewers: dict[int, tuple[_Inbox, _RelaySocket]] = {}
        self._leaving: set[asyncio.Task[None]] = set()

    def open(self, id_: int, request: ConnectionRequest) -> None:
        """A viewer has connected."""
        socket = _RelaySocket(id_, self._outlet, self)
        self._viewers[id_] = _Inbox(self._engine.accept(WebSocketTransport(socket), request)), socket

    def receive(self, id_: int, text: str) -> None:
        """Take a message of the viewer, when the loop has time for it. Those of one that is closed are ignored."""
        if found := self._viewers.get(id_):
            found[0].put(text)

    def read(self, id_: int, size: int) -> None:
        """The viewer has read messages of this length."""
        if found := self._viewers.get(id_):
            found[1].read(size)

    def close(self, id_: int) -> None:
        """The viewer has disconnected."""
        if found := self._viewers.get(id_):
            found[1].lose()

    def remove(self, id_: int) -> None:
        """The viewer's socket is closed: wait, in the background, until everything of the viewer is."""
        inbox, _ = self._viewers.pop(id_)
        task = asyncio.create_task(self._engine.leave(inbox.viewer))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)


class _Inbox:
    """What a relayed viewer has sent, until the loop takes it."""

    def __init__(self, viewer: Viewer) -> None:
        self.viewer = viewer
        self._texts: deque[str] = deque()
        self._bytes = 0
        self._taking: asyncio.Task[None] | None = None

    def put(self, text: str) -> None:
        size = len(text)
        self.viewer.bytes_came(size)
        if self._bytes + size > MAX_UNTAKEN_BYTES or len(self._texts) >= MAX_UNTAKEN_MESSAGES:
            return self.viewer.close(CloseCode.LIMITS, "the viewer sends too much: see the limits of the contract")
        self._texts.append(text)
        self._bytes += size
        if self._taking is None:
            self._taking = asyncio.create_task(self._take())

    async def _take(self) -> None:
        while self._texts and not self.viewer.closed:
            text = self._texts.popleft()
            self._bytes -= len(text)
            await self.viewer.take(text)
        self._texts.clear()
        self._taking, self._bytes = None, 0


class _RelaySocket:
    """`websocket.Socket` of a relayed viewer. It waits while the viewer leaves much unread."""

    def __init__(self, id_: int, outlet: RelayOutlet, relay: ViewerRelay) -> None:
        self._id, self._outlet, self._relay = id_, outlet, relay
        self._unread_bytes = 0
        self._changed = asyncio.Event()
        self._closed = False

    async def send_text(self, text: str) -> None:
        await self._wait_for_room()
        self._unread_bytes += len(text)
        self._outlet.on_viewer_text(self._id, text)

    async def send_bytes(self, data: bytes) -> None:
        await self._wait_for_room()
        self._unread_bytes += len(data)
        self._outlet.on_viewer_binary(self._id, data)

    async def close(self, code: int, reason: str) -> None:
        self._end(code, reason)

    def admitted(self) -> None: ...
    def closing(self) -> None: ...

    def abort(self) -> None:
        self._end(CloseCode.GOING_AWAY, "")

    def delivery_rate_bps(self) -> float | None:
        return None

    def read(self, size: int) -> None:
        self._unread_bytes -= size
        self._changed.set()

    def lose(self) -> None:
        """The viewer is gone, and needs no close code."""
        if not self._closed:
            self._closed = True
            self._changed.set()
            self._relay.remove(self._id)

    def _end(self, code: int, reason: str) -> None:
        if not self._closed:
            self._outlet.on_viewer_closed(self._id, int(code), reason)
            self.lose()

    async def _wait_for_room(self) -> None:
        """Raises ``ConnectionResetError`` for a closed viewer."""
        while self._unread_bytes >= MAX_UNREAD_BYTES and not self._closed:
            self._changed.clear()
            try:
                async with asyncio.timeout(MAX_UNREAD_S):
                    await self._changed.wait()
            except TimeoutError:
                self._end(CloseCode.LIMITS, "the viewer does not read")
        if self._closed:
            raise ConnectionResetError("the viewer is closed")
