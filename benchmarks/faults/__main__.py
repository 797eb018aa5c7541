"""``python -m benchmarks.faults``: plays each fault again and again, and writes how long it takes to the next picture.

Results are appended to a file, so that a run which was interrupted goes on. Must not know any single fault.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import math
import random
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.browser import Browser, BrowserGoneError
from benchmarks.faults.catalogue import FAULTS, Fault
from benchmarks.faults.results import load, note, slow, table, write
from benchmarks.faults.stage import StageError, Took, browsing

ROOT = Path(__file__).parent.parent.parent
RESULTS = Path(__file__).parent.parent / "results" / "faults.jsonl"
DOCUMENT = ROOT / "docs" / "faults.md"
GIVE_UP_S = 60.0
"""A picture that has not come back by then never does."""
TRIES = 3
"""So often a stage that cannot be set up is set up anew."""
SPREAD_S = 0.5
"""Faults come at any moment between the timers of engine and viewer."""


async def play(fault: Fault, times: int, shared: Browser | None, done: Callable[[float | None], None]) -> None:
    """Play it so often on one stage; ``done`` gets the seconds to the picture, None where it never came. Raises
    `StageError` where nothing more could be measured."""
    async with fault.staged(fault.setup, shared) as stage:
        for again in range(times):
            if again:
                await stage.screen.healthy(fault.setup.shows)
            await asyncio.sleep(random.random() * SPREAD_S)
            since = await fault.play(stage)
            took = since.seconds if isinstance(since, Took) else await stage.screen.moves(since, GIVE_UP_S)
            done(took)
            if took is None:
                return


class Run:
    """Plays many repetitions, several at a time."""

    def __init__(self, output: Path, wanted: dict[str, int]) -> None:
        self._output = output
        self._wanted = wanted
        """How many repetitions of each fault are to be played yet."""
        self.failed: list[str] = []

    async def play_all(self, faults: Sequence[Fault], parallel: int) -> None:
        """Work through all of them, each stage with as many repetitions as it can take."""
        queue = [fault for fault in faults for _ in range(math.ceil(self._wanted[fault.name] / fault.per_stage))]
        self._queue = deque(queue)
        await asyncio.gather(*(self._work() for _ in range(min(parallel, len(queue)))))

    async def _work(self) -> None:
        async with contextlib.AsyncExitStack() as stack:
            browser: Browser | None = None
            while self._queue:
                fault = self._queue.popleft()
                if browser is None and not (fault.setup.cable or fault.setup.own_browser):
                    browser = await stack.enter_async_context(browsing())
                times = min(fault.per_stage, self._wanted[fault.name])
                self._wanted[fault.name] -= times
                await self._try(fault, times, browser)

    async def _try(self, fault: Fault, times: int, browser: Browser | None) -> None:
        left, began = times, time.monotonic()

        def done(seconds: float | None) -> None:
            nonlocal left, began
            left -= 1
            note(self._output, fault.name, seconds)
            said = "never" if seconds is None else f"{seconds:.2f} s"
            print(f"{fault.name}: {said}  ({time.monotonic() - began:.0f} s)", file=sys.stderr, flush=True)
            began = time.monotonic()

        for _ in range(TRIES + times):
            if not left:
                return
            try:
                began = time.monotonic()
                await play(fault, left, browser, done)
            except (StageError, BrowserGoneError, OSError, RuntimeError) as error:
                print(f"{fault.name}: {error}", file=sys.stderr, flush=True)
        if left:
            self.failed.append(fault.name)


def main() -> int:
    options = _options()
    chosen = _chosen(options.only)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    done = load(options.output)
    wanted = {fault.name: max(0, options.times - len(done.get(fault.name, ()))) for fault in chosen}
    run = Run(options.output, wanted)
    asyncio.run(_play(run, [fault for fault in chosen if wanted[fault.name]], options.parallel))
    results = {name: seconds for name, seconds in load(options.output).items() if name in FAULTS}
    print(table(results))
    if options.document:
        write(options.document, table(results))
    for line in slow(results):
        print(line, file=sys.stderr)
    for name in sorted(set(run.failed)):
        print(f"{name} could not always be played", file=sys.stderr)
    return bool(run.failed)


async def _play(run: Run, faults: Sequence[Fault], parallel: int) -> None:
    """First those that keep the processors busy, two at a time; then those that wait."""
    await run.play_all([fault for fault in faults if not fault.waits_s], min(2, parallel))
    waiting = [fault for fault in faults if fault.waits_s]
    await run.play_all(sorted(waiting, key=lambda fault: -fault.waits_s), parallel)


def _chosen(names: str) -> list[Fault]:
    asked = names.split(",") if names else list(FAULTS)
    if unknown := [name for name in asked if name not in FAULTS]:
        raise SystemExit(f"unknown: {', '.join(unknown)}; there are {', '.join(FAULTS)}")
    chosen = [FAULTS[name] for name in asked]
    for fault in chosen:
        if missing := fault.missing():
            print(f"{fault.name} is left out: it needs {missing}", file=sys.stderr)
    return [fault for fault in chosen if not fault.missing()]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", default="", help=f"of {', '.join(FAULTS)}")
    parser.add_argument("--times", type=int, default=20, help="repetitions of each, with those in the output so far")
    parser.add_argument("--parallel", type=int, default=5, help="stages at a time, for faults that mostly wait")
    parser.add_argument("--output", type=Path, default=RESULTS, help="a line of JSON for each repetition")
    parser.add_argument("--document", type=Path, help=f"write the table into it: {DOCUMENT.relative_to(ROOT)}")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
