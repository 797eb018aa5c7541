"""Reports of an engine in this process, on a thread of their own: a callback of the program's holds no stream up.

Must not know engines.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import Any, Final

from framewire.host.protocols import Listener
from framewire.viewers import WatchingViewer

MAX_WAITING_REPORTS: Final = 10_000
"""Reports that wait for a callback that hangs; later ones are lost.

Source: chosen by hand; pinned by `tests/host/test_reports.py::test_what_waits_for_a_callback_that_hangs_is_bounded`."""


class Reports:
    """`Listener` that calls another one, in order, on a thread of its own."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._waiting: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self.thread = threading.Thread(target=self._run, name="framewire-reports", daemon=True)
        self.thread.start()

    def on_input(self, stream: int, client_id: str, principal: str | None, event: dict[str, Any]) -> None:
        self._put(partial(self._listener.on_input, stream, client_id, principal, event))

    def on_viewers(self, stream: int, viewers: tuple[WatchingViewer, ...]) -> None:
        self._put(partial(self._listener.on_viewers, stream, viewers))

    def on_stats(self, stream: int, stats: dict[str, Any]) -> None:
        self._put(partial(self._listener.on_stats, stream, stats))

    def on_ready(self) -> None:
        self._put(self._listener.on_ready)

    def on_failed(self, text: str) -> None:
        self._put(partial(self._listener.on_failed, text))

    def close(self) -> None:
        """No more reports. Does not wait for those that have come."""
        self._waiting.put(None)

    def _put(self, report: Callable[[], None]) -> None:
        if self._waiting.qsize() < MAX_WAITING_REPORTS:
            self._waiting.put(report)

    def _run(self) -> None:
        while report := self._waiting.get():
            report()
