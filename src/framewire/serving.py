"""`serve` and `serve_server`: which engine displays share, and what a newer one replaces.

Must not know encoders, sockets, rings or hosts: it checks what is asked for, and finds or starts a server for it.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final, Unpack, cast

from msgspec.structs import replace

from framewire import registry
from framewire.advice import advise
from framewire.authentication import Authenticate, Authenticator, check_authenticate
from framewire.display import DEFAULT_STREAM, Display
from framewire.environment import in_notebook
from framewire.errors import ClosedError, EngineError
from framewire.keywords import divide, documented
from framewire.options import (
    EngineHome,
    EngineOptions,
    ServeKeywords,
    StreamKeywords,
    StreamOptions,
    check_home,
    checked_streams,
    size_usage,
)
from framewire.reentrancy import leave
from framewire.server import Server
from framewire.tls import checked_files

__all__ = ["Server", "serve", "serve_server"]

_SERVE_ARGUMENTS: Final = ("width", "height", "name", "engine", "authenticate")

MAX_NOTEBOOK_SERVERS: Final = 3
"""Servers of `serve_server` that a notebook has without a word.

Source: chosen by hand; pinned by `tests/test_serving.py::test_engines_that_pile_up_in_a_notebook_are_spoken_of`."""


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

    A ``name`` that is served with other options of the engine is replaced too: the old stream ends first, and its
    engine with its last one, so that a port that you name passes on to the new one.

    ``authenticate`` decides which viewers are admitted; without it, those that have the token are. It gets the token
    and the `ConnectionRequest`, or one `AuthContext` as pdum.rfb's. It returns the principal, or None to refuse.

    ``await serve(...)`` waits until the port is served. Raises `EngineError` naming what is in the way, a
    taken port for instance, and ``ValueError`` for arguments that cannot be used.
    """
    for_engine, for_stream = divide("serve", options, EngineOptions, StreamOptions, beside=_SERVE_ARGUMENTS)
    asked = _located(EngineOptions(**for_engine))
    StreamOptions(id=0, name=name, width=width, height=height, **for_stream)  # refused before an engine is started
    check_home(engine)  # and before another one is ended
    check_authenticate(authenticate)
    _make_room(asked, engine, authenticate, name)
    try:
        with registry.serving.lock:
            return _serve(asked, engine, authenticate, partial(_add, name, width, height, for_stream))
    finally:
        leave()


def _located(options: EngineOptions) -> EngineOptions:
    """The same, with the whole paths of its files: they may be given in another folder the next time."""
    return replace(options, tls=checked_files(options.tls)) if options.tls else options


def _server_usage(arguments: tuple[Any, ...]) -> str:
    """What to write, for a call with the arguments of `serve`."""
    return ": serve_server() has streams of any size, and server.add_stream(name, width, height) starts one"


def _add(name: str, width: int, height: int, options: Mapping[str, Any], server: Server) -> Display:
    return server.add_stream(name, width, height, **cast(StreamKeywords, options))


def _serve(
    options: EngineOptions,
    engine: EngineHome,
    authenticate: Authenticate | Authenticator | None,
    add: Callable[[Server], Display],
) -> Display:
    while True:
        server = _shared_server(options, engine, authenticate)
        try:
            return add(server)
        except ClosedError:
            if not server.closed:
                raise
            # By a signal handler since: then another one.
        except BaseException:
            server._release()
            raise


