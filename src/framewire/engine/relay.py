"""Viewers whose messages the host carries to the engine, instead of a socket that the engine itself has.

Must not know what carries them, nor whether the host is another process.
"""

from __future__ import annotations

import asyncio
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
        self._viewers: dict[int, tuple[Viewer, _RelaySocket]] = {}
        self._leaving: set[asyncio.Task[None]] = set()

    def open(self, id_: int, request: ConnectionRequest) -> None:
        """A viewer has connected."""
        socket = _RelaySocket(id_, self._outlet, self)
        self._viewers[id_] = self._engine.accept(WebSocketTransport(socket), request), socket

    def receive(self, id_: int, text: str) -> None:
        """Take a message of the viewer. Those of one that is closed are ignored."""
        if found := self._viewers.get(id_):
            found[0].receive(text)

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
        viewer, _ = self._viewers.pop(id_)
        task = asyncio.create_task(self._engine.leave(viewer))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)


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
