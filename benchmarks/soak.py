"""``python -m benchmarks.soak``: whether viewers that come and go leave anything behind, over minutes or hours.

`guests` join a display with an engine process of its own. They leave, are killed, lose their network and come again.
Samples memory, threads, descriptors and tasks of the engine, and the publisher's memory.

    python -m benchmarks.soak --minutes 120                              all that happens to viewers
    python -m benchmarks.soak --visits 1000 --ending is_killed --stay 0.2   a thousand of one kind
    python -m benchmarks.soak --visits 1000 --ending tab_is_killed       in a real browser

Must not know how frames travel.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import psutil

import framewire as fw
from benchmarks.contents import CONTENTS, clip_path
from benchmarks.guests import STAY_S
from benchmarks.systems import environment
from benchmarks.viewers import Publisher

MIB = 1 << 20
WARM_UP_FRACTION = 0.4
"""The slope leaves out this part of the run, in which allocators and pools fill up."""
MIN_SLOPE_S = 240.0
"""A shorter run has no slope."""
MAX_SLOPE = 0.5
"""Memory may grow by so many MiB a minute; more is a leak."""
LONG_RUN_S = 3600.0
MAX_LONG_SLOPE = 1 / 60
"""In a run of an hour or more: 1 MiB an hour. In a shorter one, that is less than memory goes up and down."""
MAX_MORE_TASKS = 2
"""Timers of the engine come and go."""
TASKS_VARIABLE = "FRAMEWIRE_SOAK"
"""Names the file in which the engine writes how many tasks it has."""
TASKS_TIMEOUT_S = 10.0
GUESTS_END_S = 10.0
TABS = "tab_is_killed"
"""The ending of `benchmarks.tabs`."""
SETTLE_S = 60.0
"""The engine has removed all viewers within this time; one that lost its network takes the longest."""


@dataclass(frozen=True)
class Sample:
    """One sample."""

    at: float
    """Seconds since the first guest; negative before."""
    viewers: int
    engine_mib: float
    """What would be free without it (USS)."""
    threads: int
    fds: int
    tasks: int
    """Asyncio tasks of the engine."""
    publisher_mib: float
    cpu: float
    """Seconds of processor the engine has had."""
    came: int = 0


def slope(samples: Sequence[Sample], field: str) -> float | None:
    """MiB a minute after the warm-up, by least squares; None where the run was too short."""
    if not samples or samples[-1].at < MIN_SLOPE_S:
        return None
    late = [sample for sample in samples if sample.at >= WARM_UP_FRACTION * samples[-1].at]
    return float(np.polyfit([s.at / 60 for s in late], [getattr(s, field) for s in late], 1)[0])


def faults(before: Sample, samples: Sequence[Sample], after: Sample, counts: dict[str, int]) -> list[str]:
    """What is wrong, one sentence each."""
    found = []
    for field, whose in (("engine_mib", "the engine's"), ("publisher_mib", "the publisher's")):
        rising = slope(samples, field)
        if rising is not None and rising > (MAX_SLOPE if samples[-1].at < LONG_RUN_S else MAX_LONG_SLOPE):
            found.append(f"{whose} memory grows by {rising:.2f} MiB a minute")
    if after.viewers:
        found.append(f"{after.viewers} viewers are left after all have gone")
    if after.fds > before.fds:
        found.append(f"{after.fds - before.fds} more descriptors than before the first guest")
    if after.tasks > before.tasks + MAX_MORE_TASKS:
        found.append(f"{after.tasks - before.tasks} more tasks than before the first guest")
    warm = [sample.threads for sample in samples if sample.at <= WARM_UP_FRACTION * samples[-1].at]
    if warm and samples[-1].at >= MIN_SLOPE_S and after.threads > max(warm):
        found.append(f"{after.threads} threads, and {max(warm)} at most in the warm-up")
    if not counts.get("watched") and not counts.get("gives_up"):
        found.append("no guest saw a frame")
    if (blind := counts.get("never saw a frame", 0)) > 0.02 * counts.get("came", 0):
        found.append(f"{blind} of {counts['came']} never saw a frame")
    return found


def table(before: Sample, samples: Sequence[Sample], after: Sample) -> str:
    """A table: the means of each minute, between the samples before the first guest and after the last."""
    rows = ["minute   came  viewers  engine MiB  threads    fds  tasks  publisher MiB  engine %"]

    def row(name: str, of: Sequence[Sample], last: Sample) -> str:
        mean = {key: float(np.mean([getattr(s, key) for s in of])) for key in asdict(of[0])}
        spent, seconds = of[-1].cpu - last.cpu, of[-1].at - last.at
        percent = f"{100 * spent / seconds:9.1f}" if seconds > 0 else "        -"
        return (
            f"{name:>6} {of[-1].came:6d} {mean['viewers']:8.1f} {mean['engine_mib']:11.1f} {mean['threads']:8.1f} "
            f"{mean['fds']:6.1f} {mean['tasks']:6.1f} {mean['publisher_mib']:14.1f} {percent}"
        )

    rows.append(row("before", [before], before))
    last = before
    for minute, group in groupby(samples, key=lambda sample: int(sample.at // 60)):
        of = list(group)
        rows.append(row(str(minute + 1), of, last))
        last = of[-1]
    rows.append(row("after", [after], last))
    for field in ("engine_mib", "publisher_mib"):
        rising = slope(samples, field)
        if rising is not None:
            each = f"{rising:+.2f} MiB a minute" if samples[-1].at < LONG_RUN_S else f"{60 * rising:+.2f} MiB an hour"
            rows.append(f"{field.removesuffix('_mib')}: {each} after the warm-up")
    return "\n".join(rows)


class Soak:
    """One run."""

    def __init__(self, display: fw.Display, options: argparse.Namespace) -> None:
        assert display.server.engine_pid
        self._display = display
        self._options = options
        self._engine = psutil.Process(display.server.engine_pid)
        self._publisher = psutil.Process()
        self._began = time.monotonic()
        self.counts: dict[str, int] = {}

    def _tasks(self) -> int:
        """The engine's tasks, which it counts itself (`in_engine`)."""
        path = Path(f"{os.environ[TASKS_VARIABLE]}.{self._engine.pid}")
        path.unlink(missing_ok=True)
        self._engine.send_signal(signal.SIGUSR2)
        deadline = time.monotonic() + TASKS_TIMEOUT_S
        while not path.exists():
            if time.monotonic() > deadline:
                raise RuntimeError("the engine does not count its tasks")
            time.sleep(0.005)
        return int(path.read_text())

    def sample(self) -> Sample:
        gc.collect()
        spent = self._engine.cpu_times()
        return Sample(
            at=time.monotonic() - self._began,
            viewers=self._display.client_count,
            engine_mib=self._engine.memory_full_info().uss / MIB,
            threads=self._engine.num_threads(),
            fds=self._engine.num_fds(),
            tasks=self._tasks(),
            publisher_mib=self._publisher.memory_full_info().uss / MIB,
            cpu=spent.user + spent.system,
            came=self.counts.get("came", 0),
        )

    async def run(self) -> tuple[Sample, list[Sample], Sample]:
        """The samples before, during and after."""
        await asyncio.sleep(2)
        before, samples = self.sample(), []
        pipe = asyncio.subprocess.PIPE
        command = [sys.executable, "-m", *self._guests()]
        guests = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, env=environment())
        assert guests.stdin and guests.stdout
        try:
            self._began = time.monotonic()
            while not self._over():
                await asyncio.sleep(self._options.every)
                guests.stdin.write(b"\n")
                line = await guests.stdout.readline()
                if not line:
                    raise RuntimeError("the guests' process ended")
                self.counts = json.loads(line)
                samples.append(self.sample())
            guests.stdin.close()
            with contextlib.suppress(TimeoutError):  # guests that cut their own sockets may hang
                await asyncio.wait_for(guests.wait(), GUESTS_END_S)
        finally:
            if guests.returncode is None:
                guests.kill()
            await guests.wait()
            guests._transport.close()  # type: ignore[attr-defined]
        return before, samples, await self._settled(before)

    def _guests(self) -> list[str]:
        """The module that plays them, and its arguments."""
        options, display = self._options, self._display
        if options.ending == [TABS]:
            return ["benchmarks.tabs", "--guests", str(options.guests), "--", display.url]
        endings = [word for ending in options.ending for word in ("--ending", ending)]
        arguments = ["--guests", str(options.guests), "--stay", str(options.stay), *endings]
        return ["benchmarks.guests", *arguments, "--", display.ws_url, display.server.token]

    def _over(self) -> bool:
        visits: int | None = self._options.visits
        minutes: float = self._options.minutes
        return self.counts.get("came", 0) >= visits if visits else time.monotonic() - self._began >= minutes * 60

    async def _settled(self, before: Sample) -> Sample:
        deadline = time.monotonic() + SETTLE_S
        while True:
            await asyncio.sleep(2)
            after = self.sample()
            if (not after.viewers and after.fds <= before.fds) or time.monotonic() > deadline:
                return after


