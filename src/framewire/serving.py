"""`Server`, many streams on one port, and `serve`, one of them: which displays there are, and which engine they share.

Must not know encoders, sockets or rings: it checks what is asked for, and finds or starts a host for it.
"""

from __future__ import annotations

import logging
import os
import secrets
import threading
import time
import weakref
from collections.abc import Callable, Generator, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Unpack, cast, get_args

from msgspec.structs import replace

from framewire import running
from framewire.addresses import EVERY_INTERFACE
from framewire.advice import advise
from framewire.authentication import Authenticate, Authenticator, ConnectionRequest, of_two_arguments
from framewire.display import DEFAULT_STREAM, Display, Feedback
from framewire.errors import ClosedError
from framewire.events import EventQueue, InputEvent, run_callback
from framewire.host.inline import InlineHost
from framewire.host.process import ProcessHost
from framewire.host.protocols import EngineHost, Listener, ViewerChannel
from framewire.host.thread import ThreadHost
from framewire.keywords import divide, documented
from framewire.options import (
    EngineHome,
    EngineKeywords,
    EngineOptions,
    ServeKeywords,
    StreamKeywords,
    StreamOptions,
    size_usage,
)

log = logging.getLogger("framewire")


class Server:
    """Many streams on one port, in one engine. Made by `serve_server`; `serve` makes one that its displays share."""

    def __init__(
        self,
        options: EngineOptions | None = None,
        engine: EngineHome = "process",
        *,
        shared: bool = False,
        authenticate: Authenticate | Authenticator | None = None,
        stream_defaults: StreamKeywords | None = None,
        **keywords: Unpack[EngineKeywords],
    ) -> None:
        """``keywords`` are `EngineOptions` of which ``options`` are made. ``authenticate`` is as for `serve`.
        ``stream_defaults``: options of every stream that `add_stream` is not given."""
        if options is None:
            (given,) = divide("Server", keywords, EngineOptions, beside=("options", "engine", "authenticate"))
            options = EngineOptions(**given)
        self.token = options.token or secrets.token_urlsafe(16)
        """What viewers must present."""
        self.failure: str | None = None
        """Why there is no engine any more; None while all is well."""
        self._options = options = replace(options, token=self.token)
        self._engine = engine
        self._authenticate = authenticate
        self._shared = shared
        self._stream_defaults: StreamKeywords = stream_defaults or {}
        self._displays: dict[str, Display] = {}
        self._feedback: dict[int, Feedback] = {}
        self._next_id = 0
        self._lock = threading.RLock()
        self._closed = False
        self._on_close: list[Callable[[], None]] = []
        if options.exposed:
            log.info("framewire: listening on %s, other machines can reach it; the token guards it", options.host)
        running.servers.add(self)
        authorise = of_two_arguments(authenticate) if authenticate else None
        self._host = _start_host(options, engine, _ServerListener(self, self._feedback), authorise)

    @documented(StreamOptions)
    def add_stream(self, name: str, width: int, height: int, **options: Unpack[StreamKeywords]) -> Display:
        """Start a stream; one of the same name is replaced and its `Display` closed.

        An option that is not given is as `serve_server` was asked, or else as said here.
        """
        (given,) = divide("add_stream", options, StreamOptions, beside=("name", "width", "height"))
        keywords = {**self._stream_defaults, **given}
        with self._lock:
            if self._closed:
                raise ClosedError("the server is closed")
            stream = StreamOptions(id=self._next_id, name=name, width=width, height=height, **keywords)
            if old := self._displays.get(name):
                old.end(f"the display was replaced by a newer one of the same name, {name!r} (name= gives several)")
            self._next_id += 1
            outlet, feedback = self._host.open(stream), Feedback(EventQueue(stream.event_queue_size))
            display = Display(self, stream, outlet, feedback, on_end=partial(self._drop, stream.id))
            self._displays[name], self._feedback[stream.id] = display, feedback
            return display

    def stream(self, name: str = DEFAULT_STREAM) -> Display:
        """The display of this name. Raises ``KeyError``."""
        return self._displays[name]

    def get(self, name: str) -> Display | None:
        """The display of this name, or None."""
        return self._displays.get(name)

    def remove_stream(self, name: str) -> None:
        """End a stream; its viewers wait for one of the same name. Raises ``KeyError``."""
        self._displays[name].close()

    @property
    def streams(self) -> list[str]:
        """Names of the streams there are."""
        return list(self._displays)

    def open_viewer(
        self,
        on_text: Callable[[str], None],
        on_binary: Callable[[bytes], None],
        on_close: Callable[[int, str], None],
        request: ConnectionRequest | None = None,
    ) -> ViewerChannel:
        """Connect a viewer whose messages this program carries: the seam for other transports than a WebSocket.

        The channel speaks `signaling/README.md`, from `hello` on. ``on_text`` and ``on_binary`` get the messages to
        the viewer, in order, on a thread of the channel's own. They may block: then the viewer is sent less, and is
        closed with 4429 if that takes long; other viewers are not affected. ``on_close`` gets the close code and the
        reason, at the end of the engine's process as well (1001); not after `ViewerChannel.close`.
        ``request`` is what an ``authenticate`` function gets. Raises `ClosedError`.
        """
        if self._closed:
            raise ClosedError("the server is closed")
        return self._host.open_viewer(on_text, on_binary, on_close, request or ConnectionRequest())

    @property
    def port(self) -> int:
        return self._host.port

    @property
    def host_name(self) -> str:
        """The name or address by which a browser on this machine reaches the server."""
        host = self._options.host
        return "127.0.0.1" if host in EVERY_INTERFACE else host

    @property
    def address(self) -> str:
        """``host:port`` as a browser on this machine reaches it."""
        host = self.host_name
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    @property
    def engine_pid(self) -> int | None:
        """Process id of the engine; None if it has no process of its own, or while it is being started again."""
        return self._host.pid

    @property
    def closed(self) -> bool:
        return self._closed

    def __await__(self) -> Generator[Any, None, Server]:
        yield from self.ready().__await__()
        return self

    async def start(self) -> Server:
        """Wait until the engine serves the port: it starts by itself. Raises `EngineError`."""
        return await self

    async def ready(self) -> None:
        """Wait until the engine serves the port. Raises `EngineError`."""
        await self._host.ready()

    def wait_ready(self, timeout: float = 30.0) -> None:
        """As `ready`, without an event loop."""
        self._host.wait_ready(timeout)

    def on_close(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` when the server is closed; at once if it is."""
        with self._lock:
            if not self._closed:
                self._on_close.append(callback)
                return
        run_callback(callback)

    def close(self) -> None:
        """End every stream and the engine. Idempotent."""
        if self._end():
            self._host.close()

    async def aclose(self) -> None:
        """`close`, from a coroutine."""
        if self._end():
            await self._host.aclose()

    def release(self) -> None:
        """End the engine if `serve` started it and no stream is left. For displays that are closed."""
        if self._end_if_unused():
            self._host.close()

    async def arelease(self) -> None:
        """`release`, from a coroutine."""
        if self._end_if_unused():
            await self._host.aclose()

    @property
    def over(self) -> bool:
        """Whether it can never serve again, since the event loop of its inline engine is closed."""
        return self._host.over

    def is_for(
        self,
        options: EngineOptions,
        engine: EngineHome,
        authenticate: Authenticate | Authenticator | None,
    ) -> bool:
        """Whether a `serve` with these options, from here, may use this server."""
        return not self.differences(options, engine, authenticate) and self._host.usable_here

    def differences(
        self, options: EngineOptions, engine: EngineHome, authenticate: Authenticate | Authenticator | None
    ) -> list[str]:
        """The options of a `serve` that this server was not started with."""
        same = {"token": options.token in (None, self.token), "port": options.port in (None, 0, self.port)}
        names = options.__struct_fields__
        differ = [n for n in names if not same.get(n, getattr(options, n) == getattr(self._options, n))]
        beside = {"engine": engine == self._engine, "authenticate": authenticate == self._authenticate}
        return [*differ, *(name for name, is_same in beside.items() if not is_same)]

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Server:
        return await self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def _drop(self, id_: int, display: Display) -> None:
        with self._lock:
            self._feedback.pop(id_, None)
            if self._displays.get(display.name) is display:
                del self._displays[display.name]

    def _end(self) -> bool:
        """End every stream and take no more; whether the host is to be closed now."""
        why = f"the engine failed: {self.failure}" if self.failure else "the server is closed"
        with self._lock:
            if self._closed:
                return False
            self._closed = True
            for display in list(self._displays.values()):
                display.end(why)
        for callback in self._on_close:
            run_callback(callback)
        with _shared_lock:
            if self in _shared:
                _shared.remove(self)
        return True

    def _end_if_unused(self) -> bool:
        # Under the lock of `serve`, so that it never takes a server that is about to close.
        with _shared_lock:
            return self._shared and not self._displays and self._end()

    def after_fork_in_child(self) -> None:
        """Everything belongs to the parent. Threads that do not exist here may hold the lock."""
        self._lock = threading.RLock()
        self._closed = True
        for display in self._displays.values():
            display.after_fork_in_child()

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Names of pdum.rfb, where there is no other."""
            from framewire.ancestor import found

            error = AttributeError(f"'Server' object has no attribute {name!r}", name=name, obj=self)
            return found("Server", name, error)


class _ServerListener:
    """Passes reports on to the streams. Holds the server weakly, so that an unused one can be collected."""

    def __init__(self, server: Server, feedback: Mapping[int, Feedback]) -> None:
        self._server = weakref.ref(server)
        self._feedback = feedback

    def on_input(self, stream: int, client_id: str, principal: str | None, event: dict[str, Any]) -> None:
        if feedback := self._feedback.get(stream):
            feedback.events.put(InputEvent(client_id, principal, event, time.time_ns() // 1000))

    def on_viewers(self, stream: int, count: int) -> None:
        if feedback := self._feedback.get(stream):
            feedback.viewers = count

    def on_stats(self, stream: int, stats: dict[str, Any]) -> None:
        if feedback := self._feedback.get(stream):
            feedback.stats = stats

    def on_ready(self) -> None:
        for feedback in list(self._feedback.values()):
            feedback.viewers = 0

    def on_failed(self, text: str) -> None:
        if server := self._server():
            server.failure = text


def _start_host(
    options: EngineOptions, engine: EngineHome, listener: Listener, authenticate: Authenticate | None
) -> EngineHost:
    """Raises ``ValueError`` for an unknown engine, `EngineError` where it cannot be started."""
    if engine not in get_args(EngineHome):
        raise ValueError(f"engine={engine!r:.40} is unknown: {', '.join(map(repr, get_args(EngineHome)))}")
    match engine:
        case "process":
            return ProcessHost(options, listener, authenticate)
        case "thread":
            return ThreadHost(options, listener, authenticate)
        case "inline":
            return InlineHost(options, listener, authenticate)


_shared: list[Server] = []
"""The servers that `serve` shares among displays: one, unless they ask for different ones."""
_shared_lock = threading.RLock()
_SERVE_ARGUMENTS: Final = ("width", "height", "name", "engine", "authenticate")


@documented(EngineOptions, StreamOptions, usage=size_usage)
def serve(
    width: int,
    height: int,
    *,
    name: str = DEFAULT_STREAM,
    engine: EngineHome = "process",
    authenticate: Authenticate | Authenticator | None = None,
    **options: Unpack[ServeKeywords],
) -> Display:
    """A stream to publish ``width`` x ``height`` frames into; other sizes may follow.

    All displays of a process share one engine and port, unless they ask for different ones. Serving a
    ``name`` again replaces that stream, so running a cell again leaks nothing. Closing the last one ends the
    engine. ``engine="thread"`` runs the engine on a thread of this process, for where no other process may be started:
    streams then stall while Python code computes. ``engine="inline"`` runs it on the event loop that runs now.

    ``authenticate`` decides which viewers are admitted; without it, those that have the token are. It gets the token
    and the `ConnectionRequest`, or one `AuthContext` as pdum.rfb's. It returns the principal, or None to refuse.

    ``await serve(...)`` waits until the port is served. Raises `EngineError` naming what is in the way, a
    taken port for instance, and ``ValueError`` for arguments that cannot be used.
    """
    for_engine, for_stream = divide("serve", options, EngineOptions, StreamOptions, beside=_SERVE_ARGUMENTS)
    asked = EngineOptions(**for_engine)
    StreamOptions(id=0, name=name, width=width, height=height, **for_stream)  # refused before an engine is started
    with _shared_lock:
        server = _shared_server(asked, engine, authenticate)
        try:
            return server.add_stream(name, width, height, **cast(StreamKeywords, for_stream))
        except BaseException:
            server.release()
            raise


@documented(EngineOptions, StreamOptions)
def serve_server(
    *,
    engine: EngineHome = "process",
    streams: Iterable[Mapping[str, Any]] | None = (),
    authenticate: Authenticate | Authenticator | None = None,
    **options: Unpack[ServeKeywords],
) -> Server:
    """An engine of its own with any number of streams on one port; ``engine``, ``authenticate`` are as for `serve`.

    ``streams`` are started at once: dicts with ``name``, ``width``, ``height`` and what `Server.add_stream` takes.
    The options of a stream, ``fps`` for instance, hold for every stream that is not given another value.
    """
    for_engine, for_streams = divide(
        "serve_server", options, EngineOptions, StreamOptions, beside=("engine", "streams", "authenticate")
    )
    asked = EngineOptions(**for_engine)
    StreamOptions(id=0, name=DEFAULT_STREAM, width=1, height=1, **for_streams)  # refused before an engine is started
    server = Server(asked, engine, authenticate=authenticate, stream_defaults=cast(StreamKeywords, for_streams))
    try:
        for stream in streams or ():
            server.add_stream(**stream)
    except BaseException:
        server.close()
        raise
    return server


def _shared_server(
    options: EngineOptions, engine: EngineHome, authenticate: Authenticate | Authenticator | None
) -> Server:
    """The shared server that is what these options ask for, or a new one."""
    for server in list(_shared):
        if server.over:
            server.close()
        elif server.is_for(options, engine, authenticate):
            if not server.failure:
                return server
            server.close()  # and leaves the port to its successor
    _advise_to_share(options, engine, authenticate)
    server = Server(options, engine, shared=True, authenticate=authenticate)
    _shared.append(server)
    return server


def _advise_to_share(
    options: EngineOptions, engine: EngineHome, authenticate: Authenticate | Authenticator | None
) -> None:
    """Say which options keep a display from an engine that runs. Who asks for a port expects another one."""
    all_differences = [
        (server.differences(options, engine, authenticate), server) for server in _shared if not server.failure
    ]
    differ, server = min(all_differences, key=lambda each: len(each[0]), default=([], None))
    if server and differ not in ([], ["port"]):
        advise(
            f"{', '.join(differ)} {'differs' if len(differ) == 1 else 'differ'} from what the engine on port "
            f"{server.port} was started with: a second engine is started, on a port of its own. "
            "Displays share an engine where these options are the same"
        )


def _after_fork_in_child() -> None:
    global _shared_lock  # noqa: PLW0603  # a thread that does not exist here may hold the old one
    _shared_lock = threading.RLock()
    _shared.clear()
    for server in list(running.servers):
        server.after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
