"""Viewers whose messages go through the program: a thread for each calls the program's functions.

Must not know which host they belong to, nor what carries their messages on.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Protocol

from framewire.authentication import ConnectionRequest
from framewire.errors import CloseCode, ClosedError
from framewire.events import run_callback
from framewire.shortages import start_thread


class Uplink(Protocol):
    """Carries what viewers do to the engine. Any thread may call it. Raises ClosedError where the engine is closed."""

    def open_viewer(self, viewer: int, request: ConnectionRequest) -> None: ...
    def send_viewer_text(self, viewer: int, text: str) -> None: ...
    def viewer_read(self, viewer: int, size: int) -> None: ...
    def close_viewer(self, viewer: int) -> None: ...


@dataclass(frozen=True)
class _End:
    code: int
    reason: str


class ViewerChannels:
    """The channels of one host. It takes what the engine sends (`engine.relay.RelayOutlet`), on any thread."""

    def __init__(self) -> None:
        self._ids = itertools.count()
        self._channels: dict[int, _Channel] = {}

    def open(
        self,
        uplink: Uplink,
        on_text: Callable[[str], None],
        on_binary: Callable[[bytes], None],
        on_close: Callable[[int, str], None],
        request: ConnectionRequest,
    ) -> _Channel:
        """As `EngineHost.open_viewer`."""
        id_ = next(self._ids)
        channel = self._channels[id_] = _Channel(id_, uplink, self._channels, on_text, on_binary, on_close)
        try:
            uplink.open_viewer(id_, request)
        except BaseException:
            channel.close()
            raise
        return channel

    def on_viewer_text(self, viewer: int, text: str) -> None:
        if channel := self._channels.get(viewer):
            channel.received.put(text)

    def on_viewer_binary(self, viewer: int, data: bytes) -> None:
        if channel := self._channels.get(viewer):
            channel.received.put(data)

    def on_viewer_closed(self, viewer: int, code: int, reason: str) -> None:
        if channel := self._channels.pop(viewer, None):
            channel.received.put(_End(code, reason))

    def close_all(self) -> None:
        """There is no engine any more that serves the viewers so far."""
        for viewer in list(self._channels):
            self.on_viewer_closed(viewer, CloseCode.GOING_AWAY, "the engine has ended")


class _Channel:
    """`ViewerChannel`, with a thread that delivers what the engine sends."""

    def __init__(
        self,
        id_: int,
        uplink: Uplink,
        channels: dict[int, _Channel],
        on_text: Callable[[str], None],
        on_binary: Callable[[bytes], None],
        on_close: Callable[[int, str], None],
    ) -> None:
        self._id, self._uplink, self._channels = id_, uplink, channels
        self._on_text, self._on_binary, self._on_close = on_text, on_binary, on_close
        self._closed = False
        self.received: SimpleQueue[str | bytes | _End] = SimpleQueue()
        """The engine bounds it: it stops sending until it is told that the viewer has read."""
        start_thread(threading.Thread(target=self._deliver, name="framewire-viewer", daemon=True), "the viewer")

    def send_text(self, text: str) -> None:
        if self._id not in self._channels:
            raise ClosedError("the viewer's channel is closed; open_viewer connects another")
        self._uplink.send_viewer_text(self._id, text)

    def close(self) -> None:
        self._closed = True
        if self._channels.pop(self._id, None):
            with contextlib.suppress(ClosedError):
                self._uplink.close_viewer(self._id)
            self.received.put(_End(0, ""))

    def _deliver(self) -> None:
        while not isinstance(item := self.received.get(), _End):
            if self._closed:
                continue
            if isinstance(item, str):
                run_callback(self._on_text, item)
            else:
                run_callback(self._on_binary, item)
            with contextlib.suppress(ClosedError):
                self._uplink.viewer_read(self._id, len(item))
        if not self._closed:
            run_callback(self._on_close, item.code, item.reason)
