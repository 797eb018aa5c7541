"""``python -m benchmarks.floods``: what one admitted viewer that misbehaves costs the others.

A display with an engine process of its own, a viewer that watches it, and an attacker in a third process, which knows
the token. For each flood: the frame rate and the latency of the viewer, the longest time that the engine's loop did not
answer a health check, and how the flood ended. Must not know how the engine defends itself.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import aiohttp
import numpy as np
import psutil

import framewire as fw
from benchmarks.contents import CONTENTS, clip_path
from benchmarks.flooding import FLOODS
from benchmarks.systems import environment
from benchmarks.viewers import Publisher
from framewire.codec.messages import Assembler

HEALTH_INTERVAL_S = 0.01
"""Time between two health checks: their longest answer time is the loop's longest stall, or less by this."""


# The viewer that is watched


@dataclass(frozen=True)
class Watched:
    """What one viewer got, and how the engine's loop answered."""

    fps: float
    p50_ms: float
    p95_ms: float
    longest_gap_ms: float
    """Between two frames."""
    health_p50_ms: float
    stall_ms: float
    """The longest time that a health check took."""


async def watch(url: str, token: str, mode: str, seconds: float) -> Watched:
    """Watch the stream as a viewer that acknowledges at once, and check the engine's health meanwhile."""
    async with aiohttp.ClientSession() as http:
        delays: list[float] = []
        at: list[float] = []
        async with http.ws_connect(url, max_msg_size=0) as ws:
            hello = {"type": "hello", "version": 1, "token": token, "codecs": ["h264"], "webcodecs": ["h264"]}
            await ws.send_json(hello)
            await ws.send_json({"type": "subscribe", "sub": 1, "stream": "default", "mode": mode})
            reading = asyncio.create_task(_read(ws, delays, at))
            await asyncio.sleep(1)
            delays.clear()
            at.clear()
            began = time.monotonic()
            checks = await _check_health(http, url.replace("ws://", "http://").replace("/ws", "/health"), seconds)
            took = time.monotonic() - began
            reading.cancel()
    gaps = np.diff([began, *at, began + took]) * 1000
    p50, p95 = np.percentile(delays, (50, 95)) if delays else (np.nan, np.nan)
    return Watched(
        len(delays) / took, float(p50), float(p95), float(gaps.max()), float(np.median(checks)), float(max(checks))
    )


async def _read(ws: aiohttp.ClientWebSocketResponse, delays: list[float], at: list[float]) -> None:
    assembler, reported = Assembler(), 0.0
    async for each in ws:
        if each.type is not aiohttp.WSMsgType.BINARY:
            continue
        if unit := assembler.feed(each.data):
            delays.append(time.time() * 1000 - unit.time_us / 1000)
            at.append(time.monotonic())
            await ws.send_json({"type": "ack", "sub": 1, "frame": unit.number})
            if at[-1] > reported + 1:
                reported = at[-1]
                seen = {"visible": True, "decoded": 0, "painted": 0}
                await ws.send_json({"type": "report", "sub": 1, "time": 0, **seen})


async def _check_health(http: aiohttp.ClientSession, url: str, seconds: float) -> list[float]:
    """Milliseconds that each check took."""
    checks, until = [], time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.monotonic()
        async with http.get(url) as response:
            await response.read()
        checks.append((time.monotonic() - began) * 1000)
        await asyncio.sleep(HEALTH_INTERVAL_S)
    return checks


# One run


@dataclass(frozen=True)
class Run:
    flood: str
    mode: str
    watched: Watched
    sent: dict[str, int]
    engine_percent: float
    engine_mib: float
    threads: int
    fds: int


