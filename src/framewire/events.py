"""Input events of viewers, and the queue from which a program takes them.

Must not know displays, engines or the wire: the receiver of an event puts it here.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, replace
from typing import Any, Final, Generic, Literal, NotRequired, TypeAlias, TypedDict, TypeVar

from framewire.limited_log import LimitedLog
from framewire.waiting_events import Dropped, WaitingEvents

log: Final = logging.getLogger("framewire")
T = TypeVar("T")


class Touch(TypedDict):
    """One finger: where it is, in pixels of the frame, and how hard it presses, from 0 to 1."""

    x: float
    y: float
    pressure: float


class _Event(TypedDict):
    timestamp: float
    """Seconds, by the viewer's clock."""


class _Place(_Event):
    x: float
    y: float
    """Pixels of a frame of ``width`` x ``height``."""
    inside: NotRequired[bool]
    """Whether that is in the frame."""
    width: NotRequired[float]
    height: NotRequired[float]
    pixel_ratio: NotRequired[float]
    """How many pixels of that frame, across, are one logical pixel on the viewer's screen."""
    buttons: NotRequired[list[int]]
    """Those that are down: 1 is left, 2 right, 3 middle."""
    modifiers: NotRequired[list[str]]
    """Those that are down: "Alt", "Control", "Meta", "Shift"."""


class PointerEvent(_Place):
    """A mouse, a pen or a finger."""

    type: Literal["pointer_down", "pointer_up", "pointer_move", "pointer_enter", "pointer_leave", "double_click"]
    button: NotRequired[int]
    """The one that this is about; 0 for none."""
    ntouches: NotRequired[int]
    touches: NotRequired[dict[str, Touch]]


class WheelEvent(_Place):
    """A turn of the wheel, in logical pixels."""

    type: Literal["wheel"]
    dx: NotRequired[float]
    dy: NotRequired[float]


class KeyEvent(_Event):
    """A key, by its names in browsers; ``code`` is its place on the keyboard."""

    type: Literal["key_down", "key_up"]
    key: str
    code: NotRequired[str]
    modifiers: NotRequired[list[str]]


class CharEvent(_Event):
    """Text that is typed."""

    type: Literal["char"]
    data: str
    input_type: NotRequired[str]
    is_composing: NotRequired[bool]
    repeat: NotRequired[bool]


class ResizeEvent(_Event):
    """The view has a new size: in logical pixels, and in pixels of the screen."""

    type: Literal["resize"]
    width: float
    height: float
    pwidth: NotRequired[int]
    pheight: NotRequired[int]
    ratio: NotRequired[float]
    """Pixels of the screen that are one logical pixel."""


class ViewEvent(_Event):
    """The view comes into sight or goes out of it, gets or loses the keys, or ends."""

    type: Literal["show", "hide", "focus_in", "focus_out", "close"]


RenderviewInput: TypeAlias = PointerEvent | WheelEvent | KeyEvent | CharEvent | ResizeEvent | ViewEvent
"""What `InputEvent.event` may be: a dict, of which ``type`` says which. For type checkers."""


@dataclass(frozen=True, slots=True)
class InputEvent:
    """One input event of one viewer.

    ``event`` is a renderview event: a dict with ``type`` (``"pointer_down"``, ``"key_down"``, …) and its
    fields, which ``signaling/README.md`` lists. ``x``, ``y`` of pointers and wheels are pixels of a frame of
    ``width`` x ``height``; of that frame, ``pixel_ratio`` pixels are one logical pixel on the viewer's screen.
    Whatever goes down comes up, also when the focus is lost. Views of one page share a ``client_id``.
    """

    client_id: str
    """Tells viewers apart; a new one for every connection."""
    principal: str | None
    """Who the viewer is, where authentication says so."""
    event: RenderviewInput
    """Type checkers know each kind: `PointerEvent`, `KeyEvent` and others of ``framewire.events``, told by ``type``."""
    received_us: int
    """When it arrived, microseconds since the Unix epoch."""


