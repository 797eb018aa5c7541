"""Faults of the viewer's side: the tab, the browser's processes, another viewer. Must not know how time is taken."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time

from benchmarks.browser import BrowserGoneError
from benchmarks.faults.stage import START_S, Stage, StageError, Took, tree
from benchmarks.lab import words


async def crash_tab(stage: Stage) -> float:
    """The user loads the page again at once."""
    page = stage.screen.page
    since = time.monotonic()
    with contextlib.suppress(BrowserGoneError, RuntimeError, TimeoutError):
        await asyncio.wait_for(page.command("Page.crash"), 0.2)
    await page.command("Page.reload")
    return since


async def kill_gpu_process(stage: Stage) -> float:
    (process,) = [each for each in tree(stage.browser.pid) if "--type=gpu-process" in words(each)]
    since = time.monotonic()
    process.kill()
    return since


async def other_vanishes(stage: Stage) -> float:
    """Another viewer of the same stream is gone from one moment to the next; no connection of it ends."""
    await _vanished(stage)
    since = time.monotonic()
    stage.place.other.vanish()
    await asyncio.sleep(10)
    return since


async def vanished_is_removed(stage: Stage) -> Took:
    """Until its peer and its WebSocket are closed, by the engine's open files; an idle HTTP connection may be left."""
    before = stage.program.engine.num_fds()
    await _vanished(stage)
    since = time.monotonic()
    stage.place.other.vanish()
    while stage.program.engine.num_fds() > before + 1:
        await asyncio.sleep(0.1)
        if time.monotonic() > since + 120:
            return Took(math.inf)
    return Took(time.monotonic() - since)


async def _vanished(stage: Stage) -> None:
    other = await stage.open_elsewhere()
    if await other.shows("webrtc", START_S) is None:
        raise StageError("the other viewer has no picture")
    await asyncio.sleep(1)
