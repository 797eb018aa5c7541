"""Runs one system in one scenario, and measures what a viewer sees. Must not know which systems there are.

The publisher is a process of its own, the browser another; this process only observes them: the screen through
`probe`, processes through psutil, the link through its counters.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks import probe
from benchmarks.browser import Browser, Page, launched
from benchmarks.contents import clip_path, position
from benchmarks.link import Place, place_for
from benchmarks.numbers import (
    NAN,
    REST_S,
    ByteCount,
    Outcome,
    Screenshot,
    coloured,
    follow,
    note_bytes,
    psnr,
    rest,
    watch,
)
from benchmarks.scenarios import Scenario
from benchmarks.systems import System, command, environment, page_address

CHROMIUM = "/usr/bin/chromium"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--disable-background-timer-throttling",
)
PORT = 18700
FIRST_PICTURE_S = 25.0
"""The first picture must come within this time."""
STILL_S = REST_S[1] + 0.5
"""How long screenshots are taken of a picture that stands still."""
SCREENSHOT_INTERVAL_S = 0.1
"""From one screenshot to the next."""
COUNT_INTERVAL_S = 0.2
"""From one reading of the link's counters to the next."""
QUALITY_SCREENSHOTS = 3
REFRESH_HZ = 60.0
"""The screen's refresh rate."""


@dataclass
class Publisher:
    """A running publisher."""

    process: asyncio.subprocess.Process
    url: str
    log: Path

    def tell(self, order: str) -> None:
        assert self.process.stdin is not None, "started with a pipe"
        with contextlib.suppress(OSError):
            self.process.stdin.write(f"{order}\n".encode())

    async def end(self) -> dict[int, float]:
        """Stop it; returns when it published which frame."""
        self.tell("stop")
        try:
            await asyncio.wait_for(self.process.wait(), 10)
        except TimeoutError:
            kill_tree(self.process.pid)
            await self.process.wait()
        if not self.log.exists():
            return {}
        return {int(number): at for number, at in np.load(self.log)}


async def measure(system: System, scenario: Scenario) -> Outcome:
    """One system in one scenario. The outcome holds the error, if there is one."""
    outcome = Outcome(system.name, scenario.name)
    try:
        with place_for(scenario.link) as place, tempfile.TemporaryDirectory() as folder:
            await _measure(system, scenario, place, Path(folder), outcome)
    except (TimeoutError, LookupError, RuntimeError, OSError) as error:
        outcome.error = f"{type(error).__name__}: {error}".splitlines()[0][:200]
    return outcome


@dataclass
class Run:
    """What is recorded during a run; it is judged when the run is over."""

    seen: list[probe.Sighting] = field(default_factory=list)
    counts: list[ByteCount] = field(default_factory=list)
    screenshots: list[Screenshot] = field(default_factory=list)
    link_began: float = NAN
    window: tuple[float, float] = (NAN, NAN)
    """Seconds since the Unix epoch, like all times here."""


async def _measure(system: System, scenario: Scenario, place: Place, folder: Path, outcome: Outcome) -> None:
    publisher = await _start(system, scenario, place, folder)
    run = Run()
    try:
        async with _browser(place, folder, publisher.url) as browser:
            await _play(browser, system, scenario, place, publisher, run, outcome)
            await asyncio.wait_for(browser.close(), 15)
    finally:
        sent = await publisher.end()
    watch(outcome, run.seen, sent, *run.window)
    note_bytes(outcome, run.counts, scenario.link, run.link_began, run.window[0])
    if scenario.link and len(scenario.link.phases) > 1:
        follow(outcome, run.seen, sent, run.counts, scenario.link, run.link_began, run.window[1])
    if scenario.stops:
        rest(outcome, run.seen, sent, run.counts, run.screenshots)


async def _play(
    browser: Any, system: System, scenario: Scenario, place: Place, publisher: Publisher, run: Run, outcome: Outcome
) -> None:
    began = time.time()
    page, *_ = [await _open(browser, scenario, page_address(system, publisher.url)) for _ in range(scenario.viewers)]
    await _first_picture(page, run.seen, publisher)
    outcome.first_ms = (run.seen[0].at - began) * 1000
    await asyncio.sleep(scenario.warm_up)
    async with _counting(place, run.counts):
        run.link_began = place.begin()
        run.window = await _window(scenario, place, publisher, outcome)
        if publisher.process.returncode is not None:
            raise RuntimeError(f"its publisher ended: {last_words(publisher.log.parent)}")
        pictures = await _still(page, publisher) if scenario.stops else []
    # Judging waits for the end: before, it would take processor time from what is measured.
    run.screenshots = [judged for picture in pictures if (judged := _judge(scenario, *picture))]
    run.seen += await probe.take(page)
    if not scenario.stops:
        await _quality(scenario, page, outcome)


