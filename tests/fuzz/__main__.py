"""``make fuzz MINUTES=60``: runs every target in turn, or some of them, and says what was run and what was found.

Must not know what a target does. With ``--replay FILE`` it runs one input again.
"""

from __future__ import annotations

import argparse
import ast
import json
import multiprocessing
import sys
import time
from collections.abc import Hashable
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from tests.fuzz import coverage
from tests.fuzz.fuzzer import FOUND, Fuzzer, Target, check, corpus_of, minimised, write_corpus

TURN_S = 20.0
"""Each target runs for so long before the next one has its turn."""
MAX_KEPT_INPUTS = 60
"""Inputs that `--keep` leaves of one target's corpus."""
MAX_KEPT_BYTES = 600
"""Of one input."""


def main() -> int:
    arguments = _arguments()
    if not arguments.no_coverage:
        coverage.install()  # before the targets import the package
    if arguments.replay:
        return _replay(arguments.replay)
    names = _names(arguments.only)
    jobs = max(1, min(arguments.jobs, len(names)))
    deadline = time.monotonic() + arguments.minutes * 60
    parts = [names[job::jobs] for job in range(jobs)]
    if jobs == 1:
        results = [_run(names, deadline, arguments.seed, arguments.keep)]
    else:
        context = multiprocessing.get_context("fork")
        with context.Pool(jobs) as pool:
            tasks = [(part, deadline, arguments.seed, arguments.keep) for part in parts]
            results = pool.starmap(_run, tasks, chunksize=1)
    lines = [line for result in results for line in result]
    _summarise(lines)
    if arguments.report:
        Path(arguments.report).write_text(json.dumps(lines, indent=1))
    return 1 if any(line["finds"] for line in lines) else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--jobs", type=int, default=1, help="processes; the targets are divided among them")
    parser.add_argument("--only", default="", help="targets, with commas between them")
    parser.add_argument("--seed", type=int, default=None, help="of the random numbers; without it, the time")
    parser.add_argument("--no-coverage", action="store_true", help="without marks in the code: faster, and blinder")
    parser.add_argument("--keep", action="store_true", help="add what was reached to the corpus")
    parser.add_argument("--report", default="", help="write the counts to this file, as JSON")
    parser.add_argument("--replay", default="", metavar="FILE", help="run the input in this file again")
    return parser.parse_args()


def _targets() -> dict[str, Target]:
    from tests.fuzz.targets import BY_HAND, TARGETS  # which import the package

    return TARGETS | BY_HAND


def _names(only: str) -> list[str]:
    known = _targets()
    chosen = [name for name in only.split(",") if name] or list(known)
    if unknown := [name for name in chosen if name not in known]:
        raise SystemExit(f"no target {unknown[0]!r}; there are {', '.join(known)}")
    return chosen


def _run(names: list[str], deadline: float, seed: int | None, keep: bool) -> list[dict[str, Any]]:
    """Give each target its turns until the time is over."""
    known = _targets()
    first = seed if seed is not None else time.time_ns()
    fuzzers = {name: Fuzzer(known[name], Random(first + index), coverage.hits) for index, name in enumerate(names)}
    seconds = dict.fromkeys(names, 0.0)
    turn_s = min(TURN_S, max(0.2, (deadline - time.monotonic()) / len(names)))
    while (now := time.monotonic()) < deadline:
        for name in names:
            begun = time.monotonic()
            _turn(fuzzers[name], min(begun + turn_s, max(deadline, now + 0.2 * len(names))))
            seconds[name] += time.monotonic() - begun
    if keep:
        for fuzzer in fuzzers.values():
            _keep(fuzzer)
    return [_line(fuzzer, seconds[name]) for name, fuzzer in fuzzers.items()]


def _turn(fuzzer: Fuzzer, until: float) -> None:
    known = len(fuzzer.finds)
    if not fuzzer.corpus:
        fuzzer.start()
    while time.monotonic() < until:
        fuzzer.step()
    for find in fuzzer.finds[known:]:
        path = find.save()
        print(f"\nFOUND in {find.target}, {find.place}\n{find.error}")
        print(f"again: python -m tests.fuzz --replay {path}\n", flush=True)


def _line(fuzzer: Fuzzer, seconds: float) -> dict[str, Any]:
    return {
        "target": fuzzer.target.name,
        "episodes" if fuzzer.target.is_episode else "inputs": fuzzer.inputs,
        "seconds": round(seconds, 1),
        "corpus": len(fuzzer.corpus),
        "finds": [find.place for find in fuzzer.finds],
    }


def _summarise(lines: list[dict[str, Any]]) -> None:
    print(f"{'target':16} {'inputs':>12} {'episodes':>10} {'a second':>9} {'corpus':>7} {'finds':>6}")
    for line in lines:
        count = line.get("inputs", 0) + line.get("episodes", 0)
        rate = count / max(line["seconds"], 0.001)
        inputs, episodes = line.get("inputs", ""), line.get("episodes", "")
        print(
            f"{line['target']:16} {inputs:>12} {episodes:>10} {rate:>9.0f} {line['corpus']:>7} {len(line['finds']):>6}"
        )
    inputs, episodes = (sum(line.get(kind, 0) for line in lines) for kind in ("inputs", "episodes"))
    print(f"{'all':16} {inputs:>12} {episodes:>10}")


def _keep(fuzzer: Fuzzer) -> None:
    """Keep the inputs that reached something, the short ones: each is made shorter as long as it reaches the same."""
    target = fuzzer.target
    seeds = set(target.seeds())
    kept = {data for data in corpus_of(target) if data not in seeds}
    for data in sorted(fuzzer.added, key=len):
        if len(kept) >= MAX_KEPT_INPUTS:
            break
        if len(data) <= MAX_KEPT_BYTES and data not in seeds:
            reached = target.run(data)
            kept.add(minimised(data, partial(_reaches, target, reached), attempts=100))
    write_corpus(target, [data for data in kept if data not in seeds])


def _reaches(target: Target, reached: Hashable, data: bytes) -> bool:
    return target.run(data) == reached


def _replay(path: str) -> int:
    """Run an input again, with the traceback of what it fails with."""
    file = Path(path) if Path(path).is_file() else FOUND / path
    target = _targets()[file.name.rpartition("-")[0]]
    data = ast.literal_eval(file.read_text()) if file.suffix == ".txt" else file.read_bytes()
    print(f"{target.name}: {len(data)} bytes: {data[:200]!r}")
    print(f"it reaches {check(target, data)!r}, and fails no more")
    return 0


if __name__ == "__main__":
    sys.exit(main())
