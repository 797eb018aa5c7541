"""``python -m benchmarks.faults``: plays each fault again and again, and writes how long it takes to the next picture.

Results are appended to a file, so that a run which was interrupted goes on. Must not know any single fault.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import time
from collections.abc import Sequence
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


async def play(fault: Fault, shared: Browser | None = None) -> float | None:
    """Seconds to the picture; None where it never came. Raises `StageError` where nothing was measured."""
    async with fault.staged(fault.setup, shared) as stage:
        since = await fault.play(stage)
        return since.seconds if isinstance(since, Took) else await stage.screen.moves(since, GIVE_UP_S)


class Run:
    """Plays many repetitions, several at a time."""

    def __init__(self, output: Path) -> None:
        self._output = output
        self._queue: asyncio.Queue[Fault] = asyncio.Queue()
        self.failed: list[str] = []

    async def play_all(self, faults: Sequence[Fault], parallel: int) -> None:
        for fault in faults:
            self._queue.put_nowait(fault)
        await asyncio.gather(*(self._work() for _ in range(min(parallel, len(faults)))))

    async def _work(self) -> None:
        async with contextlib.AsyncExitStack() as stack:
            browser: Browser | None = None
            while not self._queue.empty():
                fault = self._queue.get_nowait()
                if browser is None and not (fault.setup.cable or fault.setup.own_browser):
                    browser = await stack.enter_async_context(browsing())
                await self._try(fault, browser)

    async def _try(self, fault: Fault, browser: Browser | None) -> None:
        for last in (False,) * (TRIES - 1) + (True,):
            try:
                began = time.monotonic()
                seconds = await play(fault, browser)
            except (StageError, BrowserGoneError, OSError) as error:
                print(f"{fault.name}: {error}", file=sys.stderr, flush=True)
                if last:
                    self.failed.append(fault.name)
                continue
            note(self._output, fault.name, seconds)
            said = "never" if seconds is None else f"{seconds:.2f} s"
            print(f"{fault.name}: {said}  ({time.monotonic() - began:.0f} s)", file=sys.stderr, flush=True)
            return


def main() -> int:
    options = _options()
    chosen = _chosen(options.only)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    done = load(options.output)
    missing = [fault for fault in chosen for _ in range(options.times - len(done.get(fault.name, ())))]
    run = Run(options.output)
    asyncio.run(_play(run, missing, options.parallel))
    results = {name: seconds for name, seconds in load(options.output).items() if name in FAULTS}
    print(table(results))
    if options.document:
        write(options.document, table(results))
    for line in slow(results):
        print(line, file=sys.stderr)
    for name in sorted(set(run.failed)):
        print(f"{name} could not always be played", file=sys.stderr)
    return bool(run.failed)


async def _play(run: Run, missing: Sequence[Fault], parallel: int) -> None:
    """First those that keep the processors busy, two at a time; then those that wait."""
    await run.play_all([fault for fault in missing if not fault.waits_s], min(2, parallel))
    waiting = [fault for fault in missing if fault.waits_s]
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
    parser.add_argument("--parallel", type=int, default=6, help="stages at a time, for faults that mostly wait")
    parser.add_argument("--output", type=Path, default=RESULTS, help="a line of JSON for each repetition")
    parser.add_argument("--document", type=Path, help=f"write the table into it: {DOCUMENT.relative_to(ROOT)}")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
