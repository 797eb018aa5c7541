"""What the user holds: `Display`, one stream to publish into, and `Server`, many streams on one port.

Must not know encoders, sockets or rings: it checks what is given, numbers frames and hands them to a host.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import secrets
import threading
import time
import weakref
from collections import deque
from collections.abc import AsyncIterator, Callable, Generator, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from framewire.arrays import MAX_SIDE, Layout, as_pixels
from framewire.engine.gate import MIN_TOKEN
from framewire.errors import ClosedError
from framewire.host import EngineHost, HostOptions, InlineHost, ProcessHost, StreamOptions, exposed

if TYPE_CHECKING:
    from framewire.notebook import Canvas, Viewer

log = logging.getLogger("framewire")

Engine = Literal["process", "inline"]

DEFAULT_STREAM = "default"
MAX_BITRATE = 20_000_000


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

    def __init__(self, server: Server, options: StreamOptions, *, event_queue_size: int, owns: bool) -> None:
        self._server = server
        self._owns_server = owns
        self._options = options
        self._size = (options.width, options.height)
        self._number = 0
        self._lock = threading.Lock()
        self._events: deque[InputEvent] = deque(maxlen=event_queue_size)
        self._listeners: list[Callable[[InputEvent], None]] = []
        self._waiting: list[Callable[[], None]] = []
        self._viewers = 0
        self._stats: dict[str, Any] = {}
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
        while self._events:
            events.append(self._events.popleft())
        return events

    async def events(self) -> AsyncIterator[InputEvent]:
        """Input events as they arrive, until the display is closed."""
        loop = asyncio.get_running_loop()
        arrived = asyncio.Event()

        def wake() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(arrived.set)

        self._waiting.append(wake)
        try:
            while not self._ended:
                for event in self.poll_events():
                    yield event
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
        query = "" if self.name == DEFAULT_STREAM else f"?stream={_quote(self.name)}"
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

        return Viewer.of(self, **traits) if batteries else Canvas.of(self, **traits)

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

    def _arrived(self, client_id: str, principal: str | None, event: dict[str, Any]) -> None:
        item = InputEvent(client_id, principal, event, time.time_ns() // 1000)
        self._events.append(item)
        for callback in list(self._listeners):
            _call(callback, item)
        for wake in list(self._waiting):
            wake()


class Server:
    """Many streams on one port, in one engine. Made by `serve_server`."""

    def __init__(self, options: HostOptions, engine: Engine, *, shared: bool = False) -> None:
        self.token = options.token
        self._options = options
        self._engine = engine
        self._shared = shared
        self._displays: dict[str, Display] = {}
        self._by_id: dict[int, Display] = {}
        self._next_id = 0
        self._lock = threading.RLock()
        self._closed = False
        self._farewells: list[Callable[[], None]] = []
        self.failure: str | None = None
        """Why there is no engine any more; None while all is well."""
        listener = _Back(self)
        self._host: EngineHost
        self._host = ProcessHost(options, listener) if engine == "process" else InlineHost(options, listener)

    def add_stream(
        self,
        name: str,
        width: int,
        height: int,
        *,
        fps: float = 60.0,
        max_bitrate: int = MAX_BITRATE,
        event_queue_size: int = 4096,
    ) -> Display:
        """Begin a stream; one of the same name is replaced and its `Display` closed."""
        return self._add(name, width, height, fps, max_bitrate, event_queue_size, owns=False)

    def stream(self, name: str = DEFAULT_STREAM) -> Display:
        """The display of this name. Raises ``KeyError``."""
        return self._displays[name]

    def remove_stream(self, name: str) -> None:
        """End a stream; its viewers wait for one of the same name."""
        self._displays[name].close()

    @property
    def streams(self) -> list[str]:
        """Names of the streams there are."""
        return list(self._displays)

    @property
    def port(self) -> int:
        return self._host.port

    @property
    def address(self) -> str:
        """``host:port`` as a browser on this machine reaches it."""
        host = self._options.host
        if host in ("", "0.0.0.0", "::", "*"):
            host = "127.0.0.1"
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    @property
    def engine_pid(self) -> int | None:
        """Process id of the engine; None inline, or while it is being started again."""
        return self._host.pid

    @property
    def closed(self) -> bool:
        return self._closed

    def __await__(self) -> Generator[Any, None, Server]:
        yield from self._host.ready().__await__()
        return self

    def on_close(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` when the server is closed; at once if it is."""
        with self._lock:
            if not self._closed:
                self._farewells.append(callback)
                return
        _call(callback)

    def close(self) -> None:
        """End every stream and the engine. Idempotent."""
        if self._shut():
            self._host.close()

    async def aclose(self) -> None:
        """`close`, from a coroutine."""
        if self._shut():
            await self._host.aclose()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Server:
        return await self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def _add(
        self, name: str, width: int, height: int, fps: float, max_bitrate: int, queue: int, *, owns: bool
    ) -> Display:
        _check_stream(name, width, height, fps)
        with self._lock:
            if self._closed:
                raise ClosedError("the server is closed")
            if old := self._displays.get(name):
                old._finish(f"the display was replaced by a newer one of the same name, {name!r} (name= gives several)")
            options = StreamOptions(self._next_id, name, width, height, float(fps), max_bitrate)
            self._next_id += 1
            display = Display(self, options, event_queue_size=queue, owns=owns)
            self._displays[name] = self._by_id[options.id] = display
            return display

    def _forget(self, display: Display) -> None:
        with self._lock:
            self._by_id.pop(display._options.id, None)
            if self._displays.get(display.name) is display:
                del self._displays[display.name]

    def _shut(self) -> bool:
        with self._lock:
            if self._closed:
                return False
            self._closed = True
            for display in list(self._displays.values()):
                display._finish("the server is closed")
        for callback in self._farewells:
            _call(callback)
        with _shared_lock:
            for key, server in list(_shared.items()):
                if server is self:
                    del _shared[key]
        return True

    def _leave(self) -> None:
        if self._shared and not self._displays:
            self.close()

    async def _aleave(self) -> None:
        if self._shared and not self._displays:
            await self.aclose()


