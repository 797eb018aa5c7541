"""A Chromium and its pages, driven through a pipe (the DevTools protocol). Must not know what is measured.

Playwright would record the network traffic of each page: Chromium then copies every WebSocket message once more, as
text, which keeps two cores busy at a fifth of a gigabit. This module does not ask for the traffic, so that a page
receives as fast as it does for a user.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Final

QUIET: Final = (
    "--headless",
    "--remote-debugging-pipe",
    "--no-startup-window",
    "--no-default-browser-check",
    "--disable-breakpad",
    "--disable-default-apps",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-field-trial-config",
    "--disable-hang-monitor",
    "--force-color-profile=srgb",
    "--hide-scrollbars",
    "--mute-audio",
    "--password-store=basic",
)
READ_FD, WRITE_FD = 3, 4
"""Where a browser with ``--remote-debugging-pipe`` reads commands, and where it answers."""
ANSWER_TIMEOUT_S: Final = 30.0
"""The browser must answer a command within this time."""


class BrowserGoneError(RuntimeError):
    """The browser ended, or does not answer."""


@contextlib.asynccontextmanager
async def launched(program: Path, flags: Sequence[str]) -> AsyncIterator[Browser]:
    """A browser with a profile of its own; both are removed afterwards."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = await Browser.start([str(program), *QUIET, *flags, f"--user-data-dir={profile}"])
        try:
            yield browser
        finally:
            await browser.close()


class Browser:
    """A running Chromium."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        answers: asyncio.StreamReader,
        transport: asyncio.BaseTransport,
        commands: int,
    ) -> None:
        self._process = process
        self._answers = answers
        self._transport = transport
        self._commands = commands
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._last = 0
        self._closed = False
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, command: Sequence[str]) -> Browser:
        theirs, commands = os.pipe()
        answers, theirs_too = os.pipe()
        # The protocol fixes the numbers of the descriptors: a shell puts the ends of the pipes there.
        placed = ["bash", "-c", f'exec "$@" {READ_FD}<&{theirs} {WRITE_FD}>&{theirs_too}', "bash", *command]
        process = await asyncio.create_subprocess_exec(
            *placed, pass_fds=(theirs, theirs_too), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
        )
        os.close(theirs)
        os.close(theirs_too)
        reader = asyncio.StreamReader(limit=1 << 26)
        loop = asyncio.get_running_loop()
        pipe = os.fdopen(answers, "rb")
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
        return cls(process, reader, transport, commands)

    @property
    def pid(self) -> int:
        """The browser's own process: the parent of all its others."""
        return self._process.pid

    async def open(self, url: str, width: int, height: int, script: str, *, waits: bool = True) -> Page:
        """A page of a context of its own; ``script`` runs in every document before the document's own. ``waits``: until
        the server has answered."""
        context = await self.command("Target.createBrowserContext")
        size: dict[str, Any] = {"width": width, "height": height}
        made = await self.command("Target.createTarget", url="about:blank", **context, **size, newWindow=True)
        session = await self.command("Target.attachToTarget", targetId=made["targetId"], flatten=True)
        page = Page(self, session["sessionId"])
        await page.command("Page.enable")
        screen: dict[str, Any] = {"screenWidth": width, "screenHeight": height}
        await page.command("Emulation.setDeviceMetricsOverride", **size, **screen, deviceScaleFactor=1, mobile=False)
        await page.command("Emulation.setFocusEmulationEnabled", enabled=True)
        await page.command("Page.addScriptToEvaluateOnNewDocument", source=script)
        if waits:
            await page.command("Page.navigate", url=url)
        else:
            page.begin("Page.navigate", url=url)
        return page

    async def command(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """Send a command and wait for its result. Raises `BrowserGoneError` without an answer, else `RuntimeError`."""
        try:
            answer = self.begin(method, session, **parameters)
            said = await asyncio.wait_for(answer, ANSWER_TIMEOUT_S)
        except (OSError, TimeoutError) as error:
            raise BrowserGoneError(f"the browser does not answer {method}") from error
        if "error" in said:
            raise RuntimeError(f"{method}: {said['error'].get('message')}")
        result: dict[str, Any] = said["result"]
        return result

    def begin(self, method: str, session: str | None = None, **parameters: Any) -> asyncio.Future[dict[str, Any]]:
        """Send a command; its answer comes later."""
        self._last += 1
        message = {"id": self._last, "method": method, "params": parameters}
        answer = self._waiting[self._last] = asyncio.get_running_loop().create_future()
        if session:
            message["sessionId"] = session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        return answer

    async def close(self) -> None:
        """Idempotent."""
        if self._closed:
            return
        self._closed = True
        with contextlib.suppress(RuntimeError):
            await self.command("Browser.close")
        with contextlib.suppress(ProcessLookupError):
            try:
                await asyncio.wait_for(self._process.wait(), 5)
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        self._reader.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._reader
        self._transport.close()
        os.close(self._commands)

    async def _read(self) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                said = json.loads((await self._answers.readuntil(b"\0"))[:-1])
                answer = self._waiting.pop(said.get("id", 0), None)
                if answer and not answer.done():
                    answer.set_result(said)
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(BrowserGoneError("the browser ended"))


class Page:
    """One page, with the DevTools session that drives it."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser = browser
        self._session = session

    async def command(self, method: str, **parameters: Any) -> dict[str, Any]:
        return await self._browser.command(method, self._session, **parameters)

    def begin(self, method: str, **parameters: Any) -> None:
        """Send a command without waiting for its answer."""
        self._browser.begin(method, self._session, **parameters)

    async def evaluate(self, function: str, argument: Any = None) -> Any:
        """What a JavaScript function returns, awaited. Raises `RuntimeError` where it throws."""
        expression = f"({function.strip()})({json.dumps(argument)})"
        said = await self.command("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in said:
            raise RuntimeError(said["exceptionDetails"].get("text", "it threw"))
        return said["result"].get("value")

    async def screenshot(self) -> bytes:
        """What the page shows, as PNG."""
        return base64.b64decode((await self.command("Page.captureScreenshot", format="png"))["data"])
