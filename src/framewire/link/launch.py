"""Starts the engine process, listens to it, starts it again when it dies, and ends it. The parent's side.

Must not know what the engine does, nor what is in a frame.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import selectors
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import framewire
from framewire.errors import ClosedError, EngineError, LocalProtocolError
from framewire.link.bell import Doorbell
from framewire.link.control import (
    Configure,
    Failed,
    FromEngine,
    Handles,
    Log,
    Ready,
    Replay,
    RestartPolicy,
    Shutdown,
    ToEngine,
    encode,
    parent_decoder,
)
from framewire.link.ring import RingWriter

logger: Final = logging.getLogger("framewire")

GRACE: Final = 3.0
"""Seconds an engine has to end after Shutdown, and again after each of the signals."""
_SAY_WITHIN: Final = 10
"""Seconds after which an engine that does not read is taken for dead."""
_LINES: Final = 30
_NO_SIGNAL: Final = getattr(socket, "MSG_NOSIGNAL", 0)


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
        """Starts the engine; raises EngineError where that cannot be done. The listeners are ours then too."""
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
        self._life: _Life | None = None
        self.failure: str | None = None
        """Why the engine is not started again any more, for people; None while all is well."""
        try:
            self._be_born()
        except BaseException:
            self._close_listeners()
            raise
        self._keeper = threading.Thread(target=self._keep, name="framewire-engine", daemon=True)
        self._keeper.start()
        _processes.add(self)

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
        """Ends the engine: asks it, then terminates it, then kills it. Closes the listening sockets. Idempotent;
        returns when the process is gone."""
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
            life = self._life = _Life(self._command, self._listeners)
            for message, ring in self._replay.messages():
                life.say(message, ring)
            for stream in self._replay.streams:
                life.bell.ring(stream)
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
        finally:
            code = life.end()
            with self._lock:
                self._life = None
        words = "" if self._closing else life.last_words()
        return f"{_cause(code)}{words}"

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
        self._lock, self._changed, self._closing = threading.Lock(), threading.Condition(), True
        life, self._life = self._life, None
        self._close_listeners()
        if life:
            life.forget()


class _Life:
    """One engine process, from start to end, with this side's ends of what connects to it."""

    def __init__(self, command: Sequence[str] | None, listeners: Sequence[socket.socket]) -> None:
        if os.name != "posix":
            raise EngineError('no engine process on this system yet; engine="inline" works')
        command = command or default_command()
        with _no_fork, contextlib.ExitStack() as theirs:
            self._control, control = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
            theirs.enter_context(control)
            bell, rung = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
            theirs.enter_context(rung)
            self.bell = Doorbell(bell)
            self._control.setsockopt(
                socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@ll", _SAY_WITHIN, 0)
            )
            handles = Handles(
                control=control.fileno(),
                bell=rung.fileno(),
                listeners=tuple(sock.fileno() for sock in listeners),
                parent=os.getpid(),
            )
            try:
                self.process = subprocess.Popen(
                    [*command, *handles.arguments()],
                    pass_fds=(handles.control, handles.bell, *handles.listeners),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # the kernel's interrupt key is meant for the cell
                    env=environment(),
                )
            except OSError as error:
                self._close_sockets()
                raise EngineError(f"the engine cannot be started: {command[0]}: {error}") from error
        assert self.process.stdout, "asked for above"
        self._output = self.process.stdout
        self._lines: deque[str] = deque(maxlen=_LINES)

    def say(self, message: ToEngine, ring: RingWriter | None) -> None:
        """Sends; whatever goes wrong, goes wrong for this life only, and its keeper finds out."""
        data = encode(message)
        try:
            if ring:
                data = data[socket.send_fds(self._control, [data], [ring.fileno()], _NO_SIGNAL) :]
            self._control.sendall(data, _NO_SIGNAL)
        except BlockingIOError:
            self.process.kill()
        except (OSError, ClosedError):
            pass

    def hear(self) -> Iterator[FromEngine]:
        """What the engine says, until it has no more to say; its prints are logged on the way."""
        decoder = parent_decoder()
        with selectors.PollSelector() as selector:  # has no descriptor that a fork could inherit
            selector.register(self._control, selectors.EVENT_READ)
            selector.register(self._output, selectors.EVENT_READ)
            while True:
                ready = [key.fileobj for key, _ in selector.select()]
                if self._output in ready and not self._listen():
                    selector.unregister(self._output)
                if self._control in ready:
                    data = self._read()
                    if not data:
                        return
                    yield from decoder.feed(data)

    def end(self) -> int:
        """Sees to it that the process is gone, closes everything, and returns its exit code."""
        deadline = time.monotonic() + GRACE
        with selectors.PollSelector() as selector:
            selector.register(self._output, selectors.EVENT_READ)
            while (left := deadline - time.monotonic()) > 0 and selector.select(left):
                if not self._listen():
                    break
        try:
            self.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._close_sockets()
        self._output.close()
        return self.process.returncode

    def last_words(self) -> str:
        """What the engine printed last, as the end of an error message."""
        return "".join(f"\n  {line}" for line in self._lines)

    def forget(self) -> None:
        """In a forked child."""
        self._control.close()
        self.bell.forget()
        os.close(self._output.fileno())
        self.process.returncode = 0  # not this process' child: there is nothing to wait for

    def _read(self) -> bytes:
        try:
            return self._control.recv(65_536)
        except OSError:
            return b""

    def _listen(self) -> bool:
        data = os.read(self._output.fileno(), 65_536)
        for line in data.decode(errors="replace").splitlines():
            self._lines.append(line)
            logger.warning("framewire engine: %s", line)
        return bool(data)

    def _close_sockets(self) -> None:
        self._control.close()
        self.bell.close()


def default_command() -> list[str]:
    """The engine that comes with this package, run by this Python."""
    if not sys.executable:
        raise EngineError('this Python does not know its own executable; engine="inline" works')
    return [sys.executable, "-m", "framewire.engine"]


def environment() -> dict[str, str]:
    """The parent's, with a PYTHONPATH by which the engine imports the very modules that the parent would.

    Except for the working directory, which comes last: a user's ``queue.py`` beside a notebook must not
    become the engine's. Python would put it first for ``-m``; PYTHONSAFEPATH keeps it from doing so.
    """
    root = str(Path(framewire.__file__).resolve().parents[1])
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    here = {"", os.getcwd(), os.path.dirname(os.path.abspath(main)) if main else ""}
    path = [root, *(p for p in sys.path if p not in here), *(p or os.getcwd() for p in sys.path if p in here)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(dict.fromkeys(path)), "PYTHONSAFEPATH": "1"}


def _cause(code: int) -> str:
    if code >= 0:
        return f"exit status {code}"
    with contextlib.suppress(ValueError):
        return f"signal {-code}, {signal.Signals(-code).name}"
    return f"signal {-code}"


# A fork between the making of a socket pair and the closing of the engine's end of it would keep that end open
# in the child for ever, and the engine's death would go unheard; so forks wait for the few milliseconds.
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
    os.register_at_fork(
        before=_no_fork.acquire, after_in_parent=_no_fork.release, after_in_child=_after_fork_in_child
    )
