"""Publishes what a function returns, frame after frame at a steady rate. Must not know engines or browsers."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import inspect
import logging
import threading
import time
import traceback
import weakref
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from contextvars import Context
from typing import TYPE_CHECKING, Any, Final

from framewire.calls import can_be_called, seconds
from framewire.environment import running_loop
from framewire.errors import ClosedError, EngineError
from framewire.events import run_callback
from framewire.keywords import as_number, flag, shown
from framewire.reentrancy import Notice
from framewire.shortages import start_thread

if TYPE_CHECKING:
    from framewire.display import Display

log: Final = logging.getLogger("framewire")

TRACEBACK_INTERVAL_S: Final = 10.0
"""Time between two tracebacks of a failing render function.

Source: chosen by hand; pinned by
`tests/test_publishing.py::test_a_render_function_that_fails_is_logged_and_the_loop_goes_on`."""
MAX_FPS: Final = 1000
"""Frames a second, at most.

Source: as `StreamOptions.fps`; pinned by `tests/test_publishing.py::test_what_cannot_be_a_loop_is_refused`."""
EXIT_GRACE_S: Final = 1.0
"""Time that the program's end leaves to render functions that run: later, the libraries they call are gone.

Source: chosen by hand, a slow drawing's time; pinned by
`tests/test_publishing.py::test_a_program_that_ends_lets_the_function_that_draws_end_first`."""


class FrameTimer:
    """When the next frame is due. Time is an argument. After a late frame the next ones keep their distance."""

    def __init__(self, fps: float, now: float) -> None:
        self._period = 1.0 / fps
        self._next = now

    def wait(self, now: float) -> float:
        """Seconds to wait from ``now`` until the next frame; counts that frame as taken."""
        # A late frame starts a new count: catching up would publish a burst.
        self._next = max(self._next + self._period, now)
        return self._next - now


class PublishLoop:
    """A running `publish_loop`. Await it to wait for its end; `cancel` ends it. `EngineError` where the engine did.

    Made by `publish_loop`, and runs from then on. It may stand where an ``asyncio.Task`` is expected.
    """

    def __init__(self, display: Display, render: Callable[[], Any], fps: float, only_watched: bool = False) -> None:
        self._display = display
        self._only_watched = only_watched
        self._render = render
        self._fps = fps
        self._stopped = self._over = False
        self._changed = Notice()
        self._ended: Future[None] = Future()
        self._interrupt: Callable[[], None] = lambda: None
        self._callbacks: list[Callable[[PublishLoop], object]] = []
        self._logged_at = float("-inf")
        self._error: EngineError | None = None
        self.frames: int = 0
        """Frames published so far."""
        self.errors: int = 0
        """Calls of the render function that failed."""
        if inspect.iscoroutinefunction(render):
            self._start_async()
        else:
            self._start_thread()

    def cancel(self, msg: object = None) -> bool:
        """End the loop; False if it had ended already. Returns at once. ``msg`` is asyncio's, and not used."""
        was_running = not self.done()
        self._stopped = True
        self._changed.notify()
        self._interrupt()
        return was_running

    def cancelled(self) -> bool:
        return self._stopped

    def done(self) -> bool:
        return self._over

    def result(self) -> None:
        """Raises ``asyncio.InvalidStateError`` before the end, and `exception` if there is one; there is no result."""
        if error := self.exception():
            raise error

    def exception(self) -> EngineError | None:
        """Why it ended, where there is no engine any more. Failures of the render function do not end the loop.

        Raises ``asyncio.InvalidStateError`` before the end.
        """
        if not self.done():
            raise asyncio.InvalidStateError("the loop still runs")
        return self._error

    def add_done_callback(self, callback: Callable[[PublishLoop], object], *, context: Context | None = None) -> None:
        """Call ``callback`` with this loop at its end: on the event loop that runs now, else on a thread of ours."""
        loop = running_loop()

        def call() -> None:
            if callback in self._callbacks:
                run_callback(callback, self)

        def ended(_: object) -> None:
            if loop is None:
                return call()
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(call, context=context)

        self._callbacks.append(callback)
        self._ended.add_done_callback(ended)

    def remove_done_callback(self, callback: Callable[[PublishLoop], object]) -> int:
        """Do not call ``callback``; how often it was to be called."""
        kept = [each for each in self._callbacks if each != callback]
        removed, self._callbacks = len(self._callbacks) - len(kept), kept
        return removed

    def join(self, timeout: float | None = None) -> bool:
        """Wait for the end; whether it came. Not on the event loop that a coroutine is rendered on."""
        return self._changed.wait_for(self.done, seconds("timeout", timeout))

    def __await__(self) -> Generator[Any, None, None]:
        return self._wait_for_end().__await__()

    async def _wait_for_end(self) -> None:
        loop, ended = asyncio.get_running_loop(), asyncio.Event()

        def wake(_: object) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: the caller has stopped waiting
                loop.call_soon_threadsafe(ended.set)

        self._ended.add_done_callback(wake)
        await ended.wait()
        self.result()

    def _publish_once(self) -> bool:
        """Render and publish once; whether to go on."""
        if self._is_unwatched:
            return self._goes_on
        try:
            return self._publish(self._render())
        except (ClosedError, StopIteration):
            return False
        except Exception:
            self._log_failure()
            return self._goes_on

    @property
    def _is_unwatched(self) -> bool:
        """Whether nothing is to be rendered now. The first frame always is: a viewer that joins finds a picture."""
        return self._only_watched and self.frames > 0 and not self._display.watched

    @property
    def _goes_on(self) -> bool:
        return not (self._stopped or self._display.closed or self._failure)

    @property
    def _failure(self) -> str | None:
        """Why there is no engine any more; None while there is one."""
        server = getattr(self._display, "server", None)  # a program may have made the display itself
        return server.failure if server else None

    def _publish(self, frame: Any) -> bool:
        if frame is not None and not self._stopped:
            self._display.publish(frame)
            self.frames += 1
        return self._goes_on

    def _log_failure(self) -> None:
        """The last frame stays on screen and the loop goes on. The traceback is logged, but not at every frame."""
        if self._failure:
            return
        self.errors += 1
        now = time.monotonic()
        if now - self._logged_at >= TRACEBACK_INTERVAL_S:
            self._logged_at = now
            log.error("framewire: the render function failed; the loop goes on\n%s", traceback.format_exc())

    def _run_thread(self) -> None:
        timer = FrameTimer(self._fps, time.monotonic())
        try:
            while self._publish_once() and not self._is_stopped(timer.wait(time.monotonic())):
                pass
        finally:
            self._end()

    def _is_stopped(self, within_s: float) -> bool:
        return self._changed.wait_for(self.cancelled, within_s)

    def _end(self) -> None:
        failure = self._failure
        if failure and not (self._stopped or self._display.closed):
            self._error = EngineError(failure)
            log.error("framewire: publish_loop has ended: there is no engine any more")
        self._over = True
        self._changed.notify()
        self._ended.set_result(None)

    async def _run_async(self) -> None:
        timer = FrameTimer(self._fps, time.monotonic())
        try:
            while await self._publish_once_async():
                pause = timer.wait(time.monotonic())
                await asyncio.sleep(pause)
        finally:
            self._end()

    async def _publish_once_async(self) -> bool:
        if self._is_unwatched:
            return self._goes_on
        try:
            return self._publish(await self._render())
        except (ClosedError, StopAsyncIteration):
            return False
        except Exception:
            self._log_failure()
            return self._goes_on

    def _start_async(self) -> None:
        loop = running_loop()
        if loop is None:
            raise RuntimeError(
                "publish_loop runs a coroutine function on the event loop that runs now, and none does: "
                "call it in a coroutine, or give it a plain function"
            )
        task = loop.create_task(self._run_async())

        def interrupt() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed, and its tasks with it
                loop.call_soon_threadsafe(task.cancel)

        self._interrupt = interrupt  # also keeps the task: its loop holds it weakly

    def _start_thread(self) -> None:
        thread = threading.Thread(target=self._run_thread, name="framewire-publish", daemon=True)
        start_thread(thread, "publish_loop")
        _threads[thread] = self


