"""Mutation testing: changes the source a little, over and over, and says which changes no test notices.

    python scripts/mutants.py                                       every file of the import contract "Pure core"
    python scripts/mutants.py --file src/framewire/rtc/send/pacer.py
    python scripts/mutants.py --sample 200 --seed 1                 a quick look
    python scripts/mutants.py --list                                the mutants alone

Each mutant is one fork of this process: it imports the changed source through a hook and runs those tests of the
mirrored test file that enter the changed function. The tree on disk is never touched. docs/mutants.md says the rest.
Must not know what any file does, nor which changes there are (`mutations`).
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import math
import os
import random
import resource
import select
import signal
import sys
import threading
import time
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import hypothesis
import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from scripts.mutations import Mutation, mutations  # noqa: E402

SOURCE = ROOT / "src"
PACKAGE = SOURCE / "framewire"
TESTS = ROOT / "tests"

GOAL = 0.9
"""The part of a file's mutants that must be killed, those with a reason apart."""
CPU_FACTOR = 3.0
"""A mutant may take this many times the processor time of its tests unchanged. Processor time, so that a busy machine
kills no mutant."""
CPU_FLOOR_S = 2.0
"""Seconds added to that: a start takes its time, and most tests take next to none."""
WAIT_FACTOR = 10.0
"""Real time for one second of processor time, before a mutant counts as one that waits for ever."""
BASELINE_S = 900.0
"""What the tests of one file may take unchanged."""
FAILED = 70
"""Exit status of a fork in which not even pytest ran."""
MEMORY_BYTES = 4 << 30
"""What a mutant may allocate: a loop that no longer ends should not take the machine with it."""

SURVIVED, KILLED, TIMEOUT = "survived", "killed", "timeout"


@dataclass
class Rooms:
    """What the `mutants.toml` files beside the tests say."""

    accepted: dict[tuple[str, str, str], str] = field(default_factory=dict)
    """(file, line, change) → why no test can or should notice it."""
    extra: dict[str, list[str]] = field(default_factory=dict)
    """File → tests that it has beside its mirror."""


@dataclass
class Report:
    """One file's mutants and what became of them."""

    file: str
    results: list[tuple[Mutation, str]] = field(default_factory=list)
    accepted: list[tuple[Mutation, str]] = field(default_factory=list)
    stale: list[tuple[str, str]] = field(default_factory=list)
    """Reasons for a line and change that is no longer there, or that a test kills after all."""

    @property
    def killed(self) -> int:
        return sum(result != SURVIVED for _, result in self.results)

    @property
    def fraction(self) -> float:
        return self.killed / len(self.results) if self.results else 1.0


# What is run for which file.


def pure_files() -> list[Path]:
    """The files that the import contract "Pure core" names."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (contract,) = (each for each in contracts if each["name"].startswith("Pure core"))
    patterns = [f"{name.replace('.', '/')}.py" for name in contract["source_modules"]]
    found = [sorted(SOURCE.glob(pattern)) for pattern in patterns]
    return [file for files in found for file in files if file.stem != "__init__"]


@cache
def source_of(file: Path) -> str:
    """A file's text, read once: someone may edit it meanwhile."""
    return file.read_text()


def rooms(folder: Path = TESTS) -> Rooms:
    """All that the `mutants.toml` files say. Raises ``ValueError`` for a reason that is none."""
    told = Rooms()
    for path in sorted(folder.rglob("mutants.toml")):
        content = tomllib.loads(path.read_text())
        for entry in content.get("accepted", []):
            if not entry["reason"].strip():
                raise ValueError(f"{path}: {entry['line']!r} is accepted without a reason")
            told.accepted[entry["file"], entry["line"].strip(), entry["change"]] = entry["reason"]
        for file, tests in content.get("tests", {}).items():
            told.extra.setdefault(file, []).extend(tests)
    return told


