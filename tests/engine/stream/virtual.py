"""Virtual time and worker threads for tests of encodings: no test sleeps, and each runs alike every time."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

from framewire.engine.stream.context import StreamContext
from framewire.frame import FrameSource
from framewire.options import StreamOptions

START_S = 1000.0
EPOCH_US = 1_700_000_000_000_000


class _Selector(selectors.DefaultSelector):
    """Does not wait for a time: it is that time at once."""

    def __init__(self, skip: Callable[[float], None]) -> None:
        super().__init__()
        self._skip = skip

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            return super().select(None)
        self._skip(timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time passes only when all that is ready has run, so a sleep of an hour returns at once."""

    def __init__(self) -> None:
        self._now_s = START_S
        super().__init__(_Selector(self.skip))

    def time(self) -> float:
        return self._now_s

    def skip(self, seconds: float) -> None:
        """So much time passes."""
        self._now_s += seconds


class Workers(Executor):
    """Worker threads without threads: a job runs at once or, while ``hanging``, when it is let go."""

    def __init__(self) -> None:
        self.hanging = False
        self.hangs: Callable[[Any], bool] = lambda loop: self.hanging
        """Whether the jobs of this `EncodingLoop` hang."""
        self._jobs: list[Callable[[], None]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()

        def work() -> None:
            try:
                future.set_result(fn(*args, **kwargs))
            except Exception as error:
                future.set_exception(error)

        if self.hangs(getattr(fn, "__self__", None)):
            self._jobs.append(work)
        else:
            work()
        return future

    @property
    def busy(self) -> bool:
        return bool(self._jobs)

    def let_go(self) -> None:
        """Finish what hangs; nothing hangs any more."""
        self.hanging = False
        self.hangs = lambda loop: self.hanging
        jobs, self._jobs = self._jobs, []
        for job in jobs:
            job()


class Wall:
    """A wall clock: it goes with the loop's, and can be set."""

    def __init__(self) -> None:
        self.offset_us = EPOCH_US

    def __call__(self) -> int:
        return self.offset_us + round((now() - START_S) * 1e6)


def now() -> float:
    return asyncio.get_running_loop().time()


def skip(seconds: float) -> None:
    """Time passes within this step of the loop, as if it computed."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    loop.skip(seconds)


async def settle() -> None:
    """Until nothing is left to do at this time: no chain of callbacks is longer."""
    for _ in range(50):
        await asyncio.sleep(0)


def context(source: FrameSource, pool: Executor, *, max_bitrate: int = 8_000_000) -> StreamContext:
    """A stream of 1280 x 720 at 30 frames a second, number 7."""
    options = StreamOptions(id=7, name="cam", width=1280, height=720, fps=30.0, max_bitrate=max_bitrate)
    return StreamContext(options, source, pool, now, Wall())