@contextlib.asynccontextmanager
async def _counting(place: Place, counts: list[ByteCount]) -> AsyncIterator[None]:
    """Read the link's counters at intervals meanwhile."""

    def count() -> None:
        counts.append(ByteCount(time.time(), place.octets()))

    async def go_on() -> None:
        while True:
            await asyncio.sleep(COUNT_INTERVAL_S)
            count()

    count()
    task = asyncio.create_task(go_on())
    try:
        yield
        count()
    finally:
        task.cancel()


async def _start(system: System, scenario: Scenario, place: Place, folder: Path) -> Publisher:
    log = folder / "published.npy"
    clip = clip_path(scenario.content, scenario.width, scenario.height)
    options = {
        "clip": clip,
        "log": log,
        "width": scenario.width,
        "height": scenario.height,
        "fps": scenario.fps,
        "pace": pace(scenario.fps, scenario.seconds),
        "host": place.host,
        "port": PORT,
        "codec": system.codec,
        "viewers": scenario.viewers,
    }
    arguments = [f"--{name}={value}" for name, value in options.items()]
    process = await asyncio.create_subprocess_exec(
        *place.server_prefix,
        *command(system, arguments),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=(folder / "stderr").open("wb"),
        env=environment(),
    )
    assert process.stdout is not None, "started with a pipe"
    try:
        line = await asyncio.wait_for(process.stdout.readline(), 30)
        url = json.loads(line)["url"]
    except (TimeoutError, ValueError) as error:
        kill_tree(process.pid)
        raise RuntimeError(f"its publisher did not start: {last_words(folder) or error!r}") from error
    return Publisher(process, url, log)


def last_words(folder: Path) -> str:
    """The last line that a publisher wrote to its standard error."""
    words = (folder / "stderr").read_text(errors="replace").strip().splitlines()
    return words[-1] if words else ""


def pace(fps: float, seconds: float) -> float:
    """The rate to publish at: a little less than ``fps``, so that the window has all delays to the screen's refresh.

    The publisher falls behind the screen by one refresh over the window. At ``fps`` itself all frames of a run would
    wait equally long for the screen, from nothing to a whole refresh.
    """
    return 1 / (1 / fps + 1 / REFRESH_HZ / (fps * seconds))


@contextlib.asynccontextmanager
async def _browser(place: Place, folder: Path, url: str) -> AsyncIterator[Browser]:
    launcher = folder / "chromium"
    prefix = " ".join(place.viewer_prefix)
    launcher.write_text(f'#!/bin/sh\nexec {prefix} {CHROMIUM} "$@"\n')
    launcher.chmod(0o755)
    # WebCodecs needs a secure context, and the two ends are not on localhost inside the namespaces.
    origins = [f"http://{place.host}:{port}" for port in (PORT, PORT + 1)]
    flags = [*FLAGS, f"--unsafely-treat-insecure-origin-as-secure={','.join(origins)}"]
    async with launched(launcher, flags) as browser:
        yield browser


async def _open(browser: Browser, scenario: Scenario, url: str) -> Page:
    # Frames of a page that is still loading count as well.
    script = f"addEventListener('DOMContentLoaded', () => ({probe.SCRIPT.strip()})(null))"
    return await browser.open(url, scenario.width, scenario.height, script)


async def _first_picture(page: Any, seen: list[probe.Sighting], publisher: Publisher) -> None:
    until = time.monotonic() + FIRST_PICTURE_S
    while not seen:
        if publisher.process.returncode is not None:
            raise RuntimeError(f"its publisher ended: {last_words(publisher.log.parent)}")
        if time.monotonic() > until:
            raise RuntimeError(f"no picture in {FIRST_PICTURE_S:.0f} s")
        await asyncio.sleep(0.1)
        with contextlib.suppress(Exception):  # the page is still being made
            seen += await probe.take(page)


