"""An engine behind a real port, for tests that need its viewers to have real sockets."""

from __future__ import annotations

from typing import Any

import numpy as np

from framewire.engine.engine import Engine
from framewire.engine.http.server import WebServer
from framewire.engine.viewer.viewer import Viewer
from framewire.engine.viewer.websocket import WebSocketTransport
from framewire.link.listen import bind
from framewire.link.slot import LocalSlot
from framewire.options import EngineOptions, StreamOptions
from framewire.viewers import WatchingViewer

TOKEN = "only-those-who-know-it-come-in"


class Recorder:
    """An `EngineListener` that keeps what is reported to it."""

    def __init__(self) -> None:
        self.inputs: list[tuple[int, str, str | None, dict[str, Any]]] = []
        self.viewers: list[tuple[int, tuple[WatchingViewer, ...]]] = []
        self.stats: list[tuple[int, dict[str, Any]]] = []

    def on_input(self, stream: int, client_id: str, principal: str | None, event: dict[str, Any]) -> None:
        self.inputs.append((stream, client_id, principal, event))

    def on_viewers(self, stream: int, viewers: tuple[WatchingViewer, ...]) -> None:
        self.viewers.append((stream, viewers))

    def on_stats(self, stream: int, stats: dict[str, Any]) -> None:
        self.stats.append((stream, stats))


class ServedEngine:
    """An engine behind a real port."""

    def __init__(self) -> None:
        self.listener = Recorder()
        options = EngineOptions(token=TOKEN)
        self.engine = Engine(options, self.listener)
        self.server = WebServer(self.engine, options)
        self.sockets = bind("127.0.0.1", 0)
        self.slots: dict[int, LocalSlot] = {}
        self.numbers = dict.fromkeys(range(10), 0)

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.sockets[0].getsockname()[1]}/ws"

    def add(self, id_: int, name: str, width: int = 64, height: int = 48, **options: Any) -> None:
        self.slots[id_] = LocalSlot()
        self.engine.add_stream(StreamOptions(id=id_, name=name, width=width, height=height, **options), self.slots[id_])

    def describe(self, id_: int, **options: Any) -> None:
        self.engine.describe_stream(StreamOptions(id=id_, name="default", width=64, height=48, **options))

    def queued_chunks(self, viewer: Viewer) -> int:
        assert isinstance(viewer.transport, WebSocketTransport)
        return viewer.transport.queued_chunks

    def publish(self, id_: int, pixels: np.ndarray) -> int:
        self.numbers[id_] += 1
        self.slots[id_].write(pixels, self.numbers[id_], self.numbers[id_])
        self.engine.frame_published(id_)
        return self.numbers[id_]
