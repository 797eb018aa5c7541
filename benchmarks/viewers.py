"""``python -m benchmarks.viewers``: what one more viewer costs the engine, and whether it costs an encoding.

It measures the engine's own processor time at 1, 2, 4, 8 and 16 viewers that decode nothing (`receivers`). A line
through the five gives the cost of the stream and of each viewer. Must not know how anything is sent.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import threading
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil

import framewire as fw
from benchmarks.contents import CONTENTS, clip_path, position
from benchmarks.systems import environment

COUNTS = (1, 2, 4, 8, 16)


@dataclass(frozen=True)
class Run:
    """One number of viewers."""

    viewers: int
    cpu: float
    """Percent of one core, of the engine alone."""
    system: float
    """The part of it that the kernel took."""
    published: int
    encodes: int
    packets: float
    """Packets per second and viewer."""
    mbps: float
    """Mean over viewers."""
    fps: float
    """Of the viewer that got the fewest frames, without the slow one."""
    p50_ms: float
    """From publishing to the last packet, of all viewers without the slow one."""
    p95_ms: float
    encodings: tuple[str, ...]
    slow: dict[str, float] | None = None
    """What the slow viewer got: mbps, fps, p95_ms."""


def line(runs: Sequence[Run]) -> tuple[float, float]:
    """(a, b) of cpu = a + b * viewers, by least squares; percent of one core."""
    b, a = np.polyfit([run.viewers for run in runs], [run.cpu for run in runs], 1)
    return float(a), float(b)


def table(runs: Sequence[Run]) -> str:
    """The runs as text."""
    rows = ["viewers   engine %  (kernel)  encodes/published   packets/s   Mbps   fps  p50 ms  p95 ms  encodings"]
    rows += [
        f"{r.viewers:7d} {r.cpu:10.1f} {r.system:9.1f} {r.encodes:10d}/{r.published:<10d} {r.packets:9.0f} "
        f"{r.mbps:6.2f} {r.fps:5.1f} {r.p50_ms:7.1f} {r.p95_ms:7.1f}  {' '.join(r.encodings)}"
        + (" | slow: {mbps:.2f} Mbps {fps:.1f} fps p95 {p95_ms:.0f} ms".format(**r.slow) if r.slow else "")
        for r in runs
    ]
    if len({run.viewers for run in runs}) > 1:
        a, b = line(runs)
        rows.append(f"engine = {a:.1f} % + {b:.2f} % x viewers")
    return "\n".join(rows)


class Publisher(threading.Thread):
    """Publishes a clip over and over, until `over` is set."""

    def __init__(self, display: fw.Display, clip: np.ndarray, fps: float) -> None:
        super().__init__(daemon=True)
        self.published = 0
        self._display, self._clip, self._fps = display, clip, fps
        self.over = threading.Event()

    def run(self) -> None:
        due = time.monotonic()
        while not self.over.wait(max(0.0, due - time.monotonic())):
            due = max(due + 1 / self._fps, time.monotonic() - 1 / self._fps)
            self._display.publish(self._clip[position(self.published, len(self._clip))])
            self.published += 1


class Receivers:
    """The viewers' process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def counts(self) -> dict[str, list[Any]]:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(b"\n")
        counts: dict[str, list[Any]] = json.loads(await self.process.stdout.readline())
        return counts


@contextlib.asynccontextmanager
async def receivers(display: fw.Display, count: int, *more: str) -> AsyncIterator[Receivers]:
    """A process with ``count`` viewers, when all of them receive."""
    pipe = asyncio.subprocess.PIPE
    # A token may begin with a hyphen.
    arguments = [*more, "--", str(count), display.ws_url, display.server.token]
    command = [sys.executable, "-m", "benchmarks.receivers", *arguments]
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, env=environment(), limit=1 << 22)
    assert process.stdout
    try:
        line_ = await asyncio.wait_for(process.stdout.readline(), 60)
        if not line_:
            raise RuntimeError("the viewers' process ended")
        yield Receivers(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        process._transport.close()  # type: ignore[attr-defined]


async def measure(
    display: fw.Display, publisher: Publisher, count: int, options: argparse.Namespace, slow: float = 0.0
) -> Run:
    """Measure one number of viewers; the first one's link has ``slow`` kbit/s."""
    assert display.server.engine_pid
    engine = psutil.Process(display.server.engine_pid)
    async with receivers(display, count, "--feedback", options.feedback, "--slow", str(slow)) as viewers:
        await asyncio.sleep(options.warm_up)
        before, published, encodes = await viewers.counts(), publisher.published, _encodes(display)
        spent, began = engine.cpu_times(), time.monotonic()
        await asyncio.sleep(options.seconds)
        now, seconds = engine.cpu_times(), time.monotonic() - began
        after, published, encodes = (
            await viewers.counts(),
            publisher.published - published,
            _encodes(display) - encodes,
        )
        encodings = tuple(display.stats["encodings"])
    gained = {name: np.subtract(after[name], before[name]) for name in ("packets", "octets", "frames")}
    delays = [np.array(each or [np.nan]) for each in after["delays"]]
    first = 1 if slow else 0
    others = np.concatenate(delays[first:])
    return Run(
        viewers=count,
        cpu=100 * (now.user + now.system - spent.user - spent.system) / seconds,
        system=100 * (now.system - spent.system) / seconds,
        published=published,
        encodes=encodes,
        packets=float(gained["packets"][first:].mean()) / seconds,
        mbps=float(gained["octets"][first:].mean()) * 8e-6 / seconds,
        fps=float(gained["frames"][first:].min()) / seconds,
        p50_ms=float(np.percentile(others, 50)),
        p95_ms=float(np.percentile(others, 95)),
        encodings=encodings,
        slow={
            "mbps": float(gained["octets"][0]) * 8e-6 / seconds,
            "fps": float(gained["frames"][0]) / seconds,
            "p95_ms": float(np.percentile(delays[0], 95)),
        }
        if slow
        else None,
    )


def _encodes(display: fw.Display) -> int:
    return sum(display.stats.get("encodes", {}).values())


async def _all(options: argparse.Namespace) -> list[Run]:
    width, height = (int(side) for side in options.size.split("x"))
    clip = np.load(clip_path(options.content, width, height), mmap_mode="r")
    runs = []
    async with fw.serve(width, height, fps=options.fps, port=0, codecs=[options.codec]) as display:
        publisher = Publisher(display, clip, options.fps)
        publisher.start()
        try:
            for count in options.counts:
                for slow in [0.0, options.slow] if options.slow else [0.0]:
                    runs.append(await measure(display, publisher, count, options, slow))
                    print(json.dumps(asdict(runs[-1])), file=sys.stderr, flush=True)
        finally:
            publisher.over.set()
            publisher.join()
    return runs


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.viewers", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--fps", type=float, default=30.0)
    parser.add_argument("--content", choices=CONTENTS, default="plot")
    parser.add_argument("--codec", choices=("h264", "vp8"), default="h264")
    parser.add_argument("--counts", type=_numbers, default=COUNTS, help="such as 1,2,4")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--warm-up", type=float, default=2.0)
    parser.add_argument(
        "--slow", type=float, default=0.0, help="kbit/s of one viewer's link; measures with and without it"
    )
    parser.add_argument("--feedback", choices=("packets", "remb"), default="packets")
    parser.add_argument("--output", type=Path, help="a file for the numbers, as JSON")
    return parser.parse_args()


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def main() -> int:
    options = _options()
    runs = asyncio.run(_all(options))
    print(table(runs))
    if options.output:
        result: dict[str, Any] = {"line": line(runs), "runs": [asdict(run) for run in runs]}
        options.output.write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
