"""What the user holds: `Display`, one stream to publish into and to hear from.

Must not know encoders, sockets or rings, nor how it came to be: it numbers frames and hands them to an outlet.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Generator
from copy import deepcopy
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from framewire.arrays import Layout, as_pixels
from framewire.errors import ClosedError
from framewire.options import StreamOptions

if TYPE_CHECKING:
    from framewire.notebook import Canvas, Viewer
    from framewire.serving import Server

log = logging.getLogger("framewire")

DEFAULT_STREAM = "default"
# What `Display.stats` says until the engine's first numbers come, about a second after the stream's beginning.
_NO_STATS: dict[str, Any] = {"viewers": 0, "published_fps": 0.0, "encodings": [], "encodes": {}, "encode_ms": {}}


@dataclass(frozen=True, slots=True)
class InputEvent:
    """One input event of one viewer.

    ``event`` is a renderview event: a dict with ``type`` (``"pointer_down"``, ``"key_down"``, …) and its
    fields; ``x``, ``y`` are pixels of the published frame.
    """

    client_id: str
    """Tells viewers apart; a new one for every connection."""
    principal: str | None
    """Who the viewer is, where authentication says so."""
    event: dict[str, Any]
    received_us: int
    """When it arrived, microseconds since the Unix epoch."""


class Display:
    """One stream. Publish frames into it; show `url` in a browser or `widget()` in a notebook.

    Usable at once: `publish` needs no event loop and works from any thread. ``await display`` waits until the
    engine serves the port. Ends with `close`, ``await aclose()``, ``with`` or ``async with``.
    """

    def __init__(self, server: Server, options: StreamOptions, *, owns: bool) -> None:
        self._server = server
        self._owns_server = owns
        self._options = options
        self._size = (options.width, options.height)
        self._number = 0
        self._lock = threading.Lock()
        self._events: deque[InputEvent] = deque(maxlen=options.event_queue_size)
        self._listeners: list[Callable[[InputEvent], None]] = []
        self._waiting: list[Callable[[], None]] = []
        self._viewers = 0
        self._stats = deepcopy(_NO_STATS)
        self._ended: str | None = None
        self._outlet = server._host.open(options)

    # Publishing

    def publish(self, frame: Any, *, format: Layout = "rgb") -> None:
        """Make ``frame`` the newest picture; every viewer gets it as fast as it can take pictures.

        Takes an array of shape (H, W), (H, W, 1), (H, W, 3) RGB or (H, W, 4) RGBA with straight alpha, of
        ``uint8``, ``uint16``, float in [0, 1] or ``bool``; torch, JAX and CuPy tensors, PIL images,
        ``av.VideoFrame`` and Matplotlib canvases. ``format="bgr"`` for OpenCV's order. Another size than
        last time is a resize.

        Returns in about a copy's time; the array may be changed on the next line. Any thread may call.
        Raises `PublishError` (a ``ValueError``) for anything else, in one line, and `ClosedError` after `close`.
        """
        pixels = as_pixels(frame, format)
        time_us = time.time_ns() // 1000
        with self._lock:
            if self._ended:
                raise ClosedError(self._ended)
            self._number = (self._number + 1) & 0xFFFFFFFF
            self._outlet.write(pixels, self._number, time_us)
            self._size = (pixels.shape[1], pixels.shape[0])

    # What comes back

    def poll_events(self) -> list[InputEvent]:
        """All input events since the last call, oldest first; does not wait."""
        events = []
        with contextlib.suppress(IndexError):  # empty; asked first, another thread might empty it meanwhile
            while True:
                events.append(self._events.popleft())
        return events

    async def events(self) -> AsyncGenerator[InputEvent, None]:
        """Input events as they arrive, until the display is closed."""
        loop = asyncio.get_running_loop()
        arrived = asyncio.Event()

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits there any more
                loop.call_soon_threadsafe(arrived.set)

        self._waiting.append(wake)
        try:
            while True:
                ended = self._ended
                for event in self.poll_events():
                    yield event
                if ended:
                    return
                await arrived.wait()
                arrived.clear()
        finally:
            self._waiting.remove(wake)

    def on_event(self, callback: Callable[[InputEvent], None]) -> Callable[[], None]:
        """Call ``callback`` for every input event, on a thread of framewire's; returns what removes it again.

        It must return quickly. What it raises is logged and goes no further.
        """
        self._listeners.append(callback)

        def remove() -> None:
            if callback in self._listeners:
                self._listeners.remove(callback)

        return remove

    @property
    def client_count(self) -> int:
        """Viewers that watch now."""
        return self._viewers

    @property
    def stats(self) -> dict[str, Any]:
        """Numbers of about the last second: viewers, published_fps, encodings in use, encodes, encode_ms."""
        return dict(self._stats)

    # Where it is

    @property
    def name(self) -> str:
        return self._options.name

    @property
    def width(self) -> int:
        """Pixels of the newest frame."""
        return self._size[0]

    @property
    def height(self) -> int:
        return self._size[1]

    @property
    def fps(self) -> float:
        """What the publisher said it aims at."""
        return self._options.fps

    @property
    def server(self) -> Server:
        """The server in front; `Server.add_stream` puts another stream on the same port."""
        return self._server

    @property
    def port(self) -> int:
        return self._server.port

    @property
    def url(self) -> str:
        """The page that shows this stream. Keep it to those who may watch: the token is in its fragment,
        which browsers send nowhere."""
        query = "" if self.name == DEFAULT_STREAM else f"?stream={quote(self.name, safe='')}"
        return f"http://{self._server.address}/{query}#token={self._server.token}"

    @property
    def ws_url(self) -> str:
        """The WebSocket viewers speak to; says nothing secret."""
        return f"ws://{self._server.address}/ws"

    @property
    def closed(self) -> bool:
        return self._ended is not None

    def widget(self, *, batteries: bool = True, **traits: Any) -> Viewer | Canvas:
        """A notebook widget: `Viewer` with status, toolbar and HUD, or the bare `Canvas`.

        ``traits`` are the widget's: ``mode``, ``fit``, ``height``, ``background``, ``show_stats``, …
        """
        from framewire.notebook import Canvas, Viewer

        made: Viewer | Canvas = (Viewer if batteries else Canvas).of(self, **traits)
        return made

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """A display at the end of a cell shows itself."""
        return self.widget()._repr_mimebundle_(**kwargs)

    def __repr__(self) -> str:
        state = "closed" if self._ended else f"{self.width}x{self.height} at {self.ws_url}"
        return f"<framewire.Display {self.name!r} {state}>"

    # Beginning and end

    def __await__(self) -> Generator[Any, None, Display]:
        yield from self._server._host.ready().__await__()
        return self

    def wait_ready(self, timeout: float = 30.0) -> Display:
        """Wait until the engine serves the port. Nothing needs it; frames published earlier are kept.

        Raises `EngineError` where that does not come about.
        """
        self._server._host.wait_ready(timeout)
        return self

    def close(self) -> None:
        """End the stream, and the engine with its last one. Idempotent."""
        if self._finish("the display is closed") and self._owns_server:
            self._server._leave()

    async def aclose(self) -> None:
        """`close`, from a coroutine."""
        if self._finish("the display is closed") and self._owns_server:
            await self._server._aleave()

    def __enter__(self) -> Display:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    async def __aenter__(self) -> Display:
        return await self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.aclose()

    def _finish(self, why: str) -> bool:
        with self._lock:
            if self._ended:
                return False
            self._ended = why
        self._outlet.close()
        self._server._forget(self)
        for wake in list(self._waiting):
            wake()
        return True

    def _disown(self) -> None:
        """In a forked child: threads that are not here may hold the lock, and the stream is the parent's."""
        self._lock = threading.Lock()
        self._ended = self._ended or "the display belongs to the parent of this forked process; serve one here"
        self._waiting.clear()

    def _arrived(self, client_id: str, principal: str | None, event: dict[str, Any]) -> None:
        item = InputEvent(client_id, principal, event, time.time_ns() // 1000)
        self._events.append(item)
        for callback in list(self._listeners):
            _call(callback, item)
        for wake in list(self._waiting):
            wake()


def _call(callback: Callable[..., None], *values: Any) -> None:
    try:
        callback(*values)
    except Exception:
        log.exception("framewire: a callback failed")