@documented(EngineOptions, StreamOptions, usage=_server_usage)
def serve_server(
    *,
    engine: EngineHome = "process",
    streams: Mapping[str, Any] | Iterable[Mapping[str, Any]] | None = (),
    authenticate: Authenticate | Authenticator | None = None,
    **options: Unpack[ServeKeywords],
) -> Server:
    """An engine of its own with any number of streams on one port; ``engine``, ``authenticate`` are as for `serve`.

    ``streams`` are started at once: dicts with ``name``, ``width``, ``height`` and what `Server.add_stream` takes.
    The options of a stream, ``fps`` for instance, hold for every stream that is not given another value.

    Asked for a port that an older server of this function holds, in this process, it takes that one's place: the old
    server is closed first. So running a cell again leaves one engine.
    """
    for_engine, for_streams = divide(
        "serve_server", options, EngineOptions, StreamOptions, beside=("engine", "streams", "authenticate")
    )
    asked = _located(EngineOptions(**for_engine))
    StreamOptions(id=0, name=DEFAULT_STREAM, width=1, height=1, **for_streams)  # refused before an engine is started
    wanted = checked_streams(streams)
    server = _started(
        asked,
        lambda: Server(asked, engine, authenticate=authenticate, stream_defaults=cast(StreamKeywords, for_streams)),
        may_replace=True,
    )
    try:
        for stream in wanted:
            server.add_stream(**stream)
        _advise_to_close()
    except BaseException:
        server.close()
        raise
    return server


def _advise_to_close() -> None:
    """In a notebook, a cell that is run again leaves its server where something holds it: a loop, or ``Out``."""
    count = sum(not (server.closed or server._shared) for server in list(registry.servers))
    if count > MAX_NOTEBOOK_SERVERS and in_notebook():
        advise(
            f"{count} engines of serve_server run in this notebook, about 100 MB each: close those of earlier runs "
            "with server.close(), or name a port=, so that the cell run again replaces its server"
        )


def _shared_server(
    options: EngineOptions, engine: EngineHome, authenticate: Authenticate | Authenticator | None
) -> Server:
    """The shared server that is what these options ask for, or a new one."""
    for server in list(registry.shared):
        if server._is_for(options, engine, authenticate) and not server.failure:
            return server
    _advise_to_share(options, engine, authenticate)
    server = _started(options, lambda: Server(options, engine, shared=True, authenticate=authenticate))
    registry.shared.append(server)
    return server


def _make_room(
    options: EngineOptions, engine: EngineHome, authenticate: Authenticate | Authenticator | None, name: str
) -> None:
    """End what is over or failed, and the stream of this name on servers that are not what is asked for.

    Before the section of `serve`: a thread that is in one waits for no engine, and a port is free once it has exited.
    """
    for server in list(registry.shared):
        is_other = not server._is_for(options, engine, authenticate)
        if server._over or (server.failure and not is_other):
            server.close()  # and leaves the port to its successor
        elif is_other and server._host.usable_here and server._replace(name):
            server._release()


def _started(options: EngineOptions, start: Callable[[], Server], *, may_replace: bool = False) -> Server:
    """A new server. Where another one of this process has its port, that one is named in an `EngineError`.

    With ``may_replace``, an older one of `serve_server` is closed instead. Never in the section of `serve`: there, no
    thread waits until an engine has exited and its port is free.
    """
    try:
        return start()
    except EngineError as error:
        holder = registry.on_port(options.port) if options.port and _is_taken(error) else None
        if holder is None:
            raise
        if holder._shared or not may_replace:
            streams = ", ".join(map(repr, holder.streams)) or "a server without streams"
            instead = "serve with the same options to share the port" if holder._shared else "use its add_stream"
            raise EngineError(
                f"port {options.port} is taken by this program itself, for {streams}: close that first, or {instead}"
            ) from None
    holder._end(f"the server was replaced by a newer one on its port, {options.port}")
    holder.close()
    return start()


def _is_taken(error: EngineError) -> bool:
    return isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.EADDRINUSE


def _advise_to_share(
    options: EngineOptions, engine: EngineHome, authenticate: Authenticate | Authenticator | None
) -> None:
    """Say which options keep a display from an engine that runs. For another port alone, another engine is expected."""
    all_differences = [
        (server._differences(options, engine, authenticate), server) for server in registry.shared if not server.failure
    ]
    differ, server = min(all_differences, key=lambda each: len(each[0]), default=([], None))
    if server and differ not in ([], ["port"]):
        advise(
            f"{', '.join(differ)} {'differs' if len(differ) == 1 else 'differ'} from what the engine on port "
            f"{server.port} was started with: a second engine is started, on a port of its own. "
            "Displays share an engine where these options are the same"
        )


def _after_fork_in_child() -> None:
    registry.after_fork_in_child()
    for server in list(registry.servers):
        server._after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