def publish_loop(
    display: Display, render: Callable[[], Any], *, fps: float = 30.0, only_watched: bool = False
) -> PublishLoop:
    """Call ``render()`` ``fps`` times a second and publish what it returns, until cancelled.

    Runs on a thread of its own: it goes on while a cell computes or sleeps, and needs no event loop. A
    coroutine function runs on the event loop that runs now instead. ``None`` from ``render`` publishes
    nothing. When ``render`` raises, the traceback is logged, the last frame stays and the loop goes on.
    It ends by itself when the display is closed, and when ``render`` raises ``StopIteration`` (a coroutine:
    ``StopAsyncIteration``). Raises `EngineError` where the system gives it no thread.
    Where the engine exited again and again it ends as well: awaiting it, or its ``result()``, raises `EngineError`.
    With ``only_watched``, nothing is rendered while no viewer can see the picture, but
    for the first frame (`Display.watched`).
    """
    if not hasattr(display, "publish"):
        raise TypeError(f"publish_loop takes a display and a function, in this order; {_kind(display)} came first")
    if not callable(render):
        if inspect.iscoroutine(render):
            render.close()  # it was never awaited, and would warn of it
        raise TypeError(_uncalled(render))
    if inspect.isgeneratorfunction(render):
        raise TypeError(f"{_uncalled(iter(()))}, with frames = {render.__name__}()")
    can_be_called("publish_loop", render)
    rate = as_number(fps)
    if rate is None or not 0 < rate <= MAX_FPS:
        raise ValueError(f"fps={shown(fps)} is out of range: a number above 0, at most {MAX_FPS}")
    return PublishLoop(display, render, rate, flag("only_watched", only_watched))


def _uncalled(render: Any) -> str:
    if isinstance(render, Iterator):
        return "publish_loop calls a function for each frame: of an iterator, write (display, frames.__next__)"
    return f"publish_loop calls render itself: write publish_loop(display, render), without (); it got {_kind(render)}"


def _kind(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return f"an array of shape {shown(shape)}" if shape is not None else f"a value of type {type(value).__name__}"


_threads: Final[weakref.WeakKeyDictionary[threading.Thread, PublishLoop]] = weakref.WeakKeyDictionary()
"""The loops that run on a thread."""


def _end_all() -> None:
    """A thread that draws, with Matplotlib for instance, while the interpreter ends brings the program down."""
    running = list(_threads.items())
    for _, loop in running:
        loop.cancel()
    deadline = time.monotonic() + EXIT_GRACE_S
    for thread, _ in running:
        thread.join(max(0.0, deadline - time.monotonic()))


atexit.register(_end_all)
