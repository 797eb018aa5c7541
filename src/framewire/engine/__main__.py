"""The engine as a process: what `framewire.link` starts. It turns the parent's messages into calls of the engine.

It is the only place where link and engine meet. Must not decide anything.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import secrets
import signal
import sys
import time
import traceback
from typing import Any, Final

from framewire.authentication import ConnectionRequest
from framewire.engine.engine import Engine
from framewire.engine.http.server import WebServer
from framewire.engine.relay import ViewerRelay
from framewire.engine.viewer.admission import Admission, admission
from framewire.errors import EngineError
from framewire.link.attach import EngineLink, RingMemory
from framewire.link.control import (
    AddStream,
    AdmissionAnswered,
    AdmissionAsked,
    Alive,
    Configure,
    EngineStats,
    Failed,
    InputArrived,
    Log,
    Ready,
    RemoveStream,
    Ring,
    Shutdown,
    ViewerBinary,
    ViewerClosed,
    ViewerOpened,
    ViewerRead,
    Viewers,
    ViewerText,
)
from framewire.link.guard import refuse_other_versions
from framewire.link.handles import Handles
from framewire.link.ring import RingReader
from framewire.log_limit import LogLimit
from framewire.options import StreamOptions
from framewire.viewers import WatchingViewer

SHUTDOWN_TIMEOUT_S: Final = 2.5
"""Time for viewers and connections to close when the parent shuts the engine down. Then the process exits without them.

Source: chosen by hand, below the time that the parent waits; pinned by
`tests/engine/test_main.py::test_an_engine_that_does_not_close_is_left_behind`"""

ALIVE_INTERVAL_S: Final = 0.5
"""Between two messages that say that this engine's loop runs.

Source: chosen by hand, a fifth of the silence after which the parent replaces a stopped engine; pinned by
`tests/engine/test_main.py::test_an_engine_says_that_it_is_alive`"""

MAX_OPEN_FILES: Final = 8192
"""Files and sockets of an engine, where the system allows so many.

Source: chosen by hand: 256 viewers with a socket and some UDP ports each; pinned by
`tests/engine/test_main.py::test_an_engine_opens_as_many_files_as_the_system_allows`."""

MAX_LOG_CHARACTERS: Final = 4000
"""Length of a log record that is sent to the parent; the rest is cut off.

Source: chosen by hand; pinned by `tests/engine/test_main.py::test_a_long_log_record_is_cut`"""

MAX_LOG_RECORDS_PER_MINUTE: Final = 5
"""Log records of one line of code that are sent to the parent in a minute.