class ArrivedEvents:
    """Events from the thread that puts them to whoever takes them, at most ``size`` (`WaitingEvents`).

    None of them waits for a lock: the thread that puts them watches the engine, and a signal handler may interrupt
    whoever takes them, for as long as it likes.
    """

    def __init__(self, size: int, *, merging: bool = False) -> None:
        self._size, self._merging = size, merging
        self._dropped = Dropped()
        self._waiting: deque[WaitingEvents[InputEvent]] = deque()
        """One, or none: whoever takes it from here has it alone."""

    def __bool__(self) -> bool:
        return bool(self._waiting)

    @property
    def dropped(self) -> int:
        """Events that were too many so far."""
        return self._dropped.count

    def put(self, event: InputEvent) -> None:
        """Add an event."""
        try:
            waiting = self._waiting.pop()
        except IndexError:
            waiting = WaitingEvents(
                self._size, self._dropped, replace=replace, source=lambda each: each.client_id, merging=self._merging
            )
        try:
            waiting.put(event)
        finally:
            self._waiting.append(waiting)

    def take(self) -> list[InputEvent]:
        """All events since the last call, oldest first."""
        events: list[InputEvent] = []
        with contextlib.suppress(IndexError):  # asked for first, another thread might take the last one meanwhile
            while True:
                events += self._waiting.popleft().take()
        return events


class EventQueue:
    """The newest ``size`` events, to be polled or awaited. Any thread may take them."""

    def __init__(self, size: int) -> None:
        self._arrived = ArrivedEvents(size)
        self._wakers: list[Callable[[], None]] = []
        self._closed = False

    @property
    def dropped(self) -> int:
        """Events that were too many so far."""
        return self._arrived.dropped

    def put(self, event: InputEvent) -> None:
        """Add an event. Of a full queue, those that tell least are dropped."""
        self._arrived.put(event)
        self._wake()

    def poll(self) -> list[InputEvent]:
        """All events since the last call, oldest first; does not wait."""
        return self._arrived.take()

    async def feed(self) -> AsyncGenerator[InputEvent, None]:
        """Events as they arrive, until the queue is closed and empty."""
        loop = asyncio.get_running_loop()
        arrived = asyncio.Event()
        on_its_way = False

        def arrive() -> None:
            nonlocal on_its_way
            on_its_way = False
            arrived.set()

        def wake() -> None:
            nonlocal on_its_way
            if not on_its_way:  # a loop that stands still must not collect one for each event
                on_its_way = True
                with contextlib.suppress(RuntimeError):  # the loop is closed, and what waited on it is gone
                    loop.call_soon_threadsafe(arrive)

        self._wakers.append(wake)
        try:
            while True:
                closed = self._closed
                for event in self.poll():
                    yield event
                if closed:
                    return
                await arrived.wait()
                arrived.clear()
        finally:
            self._wakers.remove(wake)

    def close(self) -> None:
        """End every feed, once it has given the events that are there. Idempotent."""
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        for wake in list(self._wakers):
            wake()


class Callbacks(Generic[T]):
    """Functions of a program's, to be called with each value. Any thread may use it."""

    def __init__(self) -> None:
        self._callbacks: list[Callable[[T], object]] = []
        self._log = LimitedLog(log)

    def __bool__(self) -> bool:
        return bool(self._callbacks)

    def add(self, callback: Callable[[T], object]) -> Callable[[], None]:
        """Call ``callback`` from now on; returns a function that removes it again."""
        self._callbacks.append(callback)

        def remove() -> None:
            with contextlib.suppress(ValueError):  # removed before
                self._callbacks.remove(callback)

        return remove

    def call(self, value: T) -> None:
        """Call each of them, on the caller's thread, which is theirs alone: what one raises is logged, a few times a
        minute, and goes no further. ``sys.exit()`` ends nothing, as on any other thread."""
        for callback in list(self._callbacks):
            try:
                callback(value)
            except BaseException:
                self._log.exception("framewire: a callback failed")


def run_callback(callback: Callable[..., object], *values: Any) -> None:
    """Call a user's function; what it raises is logged and goes no further."""
    try:
        callback(*values)
    except Exception:
        log.exception("framewire: a callback failed")