def tests_of(file: Path, extra: Sequence[str]) -> list[str]:
    """The test files of a source file: its mirror, and what is named beside it."""
    inside = file.relative_to(PACKAGE)
    mirror = TESTS / inside.parent / f"test_{inside.stem.strip('_')}.py"
    return [str(mirror)] * mirror.is_file() + [str(ROOT / each) for each in extra]


# What happens in a fork.


class _Changed(importlib.machinery.SourceFileLoader):
    """Loads one module from another text than its file holds."""

    def __init__(self, name: str, path: str, source: str) -> None:
        super().__init__(name, path)
        self._source = source

    def get_code(self, fullname: str) -> CodeType:
        return compile(self._source, self.path, "exec", dont_inherit=True)


class SourceFinder(importlib.abc.MetaPathFinder):
    def __init__(self, name: str, path: Path, source: str) -> None:
        self._name, self._path, self._source = name, path, source

    def find_spec(self, name: str, *_: object) -> importlib.machinery.ModuleSpec | None:
        if name != self._name:
            return None
        loader = _Changed(name, str(self._path), self._source)
        return importlib.util.spec_from_file_location(name, self._path, loader=loader)


class _Chosen:
    """Pytest plugin: runs the tests that are named, in that order."""

    def __init__(self, names: Sequence[str]) -> None:
        self._order = {name: index for index, name in enumerate(names)}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted((i for i in items if i.nodeid in self._order), key=lambda item: self._order[item.nodeid])


class _Watcher:
    """Pytest plugin: which functions of a file each test enters, and how long it takes."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self.entered: dict[str, set[int]] = {}
        self.seconds: dict[str, float] = {}

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        lines: set[int] = set()

        def trace(frame: FrameType, event: str, _: Any) -> None:
            if event == "call" and frame.f_code.co_filename == self._path:
                lines.add(frame.f_code.co_firstlineno)

        began = time.process_time()
        threading.setprofile(trace)
        sys.setprofile(trace)
        try:
            return (yield)
        finally:
            sys.setprofile(None)
            threading.setprofile(None)
            self.entered[item.nodeid] = lines
            self.seconds[item.nodeid] = time.process_time() - began


def foreign() -> list[str]:
    """The modules that are imported here and that no mutant changes."""
    ours = (str(SOURCE), str(TESTS))
    modules = [(name, getattr(module, "__file__", None) or "") for name, module in sys.modules.items()]
    return [name for name, file in modules if file and not file.startswith(ours) and name != "__main__"]


def preload(names: Sequence[str]) -> None:
    """Import them once, for all forks."""
    for name in names:
        with contextlib.suppress(Exception):
            importlib.import_module(name)


def prepare_hypothesis() -> None:
    """The same examples for every mutant; the smallest one that fails is of no interest."""
    phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
    hypothesis.settings.register_profile("mutants", derandomize=True, database=None, phases=phases, deadline=None)
    hypothesis.settings.load_profile("mutants")


def run_tests(tests: Sequence[str], *plugins: object) -> int:
    """Pytest's exit status, in this process."""
    options = ["-x", "-q", "--no-header", "--tb=no", "-p", "no:cacheprovider", "-W", "ignore"]
    return int(pytest.main([*options, "--rootdir", str(ROOT), "-c", str(ROOT / "pyproject.toml"), *tests], plugins))


def confine(cpu_s: float) -> None:
    """Print nothing from here on, never wait for a keyboard, and take no more than so much memory and time."""
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    limit = math.ceil(time.process_time() + cpu_s)
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 1))


@dataclass
class Fork:
    """A child process; ``finished`` becomes readable when it ends."""

    pid: int
    finished: int
    deadline: float


