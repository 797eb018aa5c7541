"""`Publisher`: the sending end of one stream. It numbers frames, writes them to an outlet, and ends.

Must not know servers, nor what a frame was before it was pixels. A signal handler may call it in the middle of its own
work: no call waits for one that the same thread has begun (`reentrancy`).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from msgspec.structs import replace

from framewire.errors import ClosedError, EngineError
from framewire.feedback import Feedback
from framewire.frame import Frame, Pixels
from framewire.host.protocols import Outlet
from framewire.options import StreamOptions
from framewire.reentrancy import Notice, Section, leave, when_outside


class Publisher:
    """Any thread may call. ``on_end`` is called once, when it ends."""

    def __init__(self, options: StreamOptions, outlet: Outlet, on_end: Callable[[Publisher], None]) -> None:
        self.options: StreamOptions = options
        self.feedback: Feedback = Feedback(options.event_queue_size)
        self.size: tuple[int, int] = (options.width, options.height)
        """Width and height of the newest frame."""
        self.ended: str | None = None
        """Why it has ended; None while it has not."""
        self.failed: str | None = None
        """Why no engine takes its frames any more; None while one does."""
        self.changed: Notice = Notice()
        """Of the end, and of an engine that failed."""
        self._outlet = outlet
        self._on_end = on_end
        self.number: int = 0
        """Of the newest frame."""
        self.advised = False
        """Whether the publisher was told of a frame that looks odd: once is enough."""
        self._section = Section()
        self._open = True
        self._busy = False
        """This thread is in the outlet: a call that comes now is a signal handler's."""

    def publish(self, pixels: Pixels) -> None:
        """Make these pixels the newest frame. Raises ClosedError, and EngineError where there is no engine any more.

        From a signal handler that interrupted another frame: as soon as that one is written.
        """
        try:
            with self._section.lock:
                if self.ended or self.failed:
                    self.check()
                if self._busy:
                    when_outside(partial(self._publish_late, pixels.copy()))
                    return
                self._busy = True
                try:
                    self._write(pixels)
                finally:
                    self._busy = False
        finally:
            self._leave()

    def describe(self, **changes: Any) -> None:
        """Give the stream another title or cursor. Raises as `publish`, and ValueError for one that cannot be."""
        try:
            with self._section.lock:
                options = replace(self.options, **changes)
                self.check()
                self.options = options
                self._outlet.describe(options)
        finally:
            leave()

    def newest(self, known: int | None = None) -> Frame | None:
        """A copy of the newest frame; None before the first one, or if its number is ``known``. Raises ClosedError."""
        try:
            with self._section.lock:
                if self.ended:
                    raise ClosedError(self.ended)
                if self._busy:
                    return None
                self._busy = True
                try:
                    return self._outlet.newest(known)
                finally:
                    self._busy = False
        finally:
            self._leave()

    def check(self) -> None:
        """Raises what `publish` would."""
        if self.ended:
            raise ClosedError(self.ended)
        if self.failed:
            raise EngineError(self.failed)

    def fail(self, why: str) -> None:
        """There is no engine any more: `publish` raises ``why`` from now on, until the end. Never waits."""
        self.failed = why
        self.feedback.fail()
        self.changed.notify()

    def end(self, why: str) -> None:
        """End the stream; `publish` raises ``why`` from now on. Never waits. Idempotent."""
        if not self.ended:
            self.ended = why
        self._on_end(self)
        self.feedback.close()
        self.changed.notify()
        self._close_outlet()

    def after_fork_in_child(self) -> None:
        """The stream is the parent's. Threads that do not exist here may hold the lock."""
        self._section, self._busy, self._open = Section(), False, False
        self.ended = self.ended or "the display belongs to the parent of this forked process; serve one here"

    def _write(self, pixels: Pixels) -> None:
        self.number = (self.number + 1) & 0xFFFFFFFF
        self._outlet.write(pixels, self.number, time.time_ns() // 1000)
        self.size = (pixels.shape[1], pixels.shape[0])

    def _publish_late(self, pixels: Pixels) -> None:
        with contextlib.suppress(ClosedError):
            self.publish(pixels)

    def _leave(self) -> None:
        if self.ended:
            self._close_outlet()
        leave()

    def _close_outlet(self) -> None:
        """Unless a thread is in it, this one or another: that one then does it when it leaves."""
        try:
            if self._section.lock.acquire(blocking=False) and self._open and not self._busy:
                self._busy = True
                try:
                    self._outlet.close()
                    self._open = False
                finally:
                    self._busy = False
        finally:
            # In any case: an interrupt may come between taking the lock and the next line.
            if self._section.entered:
                self._section.lock.release()
