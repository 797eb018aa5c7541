"""What end-to-end tests share: publish numbered frames, address a page, read what it shows, wait.

Must not know any single test.
"""

from __future__ import annotations

import asyncio
import io
import itertools
import threading
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from benchmarks import probe
from framewire import Display
from framewire.errors import ClosedError

if TYPE_CHECKING:
    from playwright.async_api import Page


class Evaluates(Protocol):
    """A page of any browser driver."""

    async def evaluate(self, expression: str, arg: Any = None, /) -> Any: ...


TIMEOUT_S = 20.0
"""A test waits this long for what normally takes one second: the machine may be busy."""
SLACK = 2.0
"""Times are promised for a quiet machine; tests allow so many times as much."""

CHANNELS = {"gray": 1, "rgb": 3, "rgba": 4}


def say(*words: object) -> None:
    """Print a measured number: ``pytest -s`` shows it, and so does a failure."""
    print(*words)  # noqa: T201


def field(width: int, height: int, channels: int = 3) -> np.ndarray:
    """A smooth picture, which is easy to encode."""
    x = np.linspace(0, 255, width)[None, :]
    y = np.linspace(0, 255, height)[:, None]
    planes = [np.broadcast_to(x, (height, width)), np.broadcast_to(y, (height, width)), (x + y) / 2]
    planes.append(np.full((height, width), 255.0))
    return np.stack(planes[:channels] if channels > 1 else planes[2:3], axis=2).astype(np.uint8)


class Publisher(threading.Thread):
    """Publishes numbered frames from a thread until `stop`; ``with`` does both."""

    def __init__(self, display: Display, *, fps: float = 30.0, channels: int = 3) -> None:
        super().__init__(daemon=True)
        self.log = probe.Log()
        self.display = display
        self.fps = fps
        self.channels = channels
        self.paused = False
        self._picture = field(display.width, display.height, channels)
        self._over = threading.Event()

    def resize(self, width: int, height: int, channels: int | None = None) -> None:
        self._picture = field(width, height, channels or self.channels)

    def run(self) -> None:
        due = time.monotonic()
        while not self._over.wait(max(0.0, due - time.monotonic())):
            due = max(due + 1 / self.fps, time.monotonic() - 1 / self.fps)
            if not self.paused:
                self.publish()

    def publish(self) -> None:
        frame = self._picture.copy()
        # A moving bar: frames differ in more than their numbers.
        at = (4 * self.log.number) % frame.shape[1]
        frame[probe.HEIGHT :, at : at + 8] = 255
        try:
            self.display.publish(self.log.next(frame))
        except ClosedError:
            self._over.set()

    def stop(self) -> None:
        self._over.set()
        self.join(5)

    def __enter__(self) -> Publisher:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def address(url: str, **query: str) -> str:
    """The page's address with options: ``mode="webrtc"``, ``chrome="0"``."""
    page, token = url.split("#")
    options = "&".join(f"{name}={value}" for name, value in query.items())
    return f"{page}{'&' if '?' in page else '?'}{options}#{token}" if options else url


async def until(what: Callable[[], Any], timeout: float = TIMEOUT_S, every: float = 0.02) -> Any:
    """Wait for ``what()``, which may be a coroutine, to be true; returns it, or fails with its last value."""
    end = time.monotonic() + timeout
    while True:
        value = what()
        if isinstance(value, Awaitable):
            value = await value
        if value:
            return value
        assert time.monotonic() < end, f"not in {timeout:g} s: {getattr(what, '__name__', what)} is {value!r}"
        await asyncio.sleep(every)


async def debug(page: Evaluates, view: int = 0) -> dict[str, Any]:
    """The state that a view of the page reports; empty before there is a view."""
    code = "(n) => JSON.parse(JSON.stringify([...(globalThis.__framewire?.views ?? [])][n]?.debug() ?? {}))"
    seen: dict[str, Any] = await page.evaluate(code, view)
    return seen


async def showing(page: Evaluates, mode: str, view: int = 0, timeout: float = TIMEOUT_S) -> dict[str, Any]:
    """Wait until a view shows pictures of this mode; returns its status."""

    async def status() -> dict[str, Any] | None:
        last[:] = [await debug(page, view)]
        now: dict[str, Any] = last[0].get("status") or {}
        return now if now.get("showing") == mode else None

    last: list[dict[str, Any]] = []
    try:
        found: dict[str, Any] = await until(status, timeout)
    except AssertionError:
        raise AssertionError(f"{mode} is not shown: {last[-1].get('transitions') if last else None}") from None
    return found


async def watch(page: Evaluates, seconds: float) -> list[probe.Sighting]:
    """What appears on the screen from now on."""
    await probe.start(page)
    await asyncio.sleep(seconds)
    return await probe.take(page)


async def first_new(page: Evaluates, after: int, timeout: float = TIMEOUT_S) -> probe.Sighting:
    """The first frame above number ``after`` on the screen; `probe.start` has been called."""

    async def newer() -> probe.Sighting | None:
        return next((one for one in await probe.take(page) if one.number > after), None)

    found: probe.Sighting = await until(newer, timeout)
    return found


def advances(seen: list[probe.Sighting]) -> bool:
    """Whether there are several frames, each newer than the one before."""
    numbers = [one.number for one in seen]
    return len(numbers) > 1 and all(before < after for before, after in itertools.pairwise(numbers))


async def painted(page: Page) -> np.ndarray:
    """A screenshot of the page: (H, W, 3) uint8."""
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(await page.screenshot())).convert("RGB"))
