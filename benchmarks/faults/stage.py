"""What a fault is played on: a user's program with its engine, a browser with a page, and a network between, or none.

Must not know any fault, nor how many are played.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from benchmarks import probe
from benchmarks.browser import Browser, BrowserGoneError, Page, launched
from benchmarks.faults.network import Cable, End, cable
from benchmarks.faults.servers import OtherServer
from benchmarks.faults.times import GAP_S, Seen, longest_gap, moving_again
from benchmarks.measure import CHROMIUM, FLAGS, kill_tree
from benchmarks.systems import environment

START_S = 40.0
"""The program must serve, and the page must show its picture, within this time: others may use the machine too."""
LOOK_S = 0.1
"""From one look at the page to the next."""
HEALTHY_S = 1.0
"""The picture must move for so long before a fault."""
SIZE = (480, 360)
"""Of the page."""
BASE = time.monotonic()
"""Frames are numbered from here; the numbers last for four hours."""
STATUS = "() => [...(globalThis.__framewire?.views ?? [])].map((view) => view.debug().status ?? {})"


class StageError(RuntimeError):
    """The stage could not be set up, so nothing was measured."""


@dataclass(frozen=True)
class Setup:
    """How a stage is made."""

    mode: str = "auto"
    """What the page asks for."""
    shows: str = "webrtc"
    """What the page must show before the fault."""
    cable: bool = False
    """Program and browser are in network namespaces of their own, with a cable between."""
    own_browser: bool = False
    """The fault is one of the browser's: no other stage may use it."""
    variables: dict[str, str] = field(default_factory=dict)
    """Of the program's environment; ``{folder}`` is the stage's folder."""
    prefix: tuple[str, ...] = ()
    """A command that runs the program."""
    beside: Callable[[Path, Cable | None], OtherServer] | None = None
    """Another server between program and viewer."""


