"""Plays one scenario to one system and measures what a viewer sees of it. Must not know which systems there are.

The publisher is a process of its own, the browser another; this one only looks on: at the screen through
`probe`, at processes through psutil, at the link through its counters.
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
from benchmarks.numbers import NAN, REST, Look, Outcome, Tally, coloured, follow, psnr, rest, tally, watch
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
STILL = REST[1] + 0.5
"""Seconds in which a picture that stands is looked at."""
LOOK = 0.1
"""Seconds from one picture of the screen to the next."""
TALLY = 0.2
"""Seconds from one look at the link's counters to the next."""
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


@dataclass
class Run:
    """What is noted while one runs, to be judged when it is over."""

    seen: list[probe.Sighting] = field(default_factory=list)
    tallies: list[Tally] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    link_began: float = NAN
    window: tuple[float, float] = (NAN, NAN)
    """Seconds since the Unix epoch, as all times here."""


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
    tally(outcome, run.tallies, scenario.link, run.link_began, run.window[0])
    if scenario.link and len(scenario.link.phases) > 1:
        follow(outcome, run.seen, sent, run.tallies, scenario.link, run.link_began, run.window[1])
    if scenario.stops:
        rest(outcome, run.seen, sent, run.tallies, run.looks)


async def _play(
    browser: Any, system: System, scenario: Scenario, place: Place, publisher: Publisher, run: Run, outcome: Outcome
) -> None:
    began = time.time()
    page, *_ = [await _open(browser, scenario, page_address(system, publisher.url)) for _ in range(scenario.viewers)]
    await _first_picture(page, run.seen, publisher)
    outcome.first_ms = (run.seen[0].at - began) * 1000
    await asyncio.sleep(scenario.warm_up)
    async with _tallies(place, run.tallies):
        run.link_began = place.begin()
        run.window = await _window(scenario, place, publisher, outcome)
        if publisher.process.returncode is not None:
            raise RuntimeError(f"its publisher ended: {last_words(publisher.log.parent)}")
        pictures = await _still(page, publisher) if scenario.stops else []
    # Not before the end: judging would take the processor from what is judged, and from those who count.
    run.looks = [look for picture in pictures if (look := _judge(scenario, *picture))]
    run.seen += await probe.take(page)
    if not scenario.stops:
        await _quality(scenario, page, outcome)


@contextlib.asynccontextmanager
async def _tallies(place: Place, tallies: list[Tally]) -> AsyncIterator[None]:
    """Look at the link's counters again and again meanwhile."""

    def count() -> None:
        tallies.append(Tally(time.time(), place.octets()))

    async def go_on() -> None:
        while True:
            await asyncio.sleep(TALLY)
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
    """The last line that a publisher wrote of its troubles."""
    words = (folder / "stderr").read_text(errors="replace").strip().splitlines()
    return words[-1] if words else ""


def pace(fps: float, seconds: float) -> float:
    """A little less than ``fps``, so that over the window the publisher falls behind the screen by just one of its
    refreshes: else all frames of a run wait for the screen alike, anything from nothing to a whole refresh."""
    return 1 / (1 / fps + 1 / REFRESH / (fps * seconds))


@contextlib.asynccontextmanager
async def _browser(place: Place, folder: Path, url: str) -> AsyncIterator[Browser]:
    launcher = folder / "chromium"
    prefix = " ".join(place.viewer_prefix)
    launcher.write_text(f'#!/bin/sh\nexec {prefix} {CHROMIUM} "$@"\n')
    launcher.chmod(0o755)
    # WebCodecs wants a secure context; inside the namespaces there is no localhost between the two ends.
    origins = [f"http://{place.host}:{port}" for port in (PORT, PORT + 1)]
    flags = [*FLAGS, f"--unsafely-treat-insecure-origin-as-secure={','.join(origins)}"]
    async with launched(launcher, flags) as browser:
        yield browser


async def _open(browser: Browser, scenario: Scenario, url: str) -> Page:
    # Frames of a page that is still loading count as well.
    script = f"addEventListener('DOMContentLoaded', () => ({probe.SCRIPT.strip()})(null))"
    return await browser.open(url, scenario.width, scenario.height, script)


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
    looks = [_judge(scenario, *await _picture(page)) for _ in range(PICTURES)]
    good = [look for look in looks if look]
    if good:
        outcome.psnr_db = float(np.median([look.psnr_db for look in good]))
        outcome.error_p99 = float(np.median([look.error_p99 for look in good]))
        outcome.colour_db = float(np.median([look.colour_db for look in good]))


async def _still(page: Any, publisher: Publisher) -> list[tuple[float, bytes]]:
    """Motion ends: what the screen then shows, again and again."""
    publisher.tell("pause")
    until = time.monotonic() + STILL
    taken = []
    while (now := time.monotonic()) < until:
        taken.append(await _picture(page))
        await asyncio.sleep(max(0.0, now + LOOK - time.monotonic()))
    return taken


async def _picture(page: Any) -> tuple[float, bytes]:
    """What the page shows now as PNG, and when that was there."""
    png: bytes = await page.screenshot()
    return time.time(), png


def _judge(scenario: Scenario, at: float, png: bytes) -> Look | None:
    """A picture against the frame whose number it has; None where the number cannot be read."""
    from PIL import Image

    painted = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
    number = probe.read(painted)
    if number is None or painted.shape[:2] != (scenario.height, scenario.width):
        return None
    clip = np.load(clip_path(scenario.content, scenario.width, scenario.height), mmap_mode="r")
    published = probe.stamp(clip[position(number, len(clip))].copy(), number)
    colours = coloured(published)
    colour_db = psnr(painted[colours], published[colours])[0] if colours.any() else NAN
    return Look(at, number, *psnr(painted, published), colour_db)


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
