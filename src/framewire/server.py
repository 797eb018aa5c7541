"""`Server`: many streams on one port, in one engine.

Must not know encoders, sockets or rings, nor which servers `serve` shares among displays.
"""

from __future__ import annotations

import _thread
import contextlib
import itertools
import logging
import secrets
import time
import weakref
from collections.abc import Callable, Generator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn, Unpack, cast

from msgspec.structs import replace

from framewire import registry
from framewire.addresses import EVERY_INTERFACE
from framewire.advice import advise
from framewire.authentication import Authenticate, Authenticator, ConnectionRequest, of_two_arguments
from framewire.calls import LONGEST_WAIT_S, plain_function, seconds
from framewire.display import DEFAULT_STREAM, Display
from framewire.errors import ClosedError, EngineError, NoProcessError
from framewire.events import InputEvent, RenderviewInput, run_callback
from framewire.host.inline import InlineHost
from framewire.host.process import ProcessHost
from framewire.host.protocols import EngineHost, Listener, ViewerChannel
from framewire.host.thread import ThreadHost
from framewire.keywords import divide, documented, shown
from framewire.options import (
    EngineHome,
    EngineKeywords,
    EngineOptions,
    StreamKeywords,
    StreamOptions,
    check_home,
)
from framewire.publisher import Publisher
from framewire.reentrancy import Section, leave, when_outside
from framewire.tls import checked_files
from framewire.viewers import WatchingViewer

log: Final = logging.getLogger("framewire")


IN_CLEAR_TEXT: Final = (
    "other machines can connect, and the token goes to them in clear text: whoever reads along can watch and "
    "send input. Serve with tls=, or keep host='127.0.0.1' behind an SSH tunnel (ssh -L) or a reverse proxy"
)
"""What a server without encryption is, beyond this machine, and what to do instead."""


