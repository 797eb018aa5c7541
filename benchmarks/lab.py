"""A JupyterLab server on a folder of its own, and what a page of it can do. Must not know what notebooks hold."""

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
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

START_S = 60.0
"""The server must answer within this time."""

# No dialogues and no downloads; a saved notebook holds its widgets' state.
SETTINGS = {
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyter-widgets/jupyterlab-manager/plugin": {"saveState": True},
}


class LabServer:
    """A JupyterLab server on a folder; it neither reads nor writes the user's own Jupyter settings."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.token = secrets.token_hex(16)
        self.notebooks = folder / "notebooks"
        self.notebooks.mkdir(parents=True)
        self._settings(SETTINGS)
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
        """Wait until it answers."""
        deadline = time.monotonic() + START_S
        while not (url := self._address()):
            if time.monotonic() > deadline:
                raise AssertionError(f"JupyterLab does not answer:\n{self._last_words()}")
            await asyncio.sleep(0.1)
        self.url = url

    def kernels(self) -> list[psutil.Process]:
        """Its kernel processes."""
        return [child for child in psutil.Process(self._process.pid).children() if "ipykernel_launcher" in words(child)]

    def close(self) -> None:
        """End the server and its kernels."""
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

    def _last_words(self) -> str:
        return (self.folder / "lab.log").read_text()[-4000:]

    def _address(self) -> str | None:
        if self._process.poll() is not None:
            raise AssertionError(f"JupyterLab ended:\n{self._last_words()}")
        for info in (self.folder / "runtime").glob("jpserver-*.json"):
            with suppress(OSError, ValueError):
                url: str = json.loads(info.read_text())["url"]
                with urllib.request.urlopen(f"{url}api/status?token={self.token}", timeout=2):
                    return url
        return None


def words(process: psutil.Process) -> list[str]:
    """Its command line; empty when it has ended."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []


# It uses the app's own commands; clicks and shortcuts are for the tests about them.
IN_PAGE = """() => {
  const app = window.jupyterapp;
  if (!app?.commands.hasCommand("docmanager:open") || !app.commands.hasCommand("notebook:run-cell")) return false;
  let panel;
  const code = () => panel.content.widgets.filter((cell) => cell.model.type === "code");
  const outputs = (number) => code()[number - 1].model.outputs.toJSON();
  window.__lab = {
    app,
    code,
    async open(path) {
      panel = await app.commands.execute("docmanager:open", { path });
      await panel.context.ready;
      await panel.sessionContext.ready;
    },
    async close() {
      await panel.sessionContext.shutdown();
      await panel.context.save();
      panel.close();
    },
    async run(number) {
      panel.content.activeCellIndex = panel.content.widgets.indexOf(code()[number - 1]);
      await app.commands.execute("notebook:run-cell");
      const error = outputs(number).find((output) => output.output_type === "error");
      return error ? `${error.ename}: ${error.evalue}\\n${error.traceback.join("\\n")}` : null;
    },
    text: (number) => outputs(number).flatMap((output) => output.text ?? output.data?.["text/plain"] ?? "").join(""),
    write(number, source) {
      if (number <= code().length) code()[number - 1].model.sharedModel.setSource(source);
      else panel.content.model.sharedModel.addCell({ cell_type: "code", source });
    },
    save: () => panel.context.save(),
    restart: () => panel.sessionContext.session.kernel.restart(),
    scrolled: () => panel.content.outerNode?.scrollTop ?? panel.content.node.scrollTop,
    cells: () => panel.content.widgets.length,
    mode: () => panel.content.mode,
  };
  return app.restored.then(() => true);
}"""