Source: chosen by hand, more than `LimitedLog` writes; pinned by
`tests/engine/test_main.py::test_a_line_of_code_that_logs_again_and_again_is_sent_a_few_times`"""


class _LinkListener:
    """`EngineListener` that sends to the parent."""

    def __init__(self, link: EngineLink) -> None:
        self._link = link

    def on_input(self, stream: int, client_id: str, principal: str | None, event: dict[str, Any]) -> None:
        self._link.send_input(InputArrived(stream=stream, client_id=client_id, principal=principal, event=event))

    def on_viewers(self, stream: int, viewers: tuple[WatchingViewer, ...]) -> None:
        self._link.send(Viewers(stream=stream, viewers=viewers))

    def on_stats(self, stream: int, stats: dict[str, Any]) -> None:
        self._link.send(EngineStats(stream=stream, stats=stats))


class _LinkOutlet:
    """`relay.RelayOutlet` that sends to the parent."""

    def __init__(self, link: EngineLink) -> None:
        self._link = link

    def on_viewer_text(self, viewer: int, text: str) -> None:
        self._link.send_to_viewer(ViewerText(id=viewer, text=text))

    def on_viewer_binary(self, viewer: int, data: bytes) -> None:
        self._link.send_to_viewer(ViewerBinary(id=viewer, data=data))

    def on_viewer_closed(self, viewer: int, code: int, reason: str) -> None:
        self._link.send_to_viewer(ViewerClosed(id=viewer, code=code, reason=reason))


class _ParentAuthorizer:
    """Asks the parent which viewers are admitted. The engine bounds the questions: so many viewers are not admitted
    yet. A viewer whose deadline has passed is closed, which cancels its question."""

    def __init__(self, link: EngineLink) -> None:
        self._link = link
        self._questions: dict[int, asyncio.Future[AdmissionAnswered]] = {}

    async def authorize(self, token: str, request: ConnectionRequest) -> Admission:
        question = secrets.randbits(63)
        future = self._questions[question] = asyncio.get_running_loop().create_future()
        try:
            self._link.send(AdmissionAsked(id=question, token=token, request=request))
            answer = await future
        finally:
            del self._questions[question]
        if answer.failed:
            raise EngineError("the program did not say whether a viewer is admitted")
        return admission(answer.principal)

    def answered(self, answer: AdmissionAnswered) -> None:
        future = self._questions.get(answer.id)
        if future and not future.done():
            future.set_result(answer)


class _ParentLogHandler(logging.Handler):
    """Sends log records to the parent, which writes them to its own log: a few a minute of each line of code, whichever
    library it is in."""

    def __init__(self, link: EngineLink, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(logging.WARNING)
        self._limit = LogLimit(MAX_LOG_RECORDS_PER_MINUTE)
        self._link, self._loop = link, loop

    def emit(self, record: logging.LogRecord) -> None:
        remark = self._limit.remark(f"{record.name} {record.lineno}", time.monotonic())
        if remark is None:
            return
        try:
            message = Log(level=record.levelno, text=self.format(record)[:MAX_LOG_CHARACTERS] + remark)
            self._loop.call_soon_threadsafe(self._link.send, message)
        except RuntimeError:
            pass  # The loop is closed, and the link with it.


class EngineProgram:
    """Receives the parent's messages until it shuts the engine down or is gone."""

    def __init__(self, handles: Handles) -> None:
        self._handles = handles
        self._engine: Engine | None = None
        self._server: WebServer | None = None
        self._relay: ViewerRelay | None = None
        self._authorizer: _ParentAuthorizer | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._streams: dict[int, StreamOptions] = {}
        """Streams that were added, by id. Each starts when its first ring comes."""
        self._readers: dict[int, RingReader] = {}

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        self._link = EngineLink(self._handles, on_bell=self._on_bell)
        handler = _ParentLogHandler(self._link, loop)
        logging.getLogger().addHandler(handler)
        try:
            while (item := await self._link.receive()) is not None:
                message, memory = item
                if isinstance(message, Shutdown):
                    break
                await self._handle(message, memory)
        finally:
            for task in self._tasks:
                task.cancel()
            await self._shut_down()
            logging.getLogger().removeHandler(handler)
            self._link.close()

    async def _handle(self, message: object, memory: RingMemory | None) -> None:
        match message:
            case Configure():
                await self._configure(message)
            case AddStream():
                self._add_stream(message.options)
            case Ring():
                assert memory is not None, "the link refuses a Ring without its memory"
                try:
                    self._use_ring(message.stream, RingReader(memory))
                except OSError:  # memory has run out
                    self._link.ring_lost(message)
            case RemoveStream():
                self._streams.pop(message.id, None)
                if self._engine:
                    self._engine.remove_stream(message.id)
                if reader := self._readers.pop(message.id, None):
                    reader.close()
            case AdmissionAnswered() if self._authorizer:
                self._authorizer.answered(message)
            case _ if self._relay:
                _relay_viewer(self._relay, message)

    def _add_stream(self, options: StreamOptions) -> None:
        self._streams[options.id] = options
        if self._engine:
            self._engine.describe_stream(options)

    async def _configure(self, message: Configure) -> None:
        if self._engine:
            return
        self._authorizer = _ParentAuthorizer(self._link) if message.asks_parent else None
        authorize = self._authorizer.authorize if self._authorizer else None
        self._engine = Engine(message.options, _LinkListener(self._link), authorize)
        self._relay = ViewerRelay(self._engine, _LinkOutlet(self._link))
        try:
            self._server = WebServer(self._engine, message.options)
        except ValueError as error:  # its certificate was fine when the parent looked
            self._link.send(Failed(text=str(error)))
            return
        await self._server.start(self._link.listeners)
        self._tasks = [asyncio.create_task(work) for work in (self._engine.report_stats(), self._report_alive())]
        self._link.send(Ready(pid=os.getpid(), epoch=self._engine.epoch))

    async def _report_alive(self) -> None:
        while True:
            self._link.send(Alive(debugged=sys.gettrace() is not None or "pydevd" in sys.modules))
            await asyncio.sleep(ALIVE_INTERVAL_S)

    def _use_ring(self, id_: int, reader: RingReader) -> None:
        old = self._readers.get(id_)
        self._readers[id_] = reader
        options = self._streams.get(id_)
        if self._engine and options:
            self._engine.add_stream(options, reader)
            self._engine.frame_published(id_)
        if old:
            old.close()

    def _on_bell(self, streams: set[int]) -> None:
        if self._engine:
            for id_ in streams:
                self._engine.frame_published(id_)

    async def _shut_down(self) -> None:
        if self._server:
            engine, server = self._engine, self._server
            assert engine, "the server was made for an engine"
            try:
                async with asyncio.timeout(SHUTDOWN_TIMEOUT_S):
                    await engine.close()
                    await server.close()
            except TimeoutError:
                pass


def _relay_viewer(relay: ViewerRelay, message: object) -> None:
    match message:
        case ViewerOpened():
            relay.open(message.id, message.request)
        case ViewerText():
            relay.receive(message.id, message.text)
        case ViewerRead():
            relay.read(message.id, message.size)
        case ViewerClosed():
            relay.close(message.id)


def raise_file_limit() -> None:
    """Let this process open as many files as the system allows: every viewer has some, and the usual limit is that of
    a program with few."""
    if sys.platform == "win32":
        return
    import resource  # POSIX alone has it

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(MAX_OPEN_FILES, hard)
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def wake_in_time() -> None:
    """Windows wakes a program that sleeps at every 16th millisecond alone, unless it asks for more."""
    if sys.platform == "win32":
        import ctypes

        ctypes.windll.winmm.timeBeginPeriod(1)


def main(arguments: list[str]) -> int:
    """Run the engine until its parent shuts it down or is gone; returns the exit code of a failure."""
    refuse_other_versions()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # A notebook kernel's interrupt is meant for the user's code.
    raise_file_limit()
    wake_in_time()
    logging.basicConfig(level=logging.WARNING, handlers=[logging.NullHandler()])
    # Imported modules are never freed. Without them, a garbage collection is too short to delay a frame.
    gc.collect()
    gc.freeze()
    program = EngineProgram(Handles.parse(arguments))
    try:
        # Neither the debug mode nor the loop policy of the user's program; and with `add_reader`, on Windows too.
        with asyncio.Runner(debug=False, loop_factory=asyncio.SelectorEventLoop) as runner:
            runner.run(program.run())
    except Exception:
        traceback.print_exc()  # The parent reports the end of stderr as the reason.
        return 1
    # Without waiting for encoder threads, which may be busy with a last frame.
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
