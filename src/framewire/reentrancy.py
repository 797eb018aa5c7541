"""Locks and waits for code that a signal handler, or a finalizer, may enter again on the very thread that is inside.

A handler runs between two lines of whatever its thread is doing. If that line holds a lock, the handler must not wait
for the lock, nor for a thread that needs it: the lock is released only once the handler has returned. Therefore

- a lock that a program's thread may be interrupted with is a `Section`, and a thread that is inside of one waits for
  no other thread: it puts that off until it has left (`when_outside`);
- threads that have something to hand over do not wait for each other: one of them does it for all (`Combiner`);
- threads wait for a `Notice`, which has no lock that anyone could hold.

Must not know what is put off, handed over or waited for.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from typing import Final, Generic, TypeVar

log: Final = logging.getLogger("framewire")
_T = TypeVar("_T")


_LOOK_INTERVAL_S: Final = 0.2 if os.name == "nt" else 3600.0
"""A thread that waits looks again after so long: queues do not take every timeout, an infinite one for instance. On
Windows nothing interrupts a wait for a lock, not even Ctrl-C, which comes after it.

Source: chosen by hand: whoever presses Ctrl-C hardly notices it, and a look an hour costs nothing."""


class Section:
    """What one thread at a time may be in: ``with section.lock``, and `leave` at the end.

    The lock is the interpreter's own. With an ``__enter__`` written in Python, an interrupt (``KeyboardInterrupt``)
    between taking the lock and the first line of the block would leave it taken for good.
    """

    def __init__(self) -> None:
        self.lock: threading.RLock = threading.RLock()
        self._owner = threading.Condition(self.lock)
        _sections[id(self)] = weakref.ref(self)
        weakref.finalize(self, _sections.pop, id(self), None).atexit = False

    @property
    def entered(self) -> bool:
        """Whether this thread is in it."""
        try:
            self._owner.notify(0)
        except RuntimeError:  # as documented, for a lock that this thread does not hold
            return False
        return True


class Notice:
    """Tells waiting threads that something has changed. As a Condition, but it has no lock that anyone could hold."""

    def __init__(self) -> None:
        self._waiting: list[queue.SimpleQueue[None]] = []

    def notify(self) -> None:
        """Let every thread that waits look again. Call it after the change."""
        for mine in list(self._waiting):
            mine.put(None)

    def wait_for(self, predicate: Callable[[], object], timeout: float | None = None) -> bool:
        """Wait until ``predicate()`` is true; whether it was within ``timeout`` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            mine: queue.SimpleQueue[None] = queue.SimpleQueue()  # gevent may have put another in its place
            self._waiting.append(mine)  # before the look: a change after it is noticed
            try:
                if predicate():
                    return True
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    return False
                with contextlib.suppress(queue.Empty):
                    mine.get(timeout=_LOOK_INTERVAL_S if left is None else min(left, _LOOK_INTERVAL_S))
            finally:
                self._waiting.remove(mine)


class Combiner(Generic[_T]):
    """Does ``work`` for one item at a time, in order. A thread that finds another at work leaves its item to that one.

    So nothing waits, and a signal handler that interrupts the work adds to it. What ``work`` raises goes to whichever
    thread is at work.
    """

    def __init__(self, work: Callable[[_T], None]) -> None:
        self._work = work
        self._items: deque[_T] = deque()
        self._lock = threading.RLock()
        self._working = False

    def put(self, item: _T) -> None:
        self._items.append(item)
        while self._items:  # again: an item may have come after the last look and before the release
            try:
                if not self._lock.acquire(blocking=False) or self._working:
                    return
                self._working = True
                try:
                    while self._items:  # only this thread takes items here
                        self._do(self._items[0])
                finally:
                    self._working = False
            finally:
                # In any case: an interrupt may come between taking the lock and the next line.
                with contextlib.suppress(RuntimeError):  # this thread does not have it
                    self._lock.release()

    def _do(self, item: _T) -> None:
        """An interrupt leaves the item where it is: better done twice than half."""
        try:
            self._work(item)
        except Exception:
            self._items.popleft()
            raise
        self._items.popleft()


def inside() -> bool:
    """Whether this thread is in any section, and so runs a signal handler or a finalizer now if it asks."""
    return any(section.entered for reference in list(_sections.values()) if (section := reference()))


def when_outside(work: Callable[[], object]) -> bool:
    """Do it now; or, if this thread is in a section, as soon as it has left them all. Whether it was done now."""
    if inside():
        _put_off.setdefault(threading.get_ident(), deque()).append(work)
        return False
    work()
    return True


def leave() -> None:
    """Do what was put off on this thread, if it is in no section any more."""
    pending = _put_off.get(threading.get_ident())
    while pending and not inside():
        try:
            work = pending.popleft()
        except IndexError:  # a handler came since the look, and has done it
            return
        try:
            work()
        except Exception:
            log.exception("framewire: what a signal handler or a finalizer asked for failed")


_sections: Final[dict[int, weakref.ref[Section]]] = {}
_put_off: Final[dict[int, deque[Callable[[], object]]]] = {}
"""By thread. A thread's entry stays, empty: taking it away could lose what a handler adds at that moment."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_put_off.clear)  # it belongs to the parent