def fork(work: Callable[[], int], limit_s: float) -> Fork:
    """Run ``work`` in a child that exits with its result, in a process group so that what it started ends with it."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = FAILED
        try:
            os.setpgid(0, 0)
            os.close(reading)
            status = work()
        finally:
            os._exit(status)
    os.close(writing)
    return Fork(pid, reading, time.monotonic() + limit_s)


def ended(child: Fork, now: float) -> int | None:
    """The child's exit status (negative: the signal that ended it), None while it runs and has time left."""
    ready, _, _ = select.select([child.finished], [], [], 0)
    if not ready and now < child.deadline:
        return None
    status = None
    if ready:
        status = os.waitstatus_to_exitcode(os.waitpid(child.pid, 0)[1])
    for kill in (os.killpg, os.kill) if status is None else (os.killpg,):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            kill(child.pid, signal.SIGKILL)
    if status is None:
        os.waitpid(child.pid, 0)
        status = -signal.SIGXCPU
    os.close(child.finished)
    return status


# The runs.


@dataclass
class Baseline:
    """How the tests of a file do unchanged. Times are processor time, in seconds."""

    entered: dict[str, list[int]]
    """Test → first lines of the file's functions that it enters."""
    seconds: dict[str, float]
    startup_s: float = 0.0
    imported: list[str] = field(default_factory=list)

    def choose(self, mutation: Mutation) -> list[str]:
        """The tests that can notice a mutation, the quickest first: all of them where it is in no function."""
        names = sorted(self.entered, key=lambda name: self.seconds[name])
        if mutation.function is None:
            return names
        first, last = mutation.function
        return [name for name in names if any(first <= line <= last for line in self.entered[name])]

    def limit(self, names: Sequence[str]) -> float:
        """The processor time, in seconds, after which a mutant counts as one that never ends."""
        return CPU_FLOOR_S + CPU_FACTOR * (self.startup_s + sum(self.seconds[name] for name in names))


def baseline(file: Path, tests: Sequence[str]) -> Baseline:
    """Run the tests unchanged, in a fork. Raises ``RuntimeError`` if they do not pass."""
    reading, writing = os.pipe()

    def work() -> int:
        confine(BASELINE_S)
        watcher = _Watcher(file)
        status = run_tests(tests, watcher)
        entered = {name: sorted(lines) for name, lines in watcher.entered.items()}
        startup_s = time.process_time() - sum(watcher.seconds.values())
        with open(writing, "w") as out:
            json.dump([entered, watcher.seconds, startup_s, foreign()], out)
        return status

    child = fork(work, BASELINE_S)
    os.close(writing)
    with open(reading) as answer:
        text = answer.read()
    while (status := ended(child, time.monotonic())) is None:
        time.sleep(0.01)
    if status != 0:
        raise RuntimeError(f"{file.relative_to(ROOT)}: its tests end with {status} before anything is changed")
    return Baseline(*json.loads(text))


def judge(file: Path, mutants: Sequence[Mutation], tests: Sequence[str], jobs: int) -> list[tuple[Mutation, str]]:
    """What became of each mutant of a file."""
    before = baseline(file, tests) if tests else Baseline({}, {})
    preload(before.imported)
    name = ".".join(file.relative_to(SOURCE).with_suffix("").parts)
    results: dict[int, str] = {}
    running: dict[int, Fork] = {}
    waiting = list(range(len(mutants)))[::-1]

    def work(mutant: Mutation, chosen: Sequence[str]) -> int:
        confine(before.limit(chosen))
        sys.meta_path.insert(0, SourceFinder(name, file, mutant.source))
        return run_tests(tests, _Chosen(chosen))

    while waiting or running:
        while waiting and len(running) < jobs:
            index = waiting.pop()
            chosen = before.choose(mutants[index])
            if chosen:
                running[index] = fork(partial(work, mutants[index], chosen), WAIT_FACTOR * before.limit(chosen))
            else:
                results[index] = SURVIVED
        select.select([child.finished for child in running.values()], [], [], 0.2)
        now = time.monotonic()
        for index, child in list(running.items()):
            status = ended(child, now)
            if status is not None:
                del running[index]
                results[index] = SURVIVED if status == 0 else TIMEOUT if status == -signal.SIGXCPU else KILLED
    return [(mutant, results[index]) for index, mutant in enumerate(mutants)]