class _Back:
    """`host.Listener`: finds the display. Holds the server weakly, so that a forgotten one can go."""

    def __init__(self, server: Server) -> None:
        self._server = weakref.ref(server)

    def on_input(self, stream: int, client_id: str, principal: str | None, event: dict[str, Any]) -> None:
        if display := self._display(stream):
            display._arrived(client_id, principal, event)

    def on_viewers(self, stream: int, count: int) -> None:
        if display := self._display(stream):
            display._viewers = count

    def on_stats(self, stream: int, stats: dict[str, Any]) -> None:
        if display := self._display(stream):
            display._stats = stats

    def on_failed(self, text: str) -> None:
        if server := self._server():
            server.failure = text

    def _display(self, stream: int) -> Display | None:
        server = self._server()
        return server._by_id.get(stream) if server else None


_shared: dict[tuple[Any, ...], Server] = {}
"""The engine that all displays of this process share, by what it was asked to be."""
_shared_lock = threading.RLock()


def serve(
    width: int,
    height: int,
    *,
    name: str = DEFAULT_STREAM,
    host: str = "127.0.0.1",
    port: int | None = None,
    fps: float = 60.0,
    max_bitrate: int = MAX_BITRATE,
    engine: Engine = "process",
    token: str | None = None,
    allow_origins: Iterable[str] = (),
    allow_hosts: Iterable[str] = (),
    ice_servers: Iterable[dict[str, Any]] = (),
    codecs: Iterable[str] = ("h264", "vp8"),
    event_queue_size: int = 4096,
) -> Display:
    """A stream to publish ``width`` x ``height`` frames into; other sizes may follow.

    All displays of a process share one engine and port, unless they ask for different ones. Serving a
    ``name`` again replaces that stream (running a cell again leaks nothing); closing the last one ends the
    engine. ``port=None`` is 8765 or, where that is taken, any free one; 0 is any free one.

    ``host`` other than loopback lets other machines in; they need the token all the same. ``token`` (22
    characters at least) is made up if not given. ``allow_origins`` are further web origins whose pages may
    connect, ``allow_hosts`` further names this server is reached under. ``ice_servers`` are STUN and TURN
    servers as in ``RTCConfiguration``; none by default. ``max_bitrate`` (bits a second) caps one encoding.

    ``await serve(...)`` waits until the port is served. Raises `EngineError` naming what is in the way, a
    taken port for instance, and ``ValueError`` for arguments that make no sense.
    """
    _check_stream(name, width, height, fps)
    options = _host_options(host, port, token, allow_origins, allow_hosts, ice_servers, codecs)
    with _shared_lock:
        server = _share(options, engine, given_token=token)
        try:
            return server._add(name, width, height, fps, max_bitrate, event_queue_size, owns=True)
        except BaseException:
            server._leave()
            raise


