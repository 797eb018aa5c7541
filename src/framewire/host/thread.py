"""An engine on a thread of this process, with an event loop of its own: for where no other process can be had.

Must not know displays, nor what an engine does.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import os
import selectors
import signal
import socket
import sys
import threading
import weakref
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from framewire.authentication import Authenticate, ConnectionRequest
from framewire.errors import ClosedError, EngineError
from framewire.host.authenticator import on_threads
from framewire.host.inline import InlineHost
from framewire.host.protocols import Listener, Outlet, ViewerChannel
from framewire.host.waiting import off_loop
from framewire.options import EngineOptions, StreamOptions
from framewire.reentrancy import when_outside
from framewire.shortages import reason, start_thread

CLOSE_TIMEOUT_S: Final = 5.0
"""Time for viewers and connections to close. Then the thread is left behind: it ends with the program.

Source: chosen by hand, twice what an engine takes to close its viewers' sockets; pinned by
`tests/host/test_thread.py::test_an_engine_that_does_not_close_is_left_behind`."""

T = TypeVar("T")
log: Final = logging.getLogger("framewire")


class ThreadHost:
    """`EngineHost` on a daemon thread of its own.

    It needs neither a process nor shared memory nor the caller's event loop. But the thread shares Python's
    interpreter lock with the program: streams stall while Python code computes.
    """

    pid = None
    over = False
    usable_here = True

    def __init__(self, options: EngineOptions, listener: Listener, authenticate: Authenticate | None = None) -> None:
        """Returns when the port is bound. Raises EngineError."""
        self._listener = listener
        self._ended = asyncio.Event()
        self._closing: asyncio.Task[None] | None = None
        self._started: InlineHost | None = None
        self._start()
        try:
            host = self._started = self._call(_inline(options, listener, authenticate)).result()
        except BaseException:
            self.close()
            raise
        self._inline: InlineHost = host
        self.port: int = host.port
        _hosts.add(self)

    def open(self, options: StreamOptions) -> Outlet:
        return self._inline.open(options)

    def open_viewer(
        self,
        on_text: Callable[[str], None],
        on_binary: Callable[[bytes], None],
        on_close: Callable[[int, str], None],
        request: ConnectionRequest,
    ) -> ViewerChannel:
        return self._inline.open_viewer(on_text, on_binary, on_close, request)

    def wait_ready(self, timeout: float) -> None:
        try:
            self._call(self._inline.ready()).result(timeout)
        except TimeoutError:
            raise EngineError(f"the engine is not up after {timeout:g} s; wait_ready(timeout=…) waits longer") from None

    async def ready(self) -> None:
        await off_loop(self._call(self._inline.ready()).result)

    def close(self) -> None:
        self.stop()
        if threading.current_thread() is not self._thread:  # a viewer's channel may call it there
            when_outside(lambda: self._thread.join(CLOSE_TIMEOUT_S))

    def stop(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._start_closing)

    async def aclose(self) -> None:
        await off_loop(self.close)

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="framewire-engine", daemon=True)
        self._selector, self._loop = _event_loop()
        try:
            start_thread(self._thread, "the engine")
        except EngineError:
            self._loop.close()
            raise

    def _run(self) -> None:
        if sys.platform != "win32":
            # Where the program has SIGPIPE at its default, a viewer that leaves would end it. A write fails instead.
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGPIPE})
        try:
            with asyncio.Runner(debug=False, loop_factory=lambda: self._loop) as runner:
                runner.run(self._ended.wait())
        except BaseException as error:
            self._fail(f"the engine's thread has ended: {type(error).__name__}: {error}; serve again for another one")

    def _fail(self, text: str) -> None:
        """A callback has raised what ends a loop, ``SystemExit`` for instance."""
        log.error("framewire: %s", text)
        self._listener.on_failed(text)
        if self._started:
            self._started.close()

    def _start_closing(self) -> None:
        if self._closing is None:
            self._closing = self._loop.create_task(self._close())

    async def _close(self) -> None:
        try:
            if self._started:
                await self._started.aclose()
        finally:
            self._ended.set()

    def _call(self, work: Coroutine[Any, Any, T]) -> Any:
        try:
            return asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError:
            work.close()
            raise ClosedError("the engine is closed") from None

    def after_fork_in_child(self) -> None:
        """Let go of the sockets: the parent's engine has them. Nothing closes or uses their numbers any more."""
        watched = self._selector.get_map()
        if watched is None:  # it was closed before the fork
            return
        nothing = os.open(os.devnull, os.O_RDWR)
        registered = [key.fd for key in watched.values()]
        for fd in (*registered, *_own_descriptor(self._selector)):
            os.dup2(nothing, fd, inheritable=False)
        os.close(nothing)


def _event_loop() -> tuple[selectors.BaseSelector, asyncio.AbstractEventLoop]:
    """By name: the program's policy may give other loops, and the default one of Windows has no `add_reader`."""
    try:
        for sock in socket.socketpair():  # a loop has one as well, and cannot be closed where it could not be made
            sock.close()
        selector = selectors.DefaultSelector()
        try:
            return selector, asyncio.SelectorEventLoop(selector)
        except BaseException:
            selector.close()
            raise
    except OSError as error:
        raise EngineError(f"the engine gets no event loop: {reason(error)}") from error


def _own_descriptor(selector: selectors.BaseSelector) -> list[int]:
    fileno = getattr(selector, "fileno", None)
    return [fileno()] if fileno else []


async def _inline(options: EngineOptions, listener: Listener, authenticate: Authenticate | None) -> InlineHost:
    return InlineHost(options, listener, on_threads(authenticate) if authenticate else None)


_hosts: Final[weakref.WeakSet[ThreadHost]] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for host in list(_hosts):
        host.after_fork_in_child()


def _close_all() -> None:
    for host in list(_hosts):
        host.close()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