def table(runs: Sequence[Run]) -> str:
    """The runs as text."""
    rows = ["flood            mode        fps  p50 ms  p95 ms  gap ms  stall ms  engine %    MiB threads  fds  sent"]
    for run in runs:
        seen = run.watched
        rows.append(
            f"{run.flood:16} {run.mode:9} {seen.fps:5.1f} {seen.p50_ms:7.1f} {seen.p95_ms:7.1f} "
            f"{seen.longest_gap_ms:7.0f} {seen.stall_ms:9.1f} {run.engine_percent:9.0f} {run.engine_mib:6.0f} "
            f"{run.threads:7d} {run.fds:4d}  " + ", ".join(f"{count} {what}" for what, count in run.sent.items())
        )
    return "\n".join(rows)


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "benchmarks.floods", *arguments]


async def measure(display: fw.Display, flood: str, mode: str, seconds: float) -> Run:
    """One flood (or "none") while one viewer is watched."""
    assert display.server.engine_pid
    engine, pipe = psutil.Process(display.server.engine_pid), asyncio.subprocess.PIPE
    address = ("--url", display.ws_url, f"--token={display.server.token}")
    attacker = None
    if flood != "none":
        arguments = [sys.executable, "-m", "benchmarks.flooding", "--", flood, display.ws_url, display.server.token]
        attacker = await asyncio.create_subprocess_exec(*arguments, stdin=pipe, stdout=pipe, env=environment())
    await asyncio.sleep(0.7)
    spent, began = engine.cpu_times(), time.monotonic()
    watching = _command("--watch", mode, "--seconds", str(seconds), *address)
    watcher = await asyncio.create_subprocess_exec(*watching, stdout=pipe, env=environment())
    try:
        out, _ = await asyncio.wait_for(watcher.communicate(), seconds + 60)
        now, took = engine.cpu_times(), time.monotonic() - began
        memory, threads, fds = engine.memory_full_info().uss / (1 << 20), engine.num_threads(), engine.num_fds()
        sent = {}
        if attacker:
            out_of_attacker, _ = await asyncio.wait_for(attacker.communicate(b"\n"), 20)
            sent = json.loads(out_of_attacker)
    finally:
        for process in (watcher, attacker):
            if process and process.returncode is None:
                process.kill()
                await process.wait()
    busy = (now.user + now.system - spent.user - spent.system) / took * 100
    return Run(flood, mode, Watched(**json.loads(out)), sent, busy, memory, threads, fds)


async def run(options: argparse.Namespace) -> list[Run]:
    width, height = (int(side) for side in options.size.split("x"))
    clip = np.array(np.load(clip_path(options.content, width, height)))
    runs: list[Run] = []
    async with fw.serve(width, height, fps=options.fps, port=0) as display:
        publisher = Publisher(display, clip, options.fps)
        publisher.start()
        try:
            for flood in ("none", *(options.floods or FLOODS), "none"):
                runs.append(await measure(display, flood, options.mode, options.seconds))
                print(table(runs[-1:]).splitlines()[-1], flush=True)
                await asyncio.sleep(1)
        finally:
            publisher.over.set()
            publisher.join()
    return runs


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.floods", description=(__doc__ or "").splitlines()[0])
    names = lambda text: text.split(",")  # noqa: E731
    parser.add_argument("--floods", type=names, help=f"comma-separated, of {', '.join(FLOODS)}")
    parser.add_argument("--mode", choices=("lossless", "webcodecs"), default="webcodecs", help="of the watched viewer")
    parser.add_argument("--seconds", type=float, default=6.0, help="of each flood")
    parser.add_argument("--size", default="640x360")
    parser.add_argument("--fps", type=float, default=30.0)
    parser.add_argument("--content", choices=CONTENTS, default="plot")
    parser.add_argument("--output", type=Path, help="a file for the numbers, as JSON")
    for hidden in ("--watch", "--url", "--token"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> int:
    options = _options()
    if options.watch:
        watched = asyncio.run(watch(options.url, options.token, options.watch, options.seconds))
        print(json.dumps(asdict(watched)))
    else:
        print(table([]), flush=True)
        runs = asyncio.run(run(options))
        if options.output:
            options.output.write_text(json.dumps([asdict(each) for each in runs], indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
