"""What the tests of both hosts share."""

from __future__ import annotations

from typing import Any

from framewire.options import EngineOptions, StreamOptions
from framewire.viewers import WatchingViewer

TOKEN = "only-those-who-know-it-come-in"
OPTIONS = EngineOptions(token=TOKEN, port=0)
STREAM = StreamOptions(id=0, name="default", width=8, height=6, fps=30.0, max_bitrate=1_000_000)


class Recorder:
    """A `Listener` that records its calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def on_input(self, stream: int, client_id: str, principal: str | None, event: dict[str, Any]) -> None:
        self.calls.append(("input", stream, client_id, principal, event))

    def on_viewers(self, stream: int, viewers: tuple[WatchingViewer, ...]) -> None:
        self.calls.append(("viewers", stream, viewers))

    def on_stats(self, stream: int, stats: dict[str, Any]) -> None:
        self.calls.append(("stats", stream, stats))

    def on_ready(self) -> None:
        self.calls.append(("ready",))

    def on_failed(self, text: str) -> None:
        self.calls.append(("failed", text))
