"""Frames from a function, or from a collection, at a steady beat. Must not know engines or browsers."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import threading
import time
import traceback
from collections.abc import Callable, Generator
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING, Any

from framewire.errors import ClosedError

if TYPE_CHECKING:
    from framewire.display import Display

log = logging.getLogger("framewire")

COMPLAIN_EVERY = 10.0
"""Seconds between two tracebacks of a failing render function."""


class FrameTimer:
    """When the next frame is due. Time is an argument. A late frame does not hurry the ones after it."""

    def __init__(self, fps: float, now: float) -> None:
        self._period = 1.0 / fps
        self._next = now

    def wait(self, now: float) -> float:
        """Seconds to wait from ``now`` until the next frame; counts it as taken."""
        # Late: counted anew from now, instead of catching up in a burst.
        self._next = max(self._next + self._period, now)
        return self._next - now


class PublishLoop:
    """A running `publish_loop`. Await it to wait for its end; `cancel` ends it."""

    def __init__(self, display: Display, render: Callable[[], Any], fps: float) -> None:
        self._display = display
        self._render = render
        self._fps = fps
        self._stop = threading.Event()
        self._ended: Future[None] = Future()
        self._interrupt: Callable[[], None] = lambda: None
        self._complained = float("-inf")
        self.frames = 0
        """Frames published so far."""
        self.errors = 0
        """Calls of the render function that failed."""

    def cancel(self) -> bool:
        """End the loop; False if it had ended already. Returns at once."""
        was_running = not self.done()
        self._stop.set()
        self._interrupt()
        return was_running

    def cancelled(self) -> bool:
        return self._stop.is_set()

    def done(self) -> bool:
        return self._ended.done()

    def join(self, timeout: float | None = None) -> bool:
        """Wait for the end; whether it came. Not on the event loop that a coroutine is rendered on."""
        return bool(wait([self._ended], timeout).done)

    def __await__(self) -> Generator[Any, None, None]:
        return self._over().__await__()

    async def _over(self) -> None:
        loop, over = asyncio.get_running_loop(), asyncio.Event()

        def tell(_: object) -> None:
            with contextlib.suppress(RuntimeError):  # who waited gave up, and the loop is closed
                loop.call_soon_threadsafe(over.set)

        self._ended.add_done_callback(tell)
        await over.wait()

    def _one(self) -> bool:
        """Render and publish once; whether to go on."""
        try:
            return self._put(self._render())
        except (ClosedError, StopIteration):
            return False
        except Exception:
            self._failed()
            return True

    def _put(self, frame: Any) -> bool:
        if self._stop.is_set():
            return False
        if frame is not None:
            self._display.publish(frame)
            self.frames += 1
        return True

    def _failed(self) -> None:
        """The last frame stays on screen, the loop goes on; the traceback is told, not at every frame."""
        self.errors += 1
        now = time.monotonic()
        if now - self._complained >= COMPLAIN_EVERY:
            self._complained = now
            log.error("framewire: the render function failed; the loop goes on\n%s", traceback.format_exc())

    def _run_thread(self) -> None:
        beat = FrameTimer(self._fps, time.monotonic())
        try:
            while self._one() and not self._stop.wait(beat.wait(time.monotonic())):
                pass
        finally:
            self._ended.set_result(None)

    async def _run_async(self) -> None:
        beat = FrameTimer(self._fps, time.monotonic())
        try:
            while await self._one_async():
                pause = beat.wait(time.monotonic())
                await asyncio.sleep(pause)
        finally:
            self._ended.set_result(None)

    async def _one_async(self) -> bool:
        try:
            return self._put(await self._render())
        except (ClosedError, StopAsyncIteration):
            return False
        except Exception:
            self._failed()
            return True

    def _start_async(self) -> None:
        loop = asyncio.get_running_loop()
        task = loop.create_task(self._run_async())

        def interrupt() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed, and its tasks with it
                loop.call_soon_threadsafe(task.cancel)

        self._interrupt = interrupt  # also keeps the task: its loop holds it weakly

    def _start_thread(self) -> None:
        threading.Thread(target=self._run_thread, name="framewire-publish", daemon=True).start()


def publish_loop(display: Display, render: Callable[[], Any], *, fps: float = 30.0) -> PublishLoop:
    """Call ``render()`` ``fps`` times a second and publish what it returns, until cancelled.

    Runs on a thread of its own: it goes on while a cell computes or sleeps, and needs no event loop. A
    coroutine function runs on the event loop that runs now instead. ``None`` from ``render`` publishes
    nothing. When ``render`` raises, the traceback is logged, the last frame stays and the loop goes on.
    It ends by itself when the display is closed, and when ``render`` raises ``StopIteration`` (a coroutine:
    ``StopAsyncIteration``).
    """
    if not callable(render):
        raise TypeError(f"render must be callable, not {type(render).__name__}")
    if not 0 < fps <= 1000:
        raise ValueError(f"fps={fps} makes no sense: above 0, at most 1000")
    loop = PublishLoop(display, render, fps)
    if inspect.iscoroutinefunction(render):
        loop._start_async()
    else:
        loop._start_thread()
    return loop