async def _window(scenario: Scenario, place: Place, publisher: Publisher, outcome: Outcome) -> tuple[float, float]:
    """Let it run, and note what it costs."""
    server = Consumption(publisher.process.pid)
    viewer = Consumption(*_browser_roots(publisher.process.pid))
    us, octets, busy, began = Consumption(os.getpid()), place.octets(), _busy(), time.time()
    await asyncio.sleep(scenario.seconds)
    ended = time.time()
    outcome.mbps = (place.octets() - octets) * 8 / 1e6 / (ended - began)
    outcome.cpu_server, outcome.cpu_browser = server.percent(), viewer.percent()
    outcome.others = max(0.0, 100 * (_busy() - busy) / (ended - began) - us.percent())
    outcome.memory_mb = server.memory_mb()
    return began, ended


async def _quality(scenario: Scenario, page: Any, outcome: Outcome) -> None:
    """Compare painted pictures with published ones, while they move."""
    judged = [_judge(scenario, *await _picture(page)) for _ in range(QUALITY_SCREENSHOTS)]
    good = [each for each in judged if each]
    if good:
        outcome.psnr_db = float(np.median([each.psnr_db for each in good]))
        outcome.error_p99 = float(np.median([each.error_p99 for each in good]))
        outcome.colour_db = float(np.median([each.colour_db for each in good]))


async def _still(page: Any, publisher: Publisher) -> list[tuple[float, bytes]]:
    """End the motion, and take screenshots of what the screen then shows."""
    publisher.tell("pause")
    until = time.monotonic() + STILL_S
    taken = []
    while (now := time.monotonic()) < until:
        taken.append(await _picture(page))
        await asyncio.sleep(max(0.0, now + SCREENSHOT_INTERVAL_S - time.monotonic()))
    return taken


async def _picture(page: Any) -> tuple[float, bytes]:
    """When a screenshot was taken, and the screenshot as PNG."""
    png: bytes = await page.screenshot()
    return time.time(), png


def _judge(scenario: Scenario, at: float, png: bytes) -> Screenshot | None:
    """Compare a screenshot with the frame whose number it shows; None where the number cannot be read."""
    from PIL import Image

    painted = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
    number = probe.read(painted)
    if number is None or painted.shape[:2] != (scenario.height, scenario.width):
        return None
    clip = np.load(clip_path(scenario.content, scenario.width, scenario.height), mmap_mode="r")
    published = probe.stamp(clip[position(number, len(clip))].copy(), number)
    colours = coloured(published)
    colour_db = psnr(painted[colours], published[colours])[0] if colours.any() else NAN
    return Screenshot(at, number, *psnr(painted, published), colour_db)


class Consumption:
    """Processor time and memory of process trees, from the moment of its making."""

    def __init__(self, *roots: int) -> None:
        self._roots = roots
        self._began = time.monotonic()
        self._before = self._times()

    def percent(self) -> float:
        """Processor time since the beginning, in percent of one core."""
        now = self._times()
        spent = sum(time - self._before.get(pid, 0.0) for pid, time in now.items())
        return 100 * spent / (time.monotonic() - self._began)

    def memory_mb(self) -> float:
        total = 0
        for process in _trees(self._roots):
            with contextlib.suppress(psutil.Error):
                total += process.memory_full_info().uss
        return total / 1e6

    def _times(self) -> dict[int, float]:
        times = {}
        for process in _trees(self._roots):
            with contextlib.suppress(psutil.Error):
                spent = process.cpu_times()
                times[process.pid] = spent.user + spent.system
        return times


def _busy() -> float:
    """Seconds that all cores together were not idle, including time that a hypervisor took."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0))


def _trees(roots: Iterable[int]) -> list[psutil.Process]:
    found: dict[int, psutil.Process] = {}
    for root in roots:
        with contextlib.suppress(psutil.Error):
            top = psutil.Process(root)
            for process in (top, *top.children(recursive=True)):
                found[process.pid] = process
    return list(found.values())


def _browser_roots(server: int) -> list[int]:
    """The browser's own processes."""
    return [p.pid for p in psutil.Process().children(recursive=True) if p.pid != server and _is_browser(p)]


def _is_browser(process: psutil.Process) -> bool:
    try:
        return "chrom" in process.name()
    except psutil.Error:
        return False


def kill_tree(root: int) -> None:
    for process in _trees([root]):
        with contextlib.suppress(psutil.Error):
            process.kill()
