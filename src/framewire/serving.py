"""`Server`, many streams on one port, and `serve`, one of them: how displays come to be and which engine they share.

Must not know encoders, sockets or rings: it checks what is asked for, and finds or starts a host for it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import threading
import weakref
from collections.abc import Callable, Generator, Iterable, Mapping
from typing import Any, Unpack, get_args

from msgspec.structs import replace

from framewire.display import DEFAULT_STREAM, Display, _call
from framewire.errors import ClosedError
from framewire.host import EngineHost, InlineHost, ProcessHost
from framewire.keywords import divide, documented
from framewire.options import (
    EngineHome,
    EngineKeywords,
    EngineOptions,
    ServeKeywords,
    StreamKeywords,
    StreamOptions,
)

log = logging.getLogger("framewire")


class Server:
    """Many streams on one port, in one engine. Made by `serve_server`."""

    def __init__(self, options: EngineOptions, engine: EngineHome, *, shared: bool = False) -> None:
        if engine not in get_args(EngineHome):
            raise ValueError(f"engine={engine!r:.40} is unknown: {', '.join(map(repr, get_args(EngineHome)))}")
        self.token = options.token or secrets.token_urlsafe(16)
        """What viewers must present."""
        options = replace(options, token=self.token)
        if options.exposed:
            log.info("framewire: listening on %s, other machines can reach it; the token guards it", options.host)
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
        _servers.add(self)
        self._host: EngineHost
        self._host = ProcessHost(options, listener) if engine == "process" else InlineHost(options, listener)

    @documented(StreamOptions)
    def add_stream(self, name: str, width: int, height: int, **options: Unpack[StreamKeywords]) -> Display:
        """Start a stream; one of the same name is replaced and its `Display` closed."""
        (for_stream,) = divide(options, StreamOptions)
        return self._add(StreamOptions(id=0, name=name, width=width, height=height, **for_stream), owns=False)

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

    def _add(self, options: StreamOptions, *, owns: bool) -> Display:
        with self._lock:
            if self._closed:
                raise ClosedError("the server is closed")
            options = replace(options, id=self._next_id)
            if old := self._displays.get(options.name):
                old._finish(
                    f"the display was replaced by a newer one of the same name, {options.name!r} (name= gives several)"
                )
            self._next_id += 1
            display = Display(self, options, owns=owns)
            self._displays[options.name] = self._by_id[options.id] = display
            return display

    def _forget(self, display: Display) -> None:
        with self._lock:
            self._by_id.pop(display._options.id, None)
            if self._displays.get(display.name) is display:
                del self._displays[display.name]

    def _shut(self, why: str = "the server is closed") -> bool:
        """Take it out of service; whether somebody must close the host now."""
        with self._lock:
            if self._closed:
                return False
            self._closed = True
            for display in list(self._displays.values()):
                display._finish(why)
        for callback in self._farewells:
            _call(callback)
        with _shared_lock:
            if self in _shared:
                _shared.remove(self)
        return True

    def _retire(self) -> bool:
        """`_shut`, if it is shared and nobody uses it any more. Under the lock of `serve`, so that nobody is
        given a server that is about to close."""
        with _shared_lock:
            return self._shared and not self._displays and self._shut()

    def _leave(self) -> None:
        if self._retire():
            self._host.close()

    async def _aleave(self) -> None:
        if self._retire():
            await self._host.aclose()

    def _disown(self) -> None:
        """In a forked child: everything belongs to the parent, locks included."""
        self._lock = threading.RLock()
        self._closed = True
        for display in self._displays.values():
            display._disown()


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

    def on_ready(self) -> None:
        if server := self._server():
            for display in list(server._by_id.values()):
                display._viewers = 0

    def on_failed(self, text: str) -> None:
        if server := self._server():
            server.failure = text

    def _display(self, stream: int) -> Display | None:
        server = self._server()
        return server._by_id.get(stream) if server else None


_shared: list[Server] = []
"""The servers that `serve` shares among displays: one, unless they ask for different ones."""
_shared_lock = threading.RLock()
_servers: weakref.WeakSet[Server] = weakref.WeakSet()


@documented(EngineOptions, StreamOptions)
def serve(
    width: int,
    height: int,
    *,
    name: str = DEFAULT_STREAM,
    engine: EngineHome = "process",
    **options: Unpack[ServeKeywords],
) -> Display:
    """A stream to publish ``width`` x ``height`` frames into; other sizes may follow.

    All displays of a process share one engine and port, unless they ask for different ones. Serving a
    ``name`` again replaces that stream, so running a cell again leaks nothing. Closing the last one ends the
    engine. ``engine="inline"`` runs the engine on the event loop that runs now, instead of in a process of its own.

    ``await serve(...)`` waits until the port is served. Raises `EngineError` naming what is in the way, a
    taken port for instance, and ``ValueError`` for arguments that cannot be used.
    """
    for_engine, for_stream = divide(options, EngineOptions, StreamOptions)
    asked = EngineOptions(**for_engine)
    stream = StreamOptions(id=0, name=name, width=width, height=height, **for_stream)
    with _shared_lock:
        server = _share(asked, engine)
        try:
            return server._add(stream, owns=True)
        except BaseException:
            server._leave()
            raise


@documented(EngineOptions)
def serve_server(
    *,
    engine: EngineHome = "process",
    streams: Iterable[Mapping[str, Any]] = (),
    **options: Unpack[EngineKeywords],
) -> Server:
    """An engine of its own with any number of streams on one port; ``engine`` is as for `serve`.

    ``streams`` are started at once: dicts with ``name``, ``width``, ``height`` and what `Server.add_stream` takes.
    """
    (for_engine,) = divide(options, EngineOptions)
    server = Server(EngineOptions(**for_engine), engine)
    try:
        for stream in streams:
            server.add_stream(**stream)
    except BaseException:
        server.close()
        raise
    return server


def _share(options: EngineOptions, engine: EngineHome) -> Server:
    """The shared server that is what these options ask for, or a new one."""
    for server in list(_shared):
        if isinstance(server._host, InlineHost) and server._host.over:
            server.close()
        elif _is_what(server, options, engine):
            if not server.failure:
                return server
            if server._shut(f"the engine failed: {server.failure}"):
                server._host.close()  # and leaves the port to its successor
    server = Server(options, engine, shared=True)
    _shared.append(server)
    return server


def _is_what(server: Server, options: EngineOptions, engine: EngineHome) -> bool:
    """Whether a new display asks for this server."""
    ours, theirs = (replace(each, token=None, port=None) for each in (server._options, options))
    return (
        (server._engine, ours) == (engine, theirs)
        and options.port in (None, 0, server.port)
        and options.token in (None, server.token)
        and _same_loop(server)
    )


def _same_loop(server: Server) -> bool:
    """An inline engine lives on one loop, and only there."""
    host = server._host
    if not isinstance(host, InlineHost):
        return True
    try:
        return asyncio.get_running_loop() is host._loop
    except RuntimeError:
        return False


def _after_fork_in_child() -> None:
    global _shared_lock  # noqa: PLW0603  # the old one may be held by a thread that is not here
    _shared_lock = threading.RLock()
    _shared.clear()
    for server in list(_servers):
        server._disown()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
