"""Drives a Firefox with WebDriver BiDi: JSON over a WebSocket, which a stock Firefox understands.

Must not know framewire. The commands: https://www.w3.org/TR/webdriver-bidi/
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp

PREFERENCES = {
    # No traffic but the test's own, and no pages of its own.
    "app.update.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "media.gmp-manager.url": "",
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "toolkit.telemetry.enabled": False,
}


class BidiError(Exception):
    """The browser refused a command, or a script on the page failed."""


class Tab:
    """One tab; `probe` and `stage` can use it like a Playwright page."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._ids = itertools.count(1)
        self._context = ""

    async def open(self) -> None:
        await self.send("session.new", capabilities={})
        tree = await self.send("browsingContext.getTree")
        self._context = tree["contexts"][0]["context"]

    async def goto(self, url: str) -> None:
        await self.send("browsingContext.navigate", context=self._context, url=url, wait="complete")

    async def evaluate(self, code: str, argument: Any = None) -> Any:
        """The value of an expression, or what a function returns for ``argument``, as JSON."""
        called = f"({code})({json.dumps(argument)})" if "=>" in code else code
        expression = f"(async () => JSON.stringify(await ({called})) ?? 'null')()"
        target = {"context": self._context}
        found = await self.send("script.evaluate", expression=expression, target=target, awaitPromise=True)
        if found["type"] != "success":
            raise BidiError(found["exceptionDetails"]["text"])
        return json.loads(found["result"]["value"])

    async def click(self, x: int, y: int) -> None:
        """Press and release the left button at a point of the page."""
        at = {"type": "pointerMove", "x": x, "y": y}
        press, release = {"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}
        mouse = {"type": "pointer", "id": "mouse", "actions": [at, press, release]}
        await self.send("input.performActions", context=self._context, actions=[mouse])

    async def send(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._ids)
        await self._socket.send_json({"id": number, "method": method, "params": params})
        async for message in self._socket:
            said = json.loads(message.data)
            if said.get("id") != number:
                continue  # an event
            if said["type"] == "error":
                raise BidiError(f"{method}: {said['message']}")
            result: dict[str, Any] = said["result"]
            return result
        raise BidiError(f"{method}: the browser has gone")


@contextlib.asynccontextmanager
async def firefox_tab(program: str, profile: Path) -> AsyncIterator[Tab]:
    """A headless Firefox with a fresh profile in ``profile``, and its one tab."""
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(it)});" for name, it in PREFERENCES.items()]
    (profile / "user.js").write_text("\n".join(lines))
    command = [
        program,
        "--headless",
        "--no-remote",
        "--profile",
        str(profile),
        "--remote-debugging-port=0",
        "about:blank",
    ]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    try:
        address = await asyncio.wait_for(_address(process), 60)
        async with (
            aiohttp.ClientSession() as http,
            http.ws_connect(f"{address}/session", max_msg_size=0) as socket,
        ):
            tab = Tab(socket)
            await tab.open()
            yield tab
    finally:
        process.terminate()
        await process.wait()
        process._transport.close()  # type: ignore[attr-defined]


async def _address(process: asyncio.subprocess.Process) -> str:
    assert process.stderr
    async for line in process.stderr:
        if found := re.search(r"WebDriver BiDi listening on (ws://\S+)", line.decode()):
            return found[1]
    raise BidiError("Firefox ended before it listened")