async def _run(options: argparse.Namespace) -> tuple[Soak, Sample, list[Sample], Sample]:
    width, height = (int(side) for side in options.size.split("x"))
    clip = np.array(np.load(clip_path(options.content, width, height)))
    with tempfile.TemporaryDirectory() as folder:
        os.environ[TASKS_VARIABLE] = str(Path(folder) / "tasks")
        sys.path.insert(0, str(Path(__file__).parent / "in_engine"))
        return await _soak(options, width, height, clip)


async def _soak(
    options: argparse.Namespace, width: int, height: int, clip: np.ndarray
) -> tuple[Soak, Sample, list[Sample], Sample]:
    async with fw.serve(width, height, fps=options.fps, port=0) as display:
        publisher = Publisher(display, clip, options.fps)
        publisher.start()
        try:
            soak = Soak(display, options)
            return soak, *await soak.run()
        finally:
            publisher.over.set()
            publisher.join()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--visits", type=int, help="end after so many guests, instead of minutes")
    parser.add_argument("--guests", type=int, default=6, help="guests at a time")
    parser.add_argument("--stay", type=float, default=STAY_S, help="seconds that a guest watches at most")
    parser.add_argument("--ending", action="append", default=[], help="how guests end (guests.py), or tab_is_killed")
    parser.add_argument("--every", type=float, default=5.0, help="seconds between two samples")
    parser.add_argument("--size", default="640x360")
    parser.add_argument("--fps", type=float, default=30.0)
    parser.add_argument("--content", choices=CONTENTS, default="plot")
    parser.add_argument("--output", type=Path, help="a file for the numbers, as JSON")
    return parser.parse_args()


def main() -> int:
    """0 if the guests left nothing behind, 1 if they did; prints what."""
    options = _options()
    os.nice(5)
    soak, before, samples, after = asyncio.run(_run(options))
    found = faults(before, samples, after, soak.counts)
    print(table(before, samples, after))
    print("guests: " + ", ".join(f"{name} {count}" for name, count in soak.counts.items()))
    print("verdict: " + ("; ".join(found) or "they left nothing behind"))
    if options.output:
        ends: dict[str, Any] = {name: asdict(each) for name, each in (("before", before), ("after", after))}
        result = {**ends, "samples": [asdict(each) for each in samples], "counts": soak.counts, "faults": found}
        options.output.write_text(json.dumps(result, indent=1) + "\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
