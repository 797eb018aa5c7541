"""The stage of a notebook: JupyterLab with a kernel that publishes, and a page that shows the notebook.

Must not know any fault.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

from benchmarks import probe
from benchmarks.browser import Browser, Page
from benchmarks.faults.stage import BASE, START_S, Screen, Setup, StageError, browsing
from benchmarks.lab import IN_PAGE, LabServer

ROOT = Path(__file__).parent.parent.parent
SIZE = (1000, 900)
CELL = f"""import sys
sys.path[:0] = {[str(ROOT), str(ROOT / "src")]}
import threading
import framewire as fw
from benchmarks.faults.program import HEIGHT, WIDTH, Frames, publish
display = fw.serve(WIDTH, HEIGHT, port=0)
threading.Thread(target=publish, args=(display, Frames({BASE})), daemon=True).start()
display.widget()"""
NOTEBOOK = {
    "cells": [{"cell_type": "code", "execution_count": None, "id": "a", "metadata": {}, "outputs": [], "source": CELL}],
    "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}},
    "nbformat": 4,
    "nbformat_minor": 5,
}


class NotebookStage:
    """A notebook whose one cell serves and shows a stream."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen

    async def run_cell(self) -> None:
        """Returns when the cell has run. Raises `StageError` for an error in it."""
        error = await self.screen.page.evaluate("() => __lab.run(1)")
        if error:
            raise StageError(f"the cell failed: {error}")

    async def restart_kernel(self) -> None:
        """Returns when the new kernel is there."""
        await self.screen.page.evaluate("() => __lab.restart()")


@contextlib.asynccontextmanager
async def notebook(setup: Setup, shared: Browser | None = None) -> AsyncIterator[NotebookStage]:
    """A stage with a healthy picture."""
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        server = LabServer(folder / "lab")
        stack.callback(server.close)
        (server.notebooks / "stream.ipynb").write_text(json.dumps(NOTEBOOK))
        await server.ready()
        browser = await stack.enter_async_context(browsing()) if shared is None else shared
        script = f"addEventListener('DOMContentLoaded', () => ({probe.SCRIPT.strip()})(null))"
        page = await browser.open(f"{server.url}lab?reset&token={server.token}", *SIZE, script)
        stack.push_async_callback(_leave, page)
        await _loaded(page)
        await page.evaluate("() => __lab.open('stream.ipynb')")
        stage = NotebookStage(Screen(page))
        await stage.run_cell()
        await stage.screen.healthy(setup.shows)
        yield stage


async def _loaded(page: Page) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        with contextlib.suppress(RuntimeError):
            if await page.evaluate(IN_PAGE):
                return
        await asyncio.sleep(0.2)
    raise StageError("JupyterLab is not shown")


async def _leave(page: Page) -> None:
    with contextlib.suppress(RuntimeError):
        await page.command("Page.close")


async def restart_kernel(stage: NotebookStage) -> float:
    """The user runs the cell again as soon as the kernel is there."""
    since = time.monotonic()
    await stage.restart_kernel()
    await stage.run_cell()
    return since
