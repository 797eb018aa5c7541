"""Starts the engine process, reads its messages, starts it again when it dies, and stops it. The parent's side.

Must not know what the engine does, nor what is in a frame.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import signal
import socket
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final

from msgspec.structs import replace

from framewire.errors import ClosedError, EngineError, LocalProtocolError
from framewire.link.control import (
    Alive,
    Configure,
    Failed,
    FromEngine,
    Log,
    Ready,
    Ring,
    RingLost,
    Shutdown,
    ToEngine,
    encode,
)
from framewire.link.process import EXIT_GRACE_S, KILL, EngineProcess
from framewire.link.restart import Replay, RestartPolicy
from framewire.link.ring import RingWriter
from framewire.link.silence import LOOK_INTERVAL_S, Silence
from framewire.link.spawn import cannot_start
from framewire.reentrancy import Combiner, Notice, Section, leave, when_outside
from framewire.shortages import cure
from framewire.shortages import reason as why

logger: Final = logging.getLogger("framewire")

SHORTAGE_RETRY_S: Final = 1.0
"""Time between two attempts to start an engine again, where the system has too little of something.

Source: chosen by hand; pinned by
`tests/link/test_supervisor_in_need.py::test_an_engine_is_started_again_as_soon_as_the_system_has_what_it_needs`."""


class EngineSupervisor:
    """Keeps an engine process running. Any thread may call; ``close`` it in the end.

    It owns ``listeners`` (closes them in the end) and keeps them open over restarts. The engine's messages go to
    ``on_message``, on a thread of the supervisor's; after ``Failed`` none comes any more. Log lines and whatever the
    engine prints go to the ``framewire`` logger instead. ``on_exit`` is called on that thread when an engine
    has exited, before the next one is started.

    A forked child of this process has nothing to do with the engine: its copy is closed at once.
    """

    def __init__(
        self,
        listeners: Sequence[socket.socket],
        configure: Configure,
        *,
        on_message: Callable[[FromEngine], None],
        on_exit: Callable[[], None] = lambda: None,
        command: Sequence[str] | None = None,
        policy: RestartPolicy | None = None,
    ) -> None:
        """Starts the engine (``command``: another one). Raises EngineError where that cannot be done."""
        self._listeners = tuple(listeners)
        self._command = command
        self._on_message, self._on_exit = on_message, on_exit
        self._policy = policy or RestartPolicy()
        self._silence = Silence()
        self._replay: Replay[RingWriter] = Replay(configure)
        self._outbox: Combiner[Callable[[], None]] = Combiner(lambda work: work())
        """What is done with the messages so far and with the process that gets them, in order."""
        self._changed = Notice()
        self._stopping = Section()
        self._closing = self._started = self._over = False
        self._ready: Ready | None = None
        self._process: EngineProcess | None = None
        self._linked: EngineProcess | None = None
        self._start_error: BaseException | None = None
        self._refusal: str | None = None
        """Why an engine that runs cannot do its work, nor can another one."""
        self.failure: str | None = None
        """Why the engine is not started again any more, for people; None while all is well. Final: the port is free."""
        self._thread = threading.Thread(target=self._supervise, name="framewire-engine", daemon=True)
        _supervisors.add(self)
        self._start_thread()

    @property
    def pid(self) -> int | None:
        """Process id of the engine; None while none runs."""
        process = self._process
        return process.pid if process else None

    def send(self, message: ToEngine, ring: RingWriter | None = None) -> None:
        """Send to the engine, and to every engine that follows it. ``ring`` is the memory that goes with a Ring; it
        stays the caller's, who may close it once another Ring or RemoveStream has taken its place.

        Raises ClosedError.
        """
        if isinstance(message, Ring) and ring and ring.name:
            message = replace(message, memory=ring.name, size=len(ring.memory))
        self._put(partial(self._send, message, ring))

    def send_once(self, message: ToEngine) -> bool:
        """Send to the engine that runs, and to none that follows it; False where none runs. Raises ClosedError."""
        process = self._process
        self._put(partial(self._send_once, encode(message)))  # here: what cannot be encoded is its sender's error
        return process is not None

    def _put(self, work: Callable[[], None]) -> None:
        if self._closing:
            raise ClosedError("the engine is closed (or belongs to the parent of this forked process)")
        self._outbox.put(work)

    def _send(self, message: ToEngine, ring: RingWriter | None) -> None:
        self._replay.record(message, ring)
        if self._linked:
            self._linked.send(encode(message), ring)

    def _send_again(self, lost: RingLost) -> None:
        message, ring = self._replay.ring(lost.stream)
        if self._linked and message and message.number == lost.number:
            self._linked.send(encode(message), ring)

    def _send_once(self, message: bytes) -> None:
        if self._linked:
            self._linked.send(message)

    def _link(self, process: EngineProcess | None) -> None:
        """From now on messages go to this process, which first gets all that holds."""
        self._linked = process
        if process:
            for message, ring in self._replay.messages():
                process.send(encode(message), ring)

    def ring_bell(self, stream: int) -> None:
        """Notify the engine that the stream's ring has a newer frame. Never waits; nothing happens where none runs."""
        process = self._process
        if process:
            process.bell.ring(stream)

    def wait_ready(self, timeout: float = 30.0) -> Ready:
        """Wait until the port is served. Raises EngineError, with the engine's last output, if that does not happen
        in time; ClosedError if closed meanwhile."""
        self._changed.wait_for(lambda: self._ready or self.failure or self._closing, timeout)
        ready, failure = self._ready, self.failure
        if ready:
            return ready
        if failure:
            raise EngineError(failure)
        if self._closing:
            raise ClosedError("the engine is closed")
        process = self._process
        said = process.last_output() if process else ""
        raise EngineError(f"the engine is not up after {timeout:g} s{said}; wait_ready(timeout=…) waits longer")

    def close(self) -> None:
        """Stop the engine (Shutdown, then SIGTERM, then SIGKILL) and return when it has exited. Idempotent.

        One that does not serve its port yet has no viewers, and is killed at once. Called by a signal handler that
        interrupted a call of this package, it returns at once: the interrupted call then does it, when it ends.
        """
        self.stop()
        if threading.current_thread() is self._thread:  # closed from `on_message`: this thread waits for the process
            self._signal(KILL)
            self._close_listeners()
            return
        when_outside(self._close)

    def stop(self) -> None:
        """As `close`, but never waits: the supervisor's thread does the rest."""
        with self._stopping.lock:  # a handler that comes now does not wait for an exit that is not asked for yet
            self._closing = True
            self._changed.notify()
            process = self._process
            if process and not self._ready:
                process.signal(KILL)
            elif process:
                self._outbox.put(lambda: process.send(encode(Shutdown())))
        leave()

    def _close(self) -> None:
        self._wait_for_exit()
        self._close_listeners()

    def _wait_for_exit(self) -> None:
        for last_resort in (signal.SIGTERM, KILL):
            if self._changed.wait_for(lambda: self._over, EXIT_GRACE_S):
                break
            self._signal(last_resort)
        if self._changed.wait_for(lambda: self._over, EXIT_GRACE_S) and self._thread.ident:
            self._thread.join(EXIT_GRACE_S)

    def _signal(self, number: int) -> None:
        process = self._process
        if process:
            process.signal(number)

    def _close_listeners(self) -> None:
        for sock in self._listeners:
            sock.close()

    def _start_thread(self) -> None:
        """Start the thread and wait until it has started an engine. An interrupt ends only the waiting: what this
        thread does itself could be left half done."""
        try:
            self._thread.start()
            self._changed.wait_for(lambda: self._started or self._over)
        except RuntimeError as error:  # no more threads, or the interpreter is shutting down
            self._abandon()
            raise EngineError(cannot_start(error)) from error
        except BaseException:
            self.stop()
            raise
        if failed := self._start_error:
            self._start_error = None  # it holds this frame, which holds this object
            self._abandon()
            raise failed

    def _abandon(self) -> None:
        """Undo a start that failed: nothing is left to close."""
        _supervisors.discard(self)
        self._closing = self._over = True
        self._close_listeners()

    def _start(self) -> bool:
        """Start an engine and send it all that holds; False if none is wanted any more."""
        if self._closing:
            return False
        with _starting():
            process = self._process = EngineProcess(self._command, self._listeners)
        self._outbox.put(partial(self._link, process))
        if self._closing:  # since the last look; whoever closed it may have missed this one
            process.signal(KILL)
        return True

    def _supervise(self) -> None:
        """The supervisor's thread, over all runs of the engine."""
        try:
            running = self._start_first()
            while running:
                reason = self._run()
                running = not self._closing and self._restart(reason)
        except Exception as error:
            self._signal(KILL)
            self._fail(f"the engine is not watched any more: {why(error)}; serve again")
        finally:
            if self._closing or self._start_error:
                self._close_listeners()
            self._over = True
            self._changed.notify()

    def _start_first(self) -> bool:
        try:
            return self._start()
        except BaseException as error:
            self._start_error = error  # raised by the thread that waits for this one
            return False
        finally:
            self._started = True
            self._changed.notify()

    def _restart(self, reason: str) -> bool:
        if self._refusal:
            self._fail(self._refusal)
        while self.failure is None:
            delay = self._policy.exited(time.monotonic(), was_ready=self._ready is not None)
            self._ready = None
            if delay is None:
                self._fail(
                    f"the engine exited again and again, and is not started any more: {reason}; "
                    "find out why (the log has what it printed), then serve again"
                )
                break
            logger.warning("framewire: the engine exited (%s); starting it again", reason)
            if self._changed.wait_for(lambda: self._closing, delay):
                break
            try:
                return self._start_when_possible()
            except EngineError as error:
                reason = str(error)
        return False

    def _start_when_possible(self) -> bool:
        """As `_start`. Where the system has no more files, memory or processes, it is tried until it has."""
        is_said = False
        while True:
            try:
                return self._start()
            except EngineError as error:
                if error.__cause__ is None or cure(error.__cause__) is None:
                    raise
                if not is_said:
                    logger.warning("framewire: %s; it is tried again until then", error)
            is_said = True
            if self._changed.wait_for(lambda: self._closing, SHORTAGE_RETRY_S):
                return False

    def _run(self) -> str:
        """Take one engine's messages until it has exited; returns the reason."""
        process = self._process
        assert process, "this thread is started, and goes on, with an engine"
        self._silence.started()
        try:
            for message in process.messages(LOOK_INTERVAL_S):
                if message:
                    self._take(message)
                else:
                    self._look(process)
        except LocalProtocolError as error:
            logger.error("framewire: the engine sent what is no message: %s", error)
            process.signal(KILL)
        except Exception:  # memory has run out, for instance
            logger.exception("framewire: the engine is ended, as its messages cannot be read")
            process.signal(KILL)
        finally:
            cause = process.wait()
            self._process = None
            self._outbox.put(partial(self._link, None))
            self._on_exit()
        return f"{cause}{process.last_output()}"

    def _look(self, process: EngineProcess) -> None:
        """Nothing comes from the engine."""
        if process.debugged:  # it can say nothing, and is as well as it was before
            self._silence.heard(time.monotonic())
        stopped = process.stopped
        silence_s = self._silence.over(time.monotonic(), stopped=stopped)
        if silence_s is not None:
            why = "its process is stopped" if stopped else "it does not answer"
            logger.warning("framewire: nothing has come from the engine for %.1f s: %s; ending it", silence_s, why)
            process.signal(KILL)

    def _take(self, message: FromEngine) -> None:
        match message:
            case Alive():
                self._silence.heard(time.monotonic(), debugged=message.debugged)
                return
            case Log():
                logger.log(message.level, "framewire engine: %s", message.text)
                return
            case Ready():
                self._ready = message
                self._changed.notify()
            case RingLost():
                self._outbox.put(partial(self._send_again, message))
                return
            case Failed():
                self._refusal = message.text
                self._signal(KILL)
                return
        self._hand_on(message)

    def _fail(self, text: str) -> None:
        self._close_listeners()  # first: whoever sees the failure may serve the port again
        self.failure = text
        self._changed.notify()
        logger.error("framewire: %s", text)
        self._hand_on(Failed(text=text))

    def _hand_on(self, message: FromEngine) -> None:
        try:
            self._on_message(message)
        except Exception:
            logger.exception("framewire: the callback for engine messages failed for %s", type(message).__name__)

    def after_fork_in_child(self) -> None:
        """Close this copy. Its locks may be held by threads that do not exist here."""
        self._outbox, self._changed, self._stopping = Combiner(lambda work: work()), Notice(), Section()
        self._closing, self._over, self._ready = True, True, None
        process, self._process, self._linked = self._process, None, None
        self._close_listeners()
        if process:
            process.after_fork_in_child()


# A fork between the making of a socket pair and the closing of the engine's end of it would keep that end open in the
# child, and the engine's exit would never be noticed. So forks wait for the few milliseconds of a start.
_fork_lock: Final = threading.RLock()
_supervisors: Final[weakref.WeakSet[EngineSupervisor]] = weakref.WeakSet()
_is_starting = False


@contextlib.contextmanager
def _starting() -> Iterator[None]:
    """While an engine is started. A fork meanwhile is the engine's own: of a `subprocess` that forks in Python, as
    gevent's does. It is to keep the sockets that it was handed."""
    global _is_starting  # noqa: PLW0603  # of the process, as forks are
    with _fork_lock:
        _is_starting = True
        try:
            yield
        finally:
            _is_starting = False


def _after_fork_in_child() -> None:
    _fork_lock.release()
    if _is_starting:
        return
    for supervisor in list(_supervisors):
        supervisor.after_fork_in_child()


def _close_all() -> None:
    for supervisor in list(_supervisors):
        supervisor.stop()  # all at once
    for supervisor in list(_supervisors):
        supervisor.close()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_fork_lock.acquire, after_in_parent=_fork_lock.release, after_in_child=_after_fork_in_child
    )