class Server:
    """Many streams on one port, in one engine. Made by `serve_server`; `serve` makes one that its displays share.

    It ends when it is closed, and when nothing holds it any more, nor any of its displays.
    """

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
        if options.tls:
            options = replace(options, tls=checked_files(options.tls))
        self.token: str = options.token or secrets.token_urlsafe(16)
        """What viewers must present."""
        self.failure: str | None = None
        """Why there is no engine any more; None while all is well. It is final: `serve` starts another server."""
        self._options = options = replace(options, token=self.token)
        self._engine = engine
        self._authenticate = authenticate
        self._shared = shared
        self._stream_defaults: StreamKeywords = stream_defaults or {}
        self._publishers: dict[int, Publisher] = {}
        """By the stream's id. They do not know the server: it ends when the last handle of it is let go."""
        self._living: weakref.WeakValueDictionary[int, Publisher] = weakref.WeakValueDictionary()
        """The same, held weakly, for `_abandon`: a publisher's callback may hold this server."""
        self._displays: weakref.WeakValueDictionary[int, Display] = weakref.WeakValueDictionary()
        self._ids = itertools.count()
        self._opening = 0
        self._section = Section()
        self._closed = False
        self._why = "the server is closed"
        self._on_close: list[Callable[[], None]] = []
        if options.in_clear_text:
            advise(f"host={options.host!r}: {IN_CLEAR_TEXT}")
        registry.servers.add(self)
        authorise = of_two_arguments(authenticate) if authenticate else None
        self._host = _start_host(options, engine, _ServerListener(self), authorise)
        weakref.finalize(self, _abandon, self._host, self._living, self._on_close).atexit = False

    @documented(StreamOptions)
    def add_stream(self, name: str, width: int, height: int, **options: Unpack[StreamKeywords]) -> Display:
        """Start a stream; one of the same name is replaced and its `Display` closed.

        An option that is not given is as `serve_server` was asked, or else as said here. Raises `ClosedError`, and
        `EngineError` where there is no engine any more, or no memory for the stream.
        """
        (given,) = divide("add_stream", options, StreamOptions, beside=("name", "width", "height"))
        keywords = {**self._stream_defaults, **given}
        stream = StreamOptions(id=next(self._ids), name=name, width=width, height=height, **keywords)
        try:
            with self._section.lock:
                return self._open(stream)
        finally:
            leave()

    def _open(self, stream: StreamOptions) -> Display:
        self._check_open()
        self._replace(stream.name)
        self._opening += 1
        try:
            outlet = self._host.open(stream)
            publisher = Publisher(stream, outlet, on_end=partial(_drop, weakref.ref(self)))
            self._publishers[stream.id] = self._living[stream.id] = publisher
        finally:
            self._opening -= 1
        if self.failure:  # since the look; the report of it may have missed this stream
            publisher.fail(self.failure)
        self._replace(stream.name, by=publisher)  # once more: a signal handler may have served the name meanwhile
        if self._closed:  # likewise
            publisher.end(self._why)
            self._check_open()
        return self._display(publisher)

    def stream(self, name: str = DEFAULT_STREAM) -> Display:
        """The display of this name. Raises ``KeyError``."""
        display = self.get(name)
        if display is None:
            raise KeyError(f"no stream {shown(name)}: there are {', '.join(map(repr, self.streams)) or 'none'}")
        return display

    def get(self, name: str) -> Display | None:
        """The display of this name, or None."""
        found = [each for each in list(self._publishers.values()) if each.options.name == name]
        return self._display(found[-1]) if found else None

    def remove_stream(self, name: str) -> None:
        """End a stream; its viewers wait for one of the same name. Raises ``KeyError``."""
        self.stream(name).close()

    @property
    def streams(self) -> list[str]:
        """Names of the streams there are."""
        return [each.options.name for each in list(self._publishers.values())]

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
        self._check_open()
        plain_function("open_viewer", on_text, "text")
        plain_function("open_viewer", on_binary, "data")
        plain_function("open_viewer", on_close, "code", "reason")
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
    def scheme(self) -> Literal["http", "https"]:
        """How browsers reach it: ``https`` with a certificate (``tls=``)."""
        return "https" if self._options.tls else "http"

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

    def wait_ready(self, timeout: float | None = 30.0) -> None:
        """As `ready`, without an event loop; None waits for as long as it takes."""
        limit_s = seconds("timeout", timeout)
        self._host.wait_ready(LONGEST_WAIT_S if limit_s is None else limit_s)

    def on_close(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` when the server is closed; at once if it is."""
        plain_function("on_close", callback)
        self._on_close.append(callback)
        if self._closed:
            _run_callbacks(self._on_close)

    def close(self) -> None:
        """End every stream and the engine. Idempotent."""
        self._end()
        self._host.close()

    async def aclose(self) -> None:
        """`close`, from a coroutine."""
        self._end()
        await self._host.aclose()

    @property
    def _over(self) -> bool:
        """Whether it can never serve again, since the event loop of its inline engine is closed."""
        return self._host.over

    def _is_for(
        self,
        options: EngineOptions,
        engine: EngineHome,
        authenticate: Authenticate | Authenticator | None,
    ) -> bool:
        """Whether a `serve` with these options, from here, may use this server."""
        return not self._differences(options, engine, authenticate) and self._host.usable_here

    def _differences(
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

    # For displays and `serve`

    def _release(self) -> None:
        """End the engine if `serve` started it and no stream is left."""
        if self._end_if_unused():
            self._host.close()

    async def _arelease(self) -> None:
        if self._end_if_unused():
            await self._host.aclose()

    def _replace(self, name: str, by: Publisher | None = None) -> bool:
        """End the stream of this name that is not ``by``; whether there was one."""
        old = [each for each in list(self._publishers.values()) if each.options.name == name and each is not by]
        for publisher in old:
            publisher.end(f"the display was replaced by a newer one named {name!r}: another name= keeps both")
        return bool(old)

    def _end(self, why: str = "") -> None:
        """End every stream and take no more. Never waits; a signal handler may call it at any point of anything."""
        if not self._closed:
            self._why = f"the engine failed: {self.failure}" if self.failure else why or self._why
        self._closed = True
        for publisher in list(self._publishers.values()):
            publisher.end(self._why)
        _run_callbacks(self._on_close)
        with contextlib.suppress(ValueError):  # it is not
            registry.shared.remove(self)

    def _end_if_unused(self) -> bool:
        # In the section of `serve`, so that it never takes a server that is about to close.
        with registry.serving.lock:
            if self._shared and not self._publishers and not self._opening:
                self._end()
            return self._closed

    def _display(self, publisher: Publisher) -> Display:
        id_ = publisher.options.id
        display = self._displays.get(id_)
        if display is None:
            display = self._displays[id_] = Display(self, publisher)
        return display

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError(self._why)
        if self.failure:
            raise EngineError(self.failure)

    def _after_fork_in_child(self) -> None:
        """Everything belongs to the parent. Threads that do not exist here may hold the lock."""
        self._section = Section()
        self._closed = True
        for publisher in list(self._publishers.values()):
            publisher.after_fork_in_child()

    def __repr__(self) -> str:
        if self._closed:
            return "<framewire.Server closed>"
        return f"<framewire.Server of {', '.join(map(repr, self.streams)) or 'no stream'} at {self.scheme}://{self.address}/>"

    def __reduce__(self) -> NoReturn:
        """It cannot be pickled or copied."""
        raise TypeError(
            "a Server belongs to its process and cannot be pickled or copied: call framewire.serve_server in the other "
            "one, on a port of its own"
        )

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Names of pdum.rfb, where there is no other."""
            from framewire.ancestor import found

            error = AttributeError(f"'Server' object has no attribute {name!r}", name=name, obj=self)
            return found("Server", name, error)


class _ServerListener:
    """Passes reports on to the streams. Holds the server weakly, so that an unused one can be collected."""

    def __init__(self, server: Server) -> None:
        self._server = weakref.ref(server)

    @property
    def _publishers(self) -> dict[int, Publisher]:
        server = self._server()
        return server._publishers if server else {}

    def on_input(self, stream: int, client_id: str, principal: str | None, event: dict[str, Any]) -> None:
        if publisher := self._publishers.get(stream):
            publisher.feedback.take_event(
                InputEvent(client_id, principal, cast(RenderviewInput, event), time.time_ns() // 1000)
            )

    def on_viewers(self, stream: int, viewers: tuple[WatchingViewer, ...]) -> None:
        if publisher := self._publishers.get(stream):
            publisher.feedback.take_viewers(viewers)

    def on_stats(self, stream: int, stats: dict[str, Any]) -> None:
        if publisher := self._publishers.get(stream):
            publisher.feedback.take_stats(stats)

    def on_ready(self) -> None:
        for publisher in list(self._publishers.values()):
            publisher.feedback.take_viewers(())

    def on_failed(self, text: str) -> None:
        if server := self._server():
            server.failure = text
        for publisher in list(self._publishers.values()):
            publisher.fail(text)


def _drop(server: weakref.ref[Server], publisher: Publisher) -> None:
    if found := server():
        found._publishers.pop(publisher.options.id, None)


def _abandon(host: EngineHost, publishers: Mapping[int, Publisher], on_close: list[Callable[[], None]]) -> None:
    """End what a server had that nothing holds any more. The garbage collector calls it, in the middle of anything."""
    host.stop()
    for publisher in list(publishers.values()):
        publisher.end("the server of this display was let go: keep the server, or any display of it")
    if on_close:
        # Apart: this thread may be the one that watches another engine. Not `threading`, in which it may be right now.
        try:
            _thread.start_new_thread(_run_callbacks, (on_close,))
        except RuntimeError:  # there is none to be had, or the program ends
            when_outside(partial(_run_callbacks, on_close))


def _run_callbacks(callbacks: list[Callable[[], None]]) -> None:
    with contextlib.suppress(IndexError):  # none is left; another thread might take the last one after a look
        while True:
            run_callback(callbacks.pop(0))


def _start_host(
    options: EngineOptions, engine: EngineHome, listener: Listener, authenticate: Authenticate | None
) -> EngineHost:
    """Raises ``ValueError`` for an unknown engine, `EngineError` where it cannot be started."""
    check_home(engine)
    match engine:
        case "process":
            try:
                return ProcessHost(options, listener, authenticate)
            except NoProcessError as error:
                advise(f'the picture stalls while Python code computes, as with engine="thread": {error}')
                return ThreadHost(options, listener, authenticate)
        case "thread":
            return ThreadHost(options, listener, authenticate)
        case "inline":
            return InlineHost(options, listener, authenticate)
