"""A notebook in JupyterLab as its user sees it: cells, widgets, saving, the kernel.

Must not know what framewire's widgets do.
"""

from __future__ import annotations

import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from benchmarks.lab import IN_PAGE, LabServer, words

if TYPE_CHECKING:
    from playwright.async_api import Page


@dataclass(frozen=True)
class LabNotebook:
    """One notebook open in JupyterLab. Cells are numbered as a reader numbers them: code cells, from 1."""

    page: Page
    server: LabServer
    path: Path

    @classmethod
    async def open(cls, page: Page, server: LabServer, original: Path) -> LabNotebook:
        """Open a copy of ``original`` with a kernel of its own; loads JupyterLab where ``page`` does not show it."""
        path = server.notebooks / f"{original.stem}-{secrets.token_hex(2)}.ipynb"
        shutil.copy(original, path)
        if not page.url.startswith(server.url):
            await page.goto(f"{server.url}lab?reset&token={server.token}")
            await page.wait_for_function(IN_PAGE, timeout=60_000)
        await page.evaluate("(path) => __lab.open(path)", path.name)
        return cls(page, server, path)

    async def close(self) -> None:
        """End its kernel and close its tab."""
        await self.page.evaluate("() => __lab.close()")

    async def run(self, *cells: int) -> None:
        """Execute cells one after the other, each to its end. An error in a cell fails the test."""
        for cell in cells:
            await self.start(cell)
            await self.finished()

    async def start(self, cell: int) -> None:
        """Begin to execute a cell."""
        await self.page.evaluate("(cell) => { __lab.running = __lab.run(cell); }", cell)

    async def finished(self) -> None:
        """Wait for the end of the cell that was started."""
        error = await self.page.evaluate("() => __lab.running")
        assert error is None, error

    async def text(self, cell: int) -> str:
        """What the cell printed."""
        text: str = await self.page.evaluate("(cell) => __lab.text(cell)", cell)
        return text

    async def write(self, cell: int, source: str) -> None:
        """Replace a cell's source; the number after the last adds a cell."""
        await self.page.evaluate("([cell, source]) => __lab.write(cell, source)", [cell, source])

    async def ask(self, source: str) -> str:
        """Add a cell with this source at the end and run it; returns what it prints."""
        last: int = await self.page.evaluate("() => __lab.code().length + 1")
        await self.write(last, source)
        await self.run(last)
        return (await self.text(last)).strip()

    async def save(self) -> str:
        """Save the notebook with its widgets' state; returns the file's text."""
        await self.page.evaluate("() => __lab.save()")
        return self.path.read_text()

    async def restart(self) -> None:
        """Restart the kernel, like the menu after its dialogue."""
        await self.page.evaluate("() => __lab.restart()")

    def kernel(self) -> psutil.Process:
        """Its kernel, the only one of the server."""
        (kernel,) = self.server.kernels()
        return kernel

    def engines(self) -> list[psutil.Process]:
        """The engine processes of its kernel."""
        return [child for child in self.kernel().children() if "framewire.engine" in words(child)]
