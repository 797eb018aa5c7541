"""Starts the engine process, listens to it, starts it again when it dies, and ends it. The parent's side.

Must not know what the engine does, nor what is in a frame.
"""

from __future__ import annotations

import atexit
import logging
import os
import signal
import socket
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from typing import Final

from framewire.errors import ClosedError, EngineError, LocalProtocolError
from framewire.link.control import (
    Configure,
    Failed,
    FromEngine,
    Log,
    Ready,
    Replay,
    RestartPolicy,
    Shutdown,
    ToEngine,
)
from framewire.link.life import GRACE, Life
from framewire.link.ring import RingWriter

logger: Final = logging.getLogger("framewire")


class EngineProcess:
    """An engine process and all its reincarnations. Any thread may call; ``close`` it in the end.

    It takes ``listeners`` over (closes them in the end) and keeps them open over restarts. What the engine
    says goes to ``on_message``, on a thread of its own; after ``Failed`` nothing comes any more. Log lines
    and whatever the engine prints go to the ``framewire`` logger instead.

    A forked child of this process has nothing to do with the engine: its copy is closed at once.
    """

    def __init__(
        self,
        listeners: Sequence[socket.socket],
        configure: Configure,
        *,
        on_message: Callable[[FromEngine], None],
        command: Sequence[str] | None = None,
        policy: RestartPolicy | None = None,
    ) -> None:
        """Starts the engine (``command``: another one). Raises EngineError where that cannot be done."""
        self._listeners = tuple(listeners)
        self._command = command
        self._on_message = on_message
        self._policy = policy or RestartPolicy()
        self._replay: Replay[RingWriter] = Replay(configure)
        self._lock = threading.Lock()
        self._changed = threading.Condition()
        self._wake = threading.Event()
        self._closing = False
        self._ready: Ready | None = None
        self._life: Life | None = None
        self.failure: str | None = None
        """Why the engine is not started again any more, for people; None while all is well."""
        self._keeper = threading.Thread(target=self._keep, name="framewire-engine", daemon=True)
        _processes.add(self)
        try:
            self._be_born()
        except BaseException:
            self._close_listeners()
            raise
        self._keeper.start()

    @property
    def pid(self) -> int | None:
        """Process id of the engine; None while there is none."""
        life = self._life
        return life.process.pid if life else None

    def send(self, message: ToEngine, ring: RingWriter | None = None) -> None:
        """Tells the engine, and every engine after it. ``ring`` is the memory that goes with a Ring; it stays
        the caller's, who may close it once another Ring or RemoveStream has taken its place.

        Raises ClosedError.
        """
        with self._lock:
            if self._closing:
                raise ClosedError("the engine is closed (or belongs to the parent of this forked process)")
            self._replay.record(message, ring)
            if self._life:
                self._life.say(message, ring)

    def ring_bell(self, stream: int) -> None:
        """Says that the stream's ring has a newer frame. Never waits; nothing where no engine is up."""
        life = self._life
        if life:
            life.bell.ring(stream)

    def wait_ready(self, timeout: float = 30.0) -> Ready:
        """Waits until the port is served. Raises EngineError if that does not come about, with the engine's
        last words; ClosedError if closed meanwhile."""
        with self._changed:
            self._changed.wait_for(lambda: self._ready or self.failure or self._closing, timeout)
            ready, failure = self._ready, self.failure
        if ready:
            return ready
        if failure:
            raise EngineError(failure)
        if self._closing:
            raise ClosedError("the engine is closed")
        life = self._life
        raise EngineError(f"the engine is not up after {timeout:g} s{life.last_words() if life else ''}")

    def close(self) -> None:
        """Ends the engine (asks it, terminates it, kills it) and returns when it is gone. Idempotent."""
        with self._lock:
            life = None if self._closing else self._life
            self._closing = True
            if life:
                life.say(Shutdown(), None)
        self._wake.set()
        with self._changed:
            self._changed.notify_all()
        self._outlive()
        self._close_listeners()

    def _outlive(self) -> None:
        if threading.current_thread() is self._keeper:  # closed from `on_message`: nobody else buries it
            self._signal(signal.SIGKILL)
            return
        for last_resort in (signal.SIGTERM, signal.SIGKILL):
            self._keeper.join(GRACE)
            if not self._keeper.is_alive():
                return
            self._signal(last_resort)
        self._keeper.join(GRACE)

    def _signal(self, number: int) -> None:
        life = self._life
        if life:
            life.process.send_signal(number)

    def _close_listeners(self) -> None:
        for sock in self._listeners:
            sock.close()

    def _be_born(self) -> bool:
        """Starts an engine and tells it everything; False if that is not wanted any more."""
        with self._lock:
            if self._closing:
                return False
            with _no_fork:
                life = self._life = Life(self._command, self._listeners)
            for message, ring in self._replay.messages():
                life.say(message, ring)
        return True

    def _keep(self) -> None:
        """The keeper's thread, over all lives of the engine."""
        while True:
            reason = self._attend()
            if self._closing or not self._live_again(reason):
                break

    def _live_again(self, reason: str) -> bool:
        while self.failure is None:
            delay = self._policy.died(time.monotonic(), was_ready=self._ready is not None)
            self._ready = None
            if delay is None:
                self._fail(f"the engine ended again and again, and is not started any more: {reason}")
                break
            logger.warning("framewire: the engine ended (%s); starting it again", reason)
            if self._wake.wait(delay):
                break
            try:
                return self._be_born()
            except EngineError as error:
                reason = str(error)
        return False

    def _attend(self) -> str:
        """Listens to one engine until it is gone; says why it is."""
        life = self._life
        assert life, "the keeper is started, and goes on, with an engine"
        try:
            for message in life.hear():
                self._take(message)
        except LocalProtocolError as error:
            logger.error("framewire: the engine talks rubbish: %s", error)
            life.process.kill()
        finally:
            cause = life.end()
            with self._lock:
                self._life = None
        return f"{cause}{life.last_words()}"

    def _take(self, message: FromEngine) -> None:
        match message:
            case Log():
                logger.log(message.level, "framewire engine: %s", message.text)
                return
            case Ready():
                with self._changed:
                    self._ready = message
                    self._changed.notify_all()
            case Failed():
                self._fail(message.text)
                return
        self._tell(message)

    def _fail(self, text: str) -> None:
        with self._changed:
            self.failure = text
            self._changed.notify_all()
        logger.error("framewire: %s", text)
        self._tell(Failed(text=text))

    def _tell(self, message: FromEngine) -> None:
        try:
            self._on_message(message)
        except Exception:
            logger.exception("framewire: what listens to the engine raised for %s", type(message).__name__)

    def _forget(self) -> None:
        """In a forked child: closes this side's copies. Locks may be held by threads that are not here."""
        self._lock, self._changed, self._wake = threading.Lock(), threading.Condition(), threading.Event()
        self._closing, self._ready = True, None
        life, self._life = self._life, None
        self._close_listeners()
        if life:
            life.forget()


# A fork between the making of a socket pair and the closing of the engine's end of it would keep that end
# open in the child for ever, and the engine's death would go unheard; so forks wait for the few milliseconds
# that a birth takes.
_no_fork: Final = threading.RLock()
_processes: Final[weakref.WeakSet[EngineProcess]] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    _no_fork.release()
    for process in list(_processes):
        process._forget()


def _close_all() -> None:
    for process in list(_processes):
        process.close()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_no_fork.acquire, after_in_parent=_no_fork.release, after_in_child=_after_fork_in_child)
