"""What the engine reports of one stream, and the program's functions that are called with it.

They have a thread of their own: whoever reports never waits for one, however long it takes, nor does whoever closes the
stream. Must not know servers, nor which thread reports.
"""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from copy import deepcopy
from itertools import chain, starmap
from typing import Any, Final

from framewire.errors import EngineError
from framewire.events import ArrivedEvents, Callbacks, EventQueue, InputEvent
from framewire.reentrancy import Notice
from framewire.shortages import start_thread
from framewire.viewers import ViewerEvent, WatchingViewer, changes

MAX_WAITING_EVENTS: Final = 1024
"""Input events that wait while a callback runs.

Source: chosen by hand, 17 s of moves if they were not merged; pinned by
`tests/test_feedback.py::test_what_waits_for_a_callback_is_bounded`."""
MAX_WAITING_REPORTS: Final = 64
"""Reports of who watches that wait while a callback runs. Then the newest two become one.

Source: chosen by hand; pinned by `tests/test_feedback.py::test_reports_of_viewers_that_wait_become_one`."""

_NO_STATS: Final[dict[str, Any]] = {
    "viewers": 0, "published_fps": 0.0, "encodings": [], "encodes": {}, "encode_ms": {},
}  # fmt: skip
"""`Display.stats` until the engine's first numbers come, about a second after the stream's start."""

_Watching = tuple[WatchingViewer, ...]


class Feedback:
    """What the engine reports of one stream: the server writes it, the `Display` reads it."""

    def __init__(self, event_queue_size: int) -> None:
        self.events: EventQueue = EventQueue(event_queue_size)
        self.viewers: _Watching = ()
        self.callbacks: ProgramCallbacks = ProgramCallbacks()
        self._stats: dict[str, Any] = deepcopy(_NO_STATS)

    def take_event(self, event: InputEvent) -> None:
        """A viewer sent this event."""
        self.events.put(event)
        self.callbacks.take_event(event)

    def take_viewers(self, viewers: _Watching) -> None:
        """These viewers watch the stream now."""
        before, self.viewers = self.viewers, viewers
        self.callbacks.take_viewers(before, viewers)

    def take_stats(self, stats: dict[str, Any]) -> None:
        """The engine's newest numbers."""
        self._stats = stats

    @property
    def stats(self) -> dict[str, Any]:
        """The engine's newest numbers, and how many events were dropped, of the queue and for the callbacks."""
        dropped = {"poll_events": self.events.dropped, "on_event": self.callbacks.dropped}
        return {**self._stats, "dropped_events": dropped}

    def fail(self) -> None:
        """There is no engine any more, and no viewer. The functions are told."""
        self.events.close()
        self._stats = deepcopy(_NO_STATS)
        self.take_viewers(())

    def close(self) -> None:
        """The stream has ended: no call begins any more. Never waits. Idempotent."""
        self.events.close()
        self.callbacks.close()


class ProgramCallbacks:
    """The functions that a program gives for one stream. They are called one at a time, in the order of what happened.

    The thread begins with the first function, and ends with the stream or with this object. It is a daemon: a function
    that never returns keeps no program from its end.
    """

    def __init__(self) -> None:
        self._on_event: Callbacks[InputEvent] = Callbacks()
        self._on_viewers: Callbacks[ViewerEvent] = Callbacks()
        self._mail = _Mail()
        self._not_started: deque[None] = deque([None])
        # The thread has none but the mail: a function may hold the display, which holds this object.
        weakref.finalize(self, self._mail.close).atexit = False

    @property
    def dropped(self) -> int:
        """Events that were too many while a function ran."""
        return self._mail.events.dropped

    def on_event(self, callback: Callable[[InputEvent], object]) -> Callable[[], None]:
        """Call it for every event from now on; returns what removes it again."""
        self._start()
        return self._on_event.add(callback)

    def on_viewers(self, callback: Callable[[ViewerEvent], object]) -> Callable[[], None]:
        """Call it for every change of who watches; returns what removes it again."""
        self._start()
        return self._on_viewers.add(callback)

    def take_event(self, event: InputEvent) -> None:
        """Call the functions with it, soon. Never waits."""
        if self._on_event:
            self._mail.put_event(event)

    def take_viewers(self, before: _Watching, after: _Watching) -> None:
        """As `take_event`: who watches has changed."""
        if self._on_viewers:
            self._mail.put_viewers(before, after)

    def close(self) -> None:
        """No call begins any more. Does not wait for one that has begun."""
        self._mail.close()

    def deliver(self) -> None:
        """Call the functions with all that has come. On their thread."""
        mail = self._mail
        reports = list(mail.viewers())  # first: then no event waits that came before one of them
        for event in mail.events.take():
            if not mail.closed:
                self._on_event.call(event)
        for change in chain.from_iterable(starmap(changes, reports)):
            if not mail.closed:
                self._on_viewers.call(change)

    def _start(self) -> None:
        with contextlib.suppress(IndexError):  # it has begun: a signal handler may ask in the middle of this
            self._not_started.pop()
            name, arguments = "framewire-callbacks", (self._mail, weakref.ref(self))
            try:
                start_thread(threading.Thread(target=_run, args=arguments, name=name, daemon=True), "the callback")
            except EngineError:
                self._not_started.append(None)
                raise


class _Mail:
    """What waits for the functions. One thread puts it there, another one takes it, and neither waits for a lock."""

    def __init__(self) -> None:
        self.closed = False
        self.events = ArrivedEvents(MAX_WAITING_EVENTS, merging=True)
        self._viewers: deque[tuple[_Watching, _Watching]] = deque()
        self._changed = Notice()

    def put_event(self, event: InputEvent) -> None:
        self.events.put(event)
        self._changed.notify()

    def put_viewers(self, before: _Watching, after: _Watching) -> None:
        if len(self._viewers) >= MAX_WAITING_REPORTS:
            with contextlib.suppress(IndexError):  # taken meanwhile
                before, _ = self._viewers.pop()
        self._viewers.append((before, after))
        self._changed.notify()

    def viewers(self) -> Iterator[tuple[_Watching, _Watching]]:
        with contextlib.suppress(IndexError):
            while True:
                yield self._viewers.popleft()

    def close(self) -> None:
        self.closed = True
        self._changed.notify()

    def wait(self) -> bool:
        """Wait for something; False once it is closed."""
        self._changed.wait_for(lambda: self.closed or self.events or self._viewers)
        return not self.closed


def _run(mail: _Mail, callbacks: weakref.ref[ProgramCallbacks]) -> None:
    while mail.wait():
        if found := callbacks():
            found.deliver()
        del found
