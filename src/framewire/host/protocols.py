"""What every host of an engine offers to a `Server`: streams that can be written, and reports that come back.

Must not know any host, nor displays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from framewire.authentication import ConnectionRequest
from framewire.frame import Frame, Pixels
from framewire.options import StreamOptions
from framewire.viewers import WatchingViewer


class Outlet(Protocol):
    """Where the frames of one stream go into the engine. Any thread may use it."""

    def write(self, pixels: Pixels, number: int, time_us: int) -> None:
        """Copy the frame and make it the newest. Never waits for a viewer or the engine. Raises ClosedError."""

    def newest(self, known: int | None = None) -> Frame | None:
        """A copy of the newest frame; None before the first one, or if its number is ``known``. Raises ClosedError."""

    def describe(self, options: StreamOptions) -> None:
        """The stream has the title and cursor of these options from now on. Raises ClosedError."""

    def close(self) -> None:
        """End the stream. Idempotent."""


class Listener(Protocol):
    """What an engine reports. May be called on any thread; must return at once."""

    def on_input(self, stream: int, client_id: str, principal: str | None, event: dict[str, Any]) -> None:
        """A viewer sent an input event. ``principal`` is who it was admitted as."""

    def on_viewers(self, stream: int, viewers: tuple[WatchingViewer, ...]) -> None:
        """These viewers watch the stream now."""

    def on_stats(self, stream: int, stats: dict[str, Any]) -> None:
        """Measurements of a stream, about once a second."""

    def on_ready(self) -> None:
        """The engine process serves the port, for the first time or after a restart. It has no viewers yet."""

    def on_failed(self, text: str) -> None:
        """There is no engine any more, and none will be started."""


class ViewerChannel(Protocol):
    """A viewer whose messages the program carries, over a notebook's comm for example. Any thread may use it."""

    def send_text(self, text: str) -> None:
        """Send the engine a text message of the viewer. Raises ClosedError once the channel is closed."""

    def close(self) -> None:
        """The viewer is gone. No function of the channel is called any more. Idempotent."""


class EngineHost(Protocol):
    """An engine, wherever it runs."""

    @property
    def port(self) -> int:
        """The port it serves, known from the start."""

    @property
    def pid(self) -> int | None:
        """Process id of the engine; None if it has no process of its own, or none at the moment."""

    @property
    def over(self) -> bool:
        """Whether it can never run again: its event loop is closed."""

    @property
    def usable_here(self) -> bool:
        """Whether a stream may be opened by this caller: an inline engine belongs to one event loop."""

    def open(self, options: StreamOptions) -> Outlet:
        """Start a stream."""

    def open_viewer(
        self,
        on_text: Callable[[str], None],
        on_binary: Callable[[bytes], None],
        on_close: Callable[[int, str], None],
        request: ConnectionRequest,
    ) -> ViewerChannel:
        """Connect a viewer; see `Server.open_viewer`. Raises ClosedError."""

    def wait_ready(self, timeout: float) -> None:
        """Wait until the port is served. Raises EngineError."""

    async def ready(self) -> None:
        """As `wait_ready`, from a coroutine."""

    def close(self) -> None:
        """Stop the engine. Idempotent. Waits for no other thread where `reentrancy` forbids it."""

    def stop(self) -> None:
        """As `close`, but never waits: for the garbage collector, which may call it in the middle of anything."""

    async def aclose(self) -> None:
        """As `close`, from a coroutine."""
