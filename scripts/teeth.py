"""Removes each control of SECURITY.md, one at a time, and says which test falls. A control without one is not held.

    python scripts/teeth.py                every control
    python scripts/teeth.py --row S11      the controls of one row; may be repeated
    python scripts/teeth.py --list         the controls alone

`tests/teeth.toml` says what the controls are. Each is removed in a copy of the tree, and the tests that are named for
it run there. The tree itself is never touched. Must not know what any control is.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from scripts.mutants import Fork, ended, fork, preload, prepare_hypothesis  # noqa: E402

CONTROLS = ROOT / "tests" / "teeth.toml"
LIMIT_S = 60.0
"""Time for the tests of one control. A test that waits for ever without it has fallen too."""
TIMEOUT = ("--timeout=10", "-o", "timeout_method=signal")
"""Time for one test: without its control, some wait for ever."""
PRELOADED = ("aiohttp.web", "aiortc", "av", "hypothesis", "msgspec", "numpy", "psutil", "pytest_asyncio")
"""Imported once, for all forks: nothing of ours, which differs in each."""
FALLS, STANDS, BROKEN = "falls", "STANDS", "BROKEN"


@dataclass(frozen=True)
class Control:
    """One control, and how it is removed."""

    rows: tuple[str, ...]
    """Rows of SECURITY.md."""
    name: str
    file: str
    remove: str
    """Text of the file, found in it once."""
    put: str
    """What is written in its place."""
    tests: tuple[str, ...]


@dataclass
class Outcome:
    """What became of the tests without the control."""

    result: str
    fallen: list[str] = field(default_factory=list)
    why: str = ""


def controls(path: Path = CONTROLS) -> list[Control]:
    """All that the file says. Raises ``ValueError`` for a control that its text cannot remove."""
    found = [
        Control(tuple(each["rows"]), each["name"], each["file"], each["remove"], each["put"], tuple(each["tests"]))
        for each in tomllib.loads(path.read_text())["control"]
    ]
    counts = {control: (ROOT / control.file).read_text().count(control.remove) for control in found}
    wrong = [f"{each.name!r}: its text is {count} times in {each.file}" for each, count in counts.items() if count != 1]
    if wrong:
        raise ValueError(f"{'; '.join(wrong)}: write it as it is there now, in {path.name}")
    return found


def copy_without(control: Control, folder: Path) -> None:
    """The tree in ``folder``, with this control removed. Files are linked: one that changes is written anew."""
    names = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True)
    built = [str(path.relative_to(ROOT)) for path in (ROOT / "src/framewire/static").glob("*")]
    for name in [*names.stdout.decode().splitlines(), *built]:
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            _link(ROOT / name, folder / name)
    (folder / "node_modules").symlink_to((ROOT / "node_modules").resolve())
    changed = folder / control.file
    text = changed.read_text().replace(control.remove, control.put)
    changed.unlink()
    changed.write_text(text)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)


class _Fallen:
    """Pytest plugin: which tests failed."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.names.append(report.nodeid)


