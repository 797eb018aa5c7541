"""Plays one scenario to one system and measures what a viewer sees of it. Must not know which systems there are.

The publisher is a process of its own, the browser another; this one only looks on: at the screen through
`probe`, at processes through psutil, at the link through its counters.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import math
import os
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks import probe
from benchmarks.contents import clip_path, position
from benchmarks.link import Place, place_for
from benchmarks.numbers import NAN, Outcome, psnr, watch
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
FIRST_PICTURE = 25.0
"""Seconds in which a picture must come."""
SHARP = 45.0
"""dB: what passes for the picture itself."""
STILL = 5.0
"""Seconds in which a picture that stands may become sharp."""
PICTURES = 3
REFRESH = 60.0
"""The screen's, a second."""


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
        """Stop it and read what it published when."""
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
    """One system in one scenario. What goes wrong is said in the outcome."""
    outcome = Outcome(system.name, scenario.name)
    try:
        with place_for(scenario.link) as place, tempfile.TemporaryDirectory() as folder:
            await _measure(system, scenario, place, Path(folder), outcome)
    except (TimeoutError, LookupError, RuntimeError, OSError) as error:
        outcome.error = f"{type(error).__name__}: {error}".splitlines()[0][:200]
    return outcome


async def _measure(system: System, scenario: Scenario, place: Place, folder: Path, outcome: Outcome) -> None:
    publisher = await _start(system, scenario, place, folder)
    sent: dict[int, float] = {}
    seen: list[probe.Sighting] = []
    try:
        async with _browser(place, folder, publisher.url) as browser:
            began = time.time()
            pages = [
                await _open(browser, scenario, page_address(system, publisher.url)) for _ in range(scenario.viewers)
            ]
            await _first_picture(pages[0], seen, publisher)
            outcome.first_ms = (seen[0].at - began) * 1000
            await asyncio.sleep(scenario.warm_up)
            window = await _window(scenario, place, publisher, outcome)
            if publisher.process.returncode is not None:
                raise RuntimeError(f"its publisher ended: {last_words(folder)}")
            seen += await probe.take(pages[0])
            if scenario.stops:
                await _still(scenario, pages[0], publisher, outcome)
            else:
                await _quality(scenario, pages[0], outcome)
            await asyncio.wait_for(browser.close(), 15)
    finally:
        sent = await publisher.end()
    watch(outcome, seen, sent, *window)


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
    """The last line that a publisher wrote of its troubles."""
    words = (folder / "stderr").read_text(errors="replace").strip().splitlines()
    return words[-1] if words else ""


def pace(fps: float, seconds: float) -> float:
    """A little less than ``fps``, so that over the window the publisher falls behind the screen by just one of its
    refreshes: else all frames of a run wait for the screen alike, anything from nothing to a whole refresh."""
    return 1 / (1 / fps + 1 / REFRESH / (fps * seconds))


@contextlib.asynccontextmanager
async def _browser(place: Place, folder: Path, url: str) -> AsyncIterator[Any]:
    from playwright.async_api import async_playwright

    launcher = folder / "chromium"
    prefix = " ".join(place.viewer_prefix)
    launcher.write_text(f'#!/bin/sh\nexec {prefix} {CHROMIUM} "$@"\n')
    launcher.chmod(0o755)
    # WebCodecs wants a secure context; inside the namespaces there is no localhost between the two ends.
    origins = [f"http://{place.host}:{port}" for port in (PORT, PORT + 1)]
    flags = [*FLAGS, f"--unsafely-treat-insecure-origin-as-secure={','.join(origins)}"]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=str(launcher), args=flags, handle_sigint=False)
        try:
            yield browser
        finally:
            with contextlib.suppress(Exception):
                await asyncio.wait_for(browser.close(), 10)


async def _open(browser: Any, scenario: Scenario, url: str) -> Any:
    size = {"width": scenario.width, "height": scenario.height}
    page = await (await browser.new_context(viewport=size, screen=size)).new_page()
    # Frames of a page that is still loading count as well.
    await page.add_init_script(f"addEventListener('DOMContentLoaded', () => ({probe.SCRIPT.strip()})(null))")
    await page.goto(url, wait_until="commit")
    return page


async def _first_picture(page: Any, seen: list[probe.Sighting], publisher: Publisher) -> None:
    until = time.monotonic() + FIRST_PICTURE
    while not seen:
        if publisher.process.returncode is not None:
            raise RuntimeError(f"its publisher ended: {last_words(publisher.log.parent)}")
        if time.monotonic() > until:
            raise RuntimeError(f"no picture in {FIRST_PICTURE:.0f} s")
        await asyncio.sleep(0.1)
        with contextlib.suppress(Exception):  # the page is still being made
            seen += await probe.take(page)


async def _window(scenario: Scenario, place: Place, publisher: Publisher, outcome: Outcome) -> tuple[float, float]:
    """Let it play, and note what it costs."""
    place.begin()
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
    """The painted picture against the published one, while it moves."""
    judged = [await _judge(scenario, page) for _ in range(PICTURES)]
    good = [one for one in judged if one]
    if good:
        outcome.psnr_db = float(np.median([one[0] for one in good]))
        outcome.error_p99 = float(np.median([one[1] for one in good]))


async def _still(scenario: Scenario, page: Any, publisher: Publisher, outcome: Outcome) -> None:
    """Motion ends: how good does the picture become, and how soon."""
    publisher.tell("pause")
    began = time.time()
    outcome.settled_ms = math.inf
    best = NAN
    while time.time() - began < STILL:
        if judged := await _judge(scenario, page):
            best, outcome.error_p99 = judged
            if best >= SHARP and outcome.settled_ms == math.inf:
                outcome.settled_ms = (time.time() - began) * 1000
        await asyncio.sleep(0.1)
    outcome.psnr_db = outcome.still_psnr_db = best


async def _judge(scenario: Scenario, page: Any) -> tuple[float, float] | None:
    """PSNR and 99th-percentile error of what the page shows now; None where the number cannot be read."""
    from PIL import Image

    painted = np.asarray(Image.open(io.BytesIO(await page.screenshot(type="png"))).convert("RGB"))
    number = probe.read(painted)
    if number is None or painted.shape[:2] != (scenario.height, scenario.width):
        return None
    clip = np.load(clip_path(scenario.content, scenario.width, scenario.height), mmap_mode="r")
    return psnr(painted, probe.stamp(clip[position(number, len(clip))].copy(), number))


class Consumption:
    """Processor time and memory of process trees, from now on."""

    def __init__(self, *roots: int) -> None:
        self._roots = roots
        self._began = time.monotonic()
        self._before = self._times()

    def percent(self) -> float:
        """Of one core, since the beginning."""
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
    """Seconds that all cores together were not idle, what a hypervisor took from them included."""
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
    """The browser's own processes, without the driver that steers it."""
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