def report(file: Path, mutants: Sequence[Mutation], told: Rooms, jobs: int, *, whole: bool) -> Report:
    """Judge a file's mutants and hold them against the reasons; ``whole``: they are all that there are."""
    name = str(file.relative_to(ROOT))
    lines = source_of(file).splitlines()
    reasons = {key[1:]: why for key, why in told.accepted.items() if key[0] == name}
    made = Report(name)
    used = set()
    for mutant, result in judge(file, mutants, tests_of(file, told.extra.get(name, [])), jobs):
        key = (lines[mutant.line - 1].strip(), mutant.change)
        if result == SURVIVED and key in reasons:
            made.accepted.append((mutant, reasons[key]))
            used.add(key)
        else:
            made.results.append((mutant, result))
    made.stale = sorted(reasons.keys() - used) if whole else []
    return made


def difference(file: Path, mutant: Mutation) -> Iterator[str]:
    """The lines that a mutant changes, with - and +."""
    old, new = source_of(file).splitlines(), mutant.source.splitlines()
    for line in difflib.unified_diff(old, new, n=0, lineterm=""):
        if not line.startswith(("---", "+++", "@@")):
            yield line


def say(made: Report) -> None:
    """One file's lines of the report."""
    accepted = f", {len(made.accepted)} accepted" if made.accepted else ""
    print(f"{made.file}: {made.killed} of {len(made.results)} killed ({made.fraction:.0%}){accepted}", flush=True)
    for mutant, result in made.results:
        if result == SURVIVED:
            print(f"  {made.file}:{mutant.line}  {mutant.change}")
            for line in difference(ROOT / made.file, mutant):
                print(f"    {line}")
    for line, change in made.stale:
        print(f"  no longer needed: the reason for {change!r} of {line!r}")
    sys.stdout.flush()


def chosen_files(named: Sequence[str]) -> list[Path]:
    files = [Path(each).resolve() for each in named] or pure_files()
    for file in files:
        if not file.is_file() or not file.is_relative_to(PACKAGE):
            raise SystemExit(f"mutants: {file} is no file of src/framewire")
    return files


def sampled(pairs: list[tuple[Path, Mutation]], count: int | None, seed: int) -> list[tuple[Path, Mutation]]:
    """``count`` of them by chance, the same ones for the same seed, in their order; all without a count."""
    if count is None or count >= len(pairs):
        return pairs
    return [pairs[index] for index in sorted(random.Random(seed).sample(range(len(pairs)), count))]


def main(arguments: Sequence[str] | None = None) -> int:
    """0 if every file reaches the goal and every reason holds, 1 if not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--file", action="append", default=[], metavar="PATH", help="this file alone; may be repeated")
    parser.add_argument("--sample", type=int, metavar="N", help="N mutants by chance")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="which N")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="so many at once")
    parser.add_argument("--list", action="store_true", help="list the mutants, and run none")
    options = parser.parse_args(arguments)
    files = chosen_files(options.file)
    pairs = [(file, mutant) for file in files for mutant in mutations(source_of(file))]
    pairs = sampled(pairs, options.sample, options.seed)
    if options.list:
        for file, mutant in pairs:
            print(f"{file.relative_to(ROOT)}:{mutant.line}  {mutant.change}")
        return 0
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    prepare_hypothesis()
    told, began, failed = rooms(), time.monotonic(), []
    reports = []
    for file in files:
        mutants = [mutant for of, mutant in pairs if of == file]
        if mutants:
            reports.append(report(file, mutants, told, options.jobs, whole=options.sample is None))
            say(reports[-1])
    failed = [made.file for made in reports if made.fraction < GOAL or made.stale]
    total = sum(len(made.results) for made in reports)
    killed = sum(made.killed for made in reports)
    part = f" ({killed / total:.0%})" if total else ""
    print(f"mutants: {killed} of {total} killed{part} in {time.monotonic() - began:.0f} s")
    if failed:
        print(f"mutants: below {GOAL:.0%}, or with reasons that no longer hold: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