def run_python(folder: Path, tests: Sequence[str], answer: int, log: Path) -> int:
    """Pytest's exit status, in this process, which ends with it. The names of the fallen go to ``answer``."""
    with log.open("w") as out:
        for number in (1, 2):
            os.dup2(out.fileno(), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(folder)
    sys.path[:] = [str(folder / "src"), str(folder), *(path for path in sys.path if path != str(ROOT))]
    os.environ["PYTHONPATH"] = f"{folder / 'src'}{os.pathsep}{folder}"
    for name in [name for name in sys.modules if name.split(".")[0] in ("framewire", "scripts", "tests", "benchmarks")]:
        del sys.modules[name]
    fallen = _Fallen()
    options = ["-x", "-q", "--tb=short", "-p", "no:cacheprovider", "-W", "ignore", "--rootdir", str(folder), *TIMEOUT]
    status = int(pytest.main([*options, "-c", str(folder / "pyproject.toml"), *tests], [fallen]))
    with open(answer, "w") as out:
        json.dump(fallen.names, out)
    return status


def run_script(folder: Path, tests: Sequence[str], answer: int, log: Path) -> int:
    """Vitest's exit status, in pytest's numbers. A test is `file::name`."""
    files = sorted({test.partition("::")[0] for test in tests})
    names = "|".join(re.escape(test.partition("::")[2]) for test in tests)
    report = folder / "report.json"
    command = ["node_modules/.bin/vitest", "run", "--config", "js/vitest.config.ts", "--reporter=json"]
    with log.open("w") as out:
        subprocess.run(
            [*command, f"--outputFile={report}", "-t", names, *files], cwd=folder, check=False, stdout=out, stderr=out
        )
    content = json.loads(report.read_text())
    cases = [case for file in content["testResults"] for case in file["assertionResults"]]
    ran = [case for case in cases if case["status"] in ("passed", "failed")]
    with open(answer, "w") as written:
        json.dump([case["fullName"] for case in ran if case["status"] == "failed"], written)
    return 5 if not ran else int(any(case["status"] == "failed" for case in ran))


@dataclass
class Trial:
    """A control that is removed at this moment, and its tests."""

    control: Control
    folder: Path
    child: Fork
    answer: int

    @property
    def log(self) -> Path:
        return self.folder / "teeth.log"

    def outcome(self, status: int) -> Outcome:
        """What the tests' end means."""
        with open(self.answer) as answer:
            text = answer.read()
        if status < 0:
            return Outcome(FALLS, ["(none ended in time)"])
        if status == int(pytest.ExitCode.TESTS_FAILED):
            return Outcome(FALLS, json.loads(text))
        if status == int(pytest.ExitCode.OK):
            return Outcome(STANDS)
        return Outcome(BROKEN, why=f"its tests could not be run (status {status}):\n{self.log.read_text()[-2000:]}")


def begin(control: Control, folder: Path) -> Trial:
    """Remove the control in ``folder``, and start its tests there."""
    copy_without(control, folder)
    reading, writing = os.pipe()
    run = run_script if control.file.startswith("js/") else run_python
    child = fork(partial(run, folder, control.tests, writing, folder / "teeth.log"), LIMIT_S)
    os.close(writing)
    return Trial(control, folder, child, reading)


def judge(chosen: Sequence[Control], jobs: int, folder: Path) -> dict[str, Outcome]:
    """The outcome for each control, printed as they come."""
    outcomes: dict[str, Outcome] = {}
    waiting, running = list(chosen)[::-1], list[Trial]()
    while waiting or running:
        while waiting and len(running) < jobs:
            copy = folder / str(len(waiting))
            copy.mkdir()
            running.append(begin(waiting.pop(), copy))
        select.select([trial.child.finished for trial in running], [], [], 0.2)
        for trial in list(running):
            status = ended(trial.child, time.monotonic())
            if status is not None:
                running.remove(trial)
                outcomes[trial.control.name] = outcome = trial.outcome(status)
                say(trial.control, outcome)
                shutil.rmtree(trial.folder, ignore_errors=True)
    return outcomes


def say(control: Control, outcome: Outcome) -> None:
    """One line, or a few where something is wrong."""
    print(f"{outcome.result}  {' '.join(control.rows)}: {control.name}", flush=True)
    for line in outcome.fallen or outcome.why.splitlines():
        print(f"       {line}", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """0 if for every control a test falls."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--row", action="append", default=[], metavar="S1", help="this row alone; may be repeated")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="so many at once")
    parser.add_argument("--list", action="store_true", help="list the controls, and remove none")
    options = parser.parse_args(arguments)
    chosen = [each for each in controls() if not options.row or set(options.row) & set(each.rows)]
    if options.list:
        for control in chosen:
            print(f"{' '.join(control.rows)}: {control.name}  ({control.file})")
        return 0
    prepare_hypothesis()
    preload(PRELOADED)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="framewire-teeth-") as folder:
        outcomes = judge(chosen, options.jobs, Path(folder))
    held = sum(outcome.result == FALLS for outcome in outcomes.values())
    print(f"teeth: {held} of {len(outcomes)} controls are held by a test, in {time.monotonic() - began:.0f} s")
    return 0 if held == len(outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
