"""A JupyterLab of a test's own, and a notebook in it as its user sees it: cells, widgets, saving, the kernel.

Must not know what framewire's widgets do; only how to find them on the page.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

if TYPE_CHECKING:
    from playwright.async_api import Page

# Nothing is asked of the user and nothing is fetched; a saved notebook holds its widgets' state.
SETTINGS = {
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyter-widgets/jupyterlab-manager/plugin": {"saveState": True},
}
THEME = "@jupyterlab/apputils-extension/themes"


class LabServer:
    """A JupyterLab server on a folder; nothing of the user's own Jupyter is read or written."""

    def __init__(self, folder: Path, *, theme: str = "JupyterLab Light") -> None:
        self.folder = folder
        self.token = secrets.token_hex(16)
        self.notebooks = folder / "notebooks"
        self.notebooks.mkdir(parents=True)
        self._settings({**SETTINGS, THEME: {"theme": theme}})
        self._log = (folder / "lab.log").open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *self._options()],
            cwd=self.notebooks,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        self.url = ""

    async def ready(self) -> None:
        """Waits until it answers."""
        self.url = await until(self._address, "JupyterLab to start", 60)

    def kernels(self) -> list[psutil.Process]:
        """The kernel processes it runs."""
        children = psutil.Process(self._process.pid).children()
        return [child for child in children if any("ipykernel_launcher" in part for part in child.cmdline())]

    def close(self) -> None:
        """Ends the server and, with it, its kernels."""
        kernels = self.kernels()
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for kernel in kernels:
            with suppress(psutil.NoSuchProcess):
                kernel.kill()
        self._log.close()

    def _settings(self, settings: dict[str, Any]) -> None:
        for name, values in settings.items():
            path = self.folder / "settings" / f"{name}.jupyterlab-settings"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(values))

    def _options(self) -> list[str]:
        return [
            "--no-browser",
            "--allow-root",
            "--ServerApp.ip=127.0.0.1",
            "--ServerApp.port=0",
            f"--ServerApp.root_dir={self.notebooks}",
            f"--IdentityProvider.token={self.token}",
            "--LabApp.expose_app_in_browser=True",
            "--LabApp.extension_manager=readonly",
        ]

    def _environment(self) -> dict[str, str]:
        places = {
            name: str(self.folder / place)
            for name, place in (
                ("JUPYTER_CONFIG_DIR", "config"),
                ("JUPYTER_DATA_DIR", "data"),
                ("JUPYTER_RUNTIME_DIR", "runtime"),
                ("JUPYTERLAB_SETTINGS_DIR", "settings"),
                ("JUPYTERLAB_WORKSPACES_DIR", "workspaces"),
                ("IPYTHONDIR", "ipython"),
            )
        }
        return {**os.environ, **places, "JUPYTER_PREFER_ENV_PATH": "1"}

    def _address(self) -> str | None:
        if self._process.poll() is not None:
            raise AssertionError(f"JupyterLab ended:\n{(self.folder / 'lab.log').read_text()[-4000:]}")
        for told in (self.folder / "runtime").glob("jpserver-*.json"):
            with suppress(OSError, ValueError):
                url: str = json.loads(told.read_text())["url"]
                with urllib.request.urlopen(f"{url}api/status?token={self.token}", timeout=2):
                    return url
        return None


@dataclass(frozen=True)
class LabNotebook:
    """One notebook open in JupyterLab. Cells are counted as a reader counts them: code cells, from 1."""

    page: Page
    path: Path

    @classmethod
    async def open(cls, page: Page, server: LabServer, path: Path) -> LabNotebook:
        """Opens it, with its kernel ready."""
        await page.goto(f"{server.url}lab/tree/{path.name}?reset&token={server.token}")
        await page.wait_for_function(IN_PAGE, timeout=60_000)
        await page.evaluate("() => __lab.ready()")
        return cls(page, path)

    async def run(self, cell: int) -> None:
        """Executes a cell and waits for its end. An error in it is this test's error."""
        assert await self.start(cell) is None
        await self.finished()

    async def start(self, cell: int) -> None:
        """Begins to execute a cell."""
        await self.page.evaluate("(cell) => { __lab.running = __lab.run(cell); }", cell)

    async def finished(self) -> None:
        """Waits for the end of the cell that was started."""
        error = await self.page.evaluate("() => __lab.running")
        assert error is None, error

    async def text(self, cell: int) -> str:
        """What the cell printed."""
        text: str = await self.page.evaluate("(cell) => __lab.text(cell)", cell)
        return text

    async def write(self, cell: int, source: str) -> None:
        """Replaces a cell's source; one after the last is added."""
        await self.page.evaluate("([cell, source]) => __lab.write(cell, source)", [cell, source])

    async def save(self) -> str:
        """Saves the notebook and returns the file's text."""
        await self.page.evaluate("() => __lab.save()")
        return self.path.read_text()

    async def restart(self) -> None:
        """Restarts the kernel, as from the menu after the dialogue."""
        await self.page.evaluate("() => __lab.restart()")


# The app's own commands, not clicks and shortcuts: those are for the tests that are about them.
IN_PAGE = """() => {
  const app = window.jupyterapp;
  const panel = app?.shell.currentWidget;
  if (!panel?.sessionContext || !panel.content?.model) return false;
  const code = () => panel.content.widgets.filter((cell) => cell.model.type === "code");
  window.__lab = {
    app, panel, code,
    async ready() {
      await panel.sessionContext.ready;
      await panel.context.ready;
    },
    async run(number) {
      const cell = code()[number - 1];
      panel.content.activeCellIndex = panel.content.widgets.indexOf(cell);
      await app.commands.execute("notebook:run-cell");
      const outputs = cell.model.outputs.toJSON();
      const error = outputs.find((output) => output.output_type === "error");
      return error ? `${error.ename}: ${error.evalue}\\n${error.traceback.join("\\n")}` : null;
    },
    text(number) {
      const outputs = code()[number - 1].model.outputs.toJSON();
      return outputs.map((output) => [output.text ?? output.data?.["text/plain"] ?? ""].flat().join("")).join("");
    },
    write(number, source) {
      const cells = code();
      if (number <= cells.length) cells[number - 1].model.sharedModel.setSource(source);
      else panel.content.model.sharedModel.addCell({ cell_type: "code", source });
    },
    save: () => panel.context.save(),
    restart: () => panel.sessionContext.session.kernel.restart(),
  };
  return true;
}"""


async def until(look: Callable[[], Any], what: str, seconds: float = 20.0) -> Any:
    """Looks until there is something true to see, which it returns; fails in words that say what was missing."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        seen = look()
        if asyncio.iscoroutine(seen):
            seen = await seen
        if seen:
            return seen
        await asyncio.sleep(0.1)
    raise AssertionError(f"waited {seconds:.0f} s for {what}")