def serve_server(
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    engine: Engine = "process",
    token: str | None = None,
    allow_origins: Iterable[str] = (),
    allow_hosts: Iterable[str] = (),
    ice_servers: Iterable[dict[str, Any]] = (),
    codecs: Iterable[str] = ("h264", "vp8"),
    streams: Iterable[dict[str, Any]] = (),
) -> Server:
    """An engine of its own with any number of streams on one port; see `serve` for the arguments.

    ``streams`` are begun at once: dicts with ``name``, ``width``, ``height`` and what `Server.add_stream` takes.
    """
    options = _host_options(host, port, token, allow_origins, allow_hosts, ice_servers, codecs)
    server = Server(options, engine)
    try:
        for stream in streams:
            server.add_stream(**stream)
    except BaseException:
        server.close()
        raise
    return server


def _share(options: HostOptions, engine: Engine, given_token: str | None) -> Server:
    """The shared server that is what these options ask for, or a new one."""
    key = (engine, options.host, options.allow_origins, options.allow_hosts, str(options.ice_servers), options.codecs)
    known = _shared.get(key)
    if known and not known.closed and not known.failure and _same_loop(known):
        port_fits = options.port in (None, 0, known.port)
        if port_fits and given_token in (None, known.token):
            return known
        return Server(options, engine, shared=True)
    server = Server(options, engine, shared=True)
    _shared[key] = server
    return server


def _same_loop(server: Server) -> bool:
    """An inline engine lives on one loop, and only there."""
    host = server._host
    if not isinstance(host, InlineHost):
        return True
    try:
        return asyncio.get_running_loop() is host._loop
    except RuntimeError:
        return False


def _host_options(
    host: str,
    port: int | None,
    token: str | None,
    allow_origins: Iterable[str],
    allow_hosts: Iterable[str],
    ice_servers: Iterable[dict[str, Any]],
    codecs: Iterable[str],
) -> HostOptions:
    if token is not None and len(token) < MIN_TOKEN:
        raise ValueError(f"token is {len(token)} characters; {MIN_TOKEN} at least (128 bits: secrets.token_urlsafe(16))")
    codecs = tuple(codecs)
    if unknown := set(codecs) - {"h264", "vp8"}:
        raise ValueError(f"codecs {sorted(unknown)} are unknown: 'h264', 'vp8'")
    if isinstance(allow_origins, str) or isinstance(allow_hosts, str):
        raise ValueError("allow_origins and allow_hosts are lists of strings")
    if exposed(host):
        log.info("framewire: listening on %s, other machines can reach it; the token guards it", host)
    return HostOptions(
        token=token or secrets.token_urlsafe(16),
        host=host,
        port=port,
        allow_origins=tuple(allow_origins),
        allow_hosts=tuple(name.lower() for name in allow_hosts),
        ice_servers=tuple(ice_servers),
        codecs=codecs,
    )


def _check_stream(name: str, width: int, height: int, fps: float) -> None:
    if not (isinstance(name, str) and 1 <= len(name) <= 128):
        raise ValueError(f"a stream's name is a string of 1 to 128 characters, not {name!r:.200}")
    for side in (width, height):
        if not (1 <= int(side) <= MAX_SIDE):
            raise ValueError(f"{width}x{height} is no frame size: 1 to {MAX_SIDE} pixels a side")
    if not 0 < fps <= 1000:
        raise ValueError(f"fps={fps} makes no sense: above 0, at most 1000")


def _call(callback: Callable[..., None], *values: Any) -> None:
    try:
        callback(*values)
    except Exception:
        log.exception("framewire: a callback failed")


def _quote(name: str) -> str:
    from urllib.parse import quote

    return quote(name, safe="")


@atexit.register
def _close_shared() -> None:
    for server in list(_shared.values()):
        if not isinstance(server._host, InlineHost):
            server.close()