class Program:
    """The user's program. `start` starts it anew at the same address."""

    def __init__(self, setup: Setup, place: Cable | None, folder: Path, serve: dict[str, Any]) -> None:
        self._setup, self._folder = setup, folder
        self._inside = place.server.inside if place else ()
        self._host = place.server.address if place else "127.0.0.1"
        self._process: asyncio.subprocess.Process | None = None
        self._serve: dict[str, Any] = {"host": self._host, "port": 0, **serve}
        self._variables = {name: value.format(folder=folder) for name, value in setup.variables.items()}
        self.url = ""

    async def start(self) -> None:
        options = json.dumps({"base": BASE, "serve": self._serve})
        command = [*self._inside, *self._setup.prefix, sys.executable, "-m", "benchmarks.faults.program", options]
        with (self._folder / "program.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**_environment(), **self._variables},
            )
        said = await self._answer()
        self.url = said["url"]
        self._serve |= {"port": said["port"], "token": said["token"]}
        self.port: int = said["port"]

    @property
    def pid(self) -> int:
        """The process that publishes; a prefix may have started it."""
        assert self._process, "started"
        return self._process.pid

    @property
    def engine(self) -> psutil.Process:
        """The engine that runs now. Raises `StageError`."""
        for process in psutil.Process(self.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if "framewire.engine" in process.cmdline():
                    return process
        raise StageError("there is no engine")

    async def resize(self, size: str) -> None:
        assert self._process and self._process.stdin, "started with a pipe"
        self._process.stdin.write(f"{size}\n".encode())
        await self._answer()

    async def kill(self) -> None:
        """End the program, not its engine, as ``kill -9`` does."""
        assert self._process, "started"
        self._process.kill()
        await self._process.wait()
        self._process._transport.close()  # type: ignore[attr-defined]

    async def close(self) -> None:
        if self._process is None:
            return
        kill_tree(self._process.pid)
        await self._process.wait()
        self._process._transport.close()  # type: ignore[attr-defined]

    async def _answer(self) -> dict[str, Any]:
        assert self._process and self._process.stdout, "started with a pipe"
        try:
            line = await asyncio.wait_for(self._process.stdout.readline(), START_S)
            said: dict[str, Any] = json.loads(line)
        except (TimeoutError, ValueError) as error:
            raise StageError(f"the program does not answer: {self.last_words() or error!r}") from error
        return said

    def last_words(self) -> str:
        log = self._folder / "program.log"
        lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
        return lines[-1] if lines else ""


def _environment() -> dict[str, str]:
    """As a user has it: Python keeps what it has compiled."""
    return {name: value for name, value in environment().items() if name != "PYTHONDONTWRITEBYTECODE"}


class Screen:
    """What one page shows. The page may crash and be loaded again; what was seen stays."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.seen: list[Seen] = []

    async def look(self) -> None:
        """Take what has been seen since the last look; nothing where the page does not answer."""
        with contextlib.suppress(BrowserGoneError, RuntimeError, TimeoutError):
            taken = await asyncio.wait_for(self.page.evaluate(probe.TAKE), 2)
            wall = time.time() - time.monotonic()
            self.seen += [Seen(one.at - wall, BASE + one.number / 1000) for one in probe.sightings(taken)]

    async def moves(self, since: float, limit: float) -> float | None:
        """Seconds from ``since`` until the picture moves again; None where it does not within the limit."""
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            await self.look()
            took = moving_again(self.seen, since, time.monotonic())
            if took is not None:
                return took
            await asyncio.sleep(LOOK_S)
        return None

    async def showing(self) -> str:
        with contextlib.suppress(BrowserGoneError, RuntimeError, TimeoutError):
            statuses = await asyncio.wait_for(self.page.evaluate(STATUS), 2)
            return str(statuses[0].get("showing", "")) if statuses else ""
        return ""

    async def shows(self, mode: str, limit: float) -> float | None:
        """When it showed pictures of this mode; None where it does not within the limit."""
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            await self.look()
            if await self.showing() == mode:
                return time.monotonic()
            await asyncio.sleep(LOOK_S)
        return None

    async def healthy(self, mode: str) -> None:
        """Wait until it shows a moving picture of this mode. Raises `StageError`."""
        if await self.shows(mode, START_S) is None:
            raise StageError(f"the page shows {await self.showing() or 'nothing'}, not {mode}")
        since = time.monotonic()
        while longest_gap(self.seen, max(since, time.monotonic() - HEALTHY_S), time.monotonic()) > GAP_S or (
            time.monotonic() - since < HEALTHY_S
        ):
            await asyncio.sleep(LOOK_S)
            await self.look()
            if time.monotonic() - since > START_S:
                raise StageError("the picture does not move before the fault")


@dataclass(frozen=True)
class Took:
    """What a fault has measured itself."""

    seconds: float


Stack = contextlib.AsyncExitStack


class Stage:
    """One program, one browser, one page."""

    def __init__(
        self, program: Program, browser: Browser, screen: Screen, place: Cable | None, folder: Path, stack: Stack
    ) -> None:
        self.program, self.browser, self.screen, self.folder = program, browser, screen, folder
        self._place, self._stack = place, stack
        self._beside: OtherServer | None = None

    @property
    def place(self) -> Cable:
        assert self._place, "the fault's setup has a cable"
        return self._place

    @property
    def beside(self) -> OtherServer:
        assert self._beside, "the fault's setup has another server"
        return self._beside

    async def open(self) -> Screen:
        """One more page of the same stream; it may not have come yet."""
        return await _page(self.browser, self.program.url, waits=False)

    async def open_elsewhere(self) -> Screen:
        """A page on the third machine."""
        browser = await self._stack.enter_async_context(browsing(self.place.other))
        return await _page(browser, self.program.url)


def stop(*processes: psutil.Process) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.send_signal(signal.SIGSTOP)


def go_on(*processes: psutil.Process) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.send_signal(signal.SIGCONT)


def tree(pid: int) -> list[psutil.Process]:
    top = psutil.Process(pid)
    return [top, *top.children(recursive=True)]


@contextlib.asynccontextmanager
async def browsing(place: End | None = None) -> AsyncIterator[Browser]:
    """A browser, on a machine of the cable where there is one."""
    with tempfile.TemporaryDirectory() as folder:
        launcher = Path(folder) / "chromium"
        launcher.write_text(f'#!/bin/sh\nexec {" ".join(place.inside) if place else ""} {CHROMIUM} "$@"\n')
        launcher.chmod(0o755)
        async with launched(launcher, FLAGS) as browser:
            yield browser


@contextlib.asynccontextmanager
async def staged(setup: Setup, shared: Browser | None = None) -> AsyncIterator[Stage]:
    """A stage with a healthy picture. ``shared``: a browser for setups without one of their own."""
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        place = stack.enter_context(cable()) if setup.cable else None
        beside = setup.beside(folder, place) if setup.beside else None
        program = Program(setup, place, folder, beside.serve if beside else {})
        stack.push_async_callback(program.close)
        if beside:
            stack.push_async_callback(beside.stop)
            await beside.start()
        await program.start()
        own = setup.cable or setup.own_browser or shared is None
        browser = await stack.enter_async_context(browsing(place.viewer if place else None)) if own else shared
        assert browser, "there is a shared one, or one of its own"
        screen = await _page(browser, beside.url(program.url) if beside else program.url, setup.mode)
        stack.push_async_callback(_leave, screen)
        await screen.healthy(setup.shows)
        stage = Stage(program, browser, screen, place, folder, stack)
        stage._beside = beside
        yield stage


async def _page(browser: Browser, url: str, mode: str = "auto", *, waits: bool = True) -> Screen:
    page, _, token = url.partition("#")
    address = f"{page}?mode={mode}#{token}" if mode != "auto" else url
    script = f"addEventListener('DOMContentLoaded', () => ({probe.SCRIPT.strip()})(null))"
    return Screen(await browser.open(address, *SIZE, script, waits=waits))


async def _leave(screen: Screen) -> None:
    with contextlib.suppress(BrowserGoneError, RuntimeError):
        await screen.page.command("Page.close")
