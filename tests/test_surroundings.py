"""Programs in the surroundings that users bring: each is served, frames arriving bit-exact, or is refused in one line.

Each is a process of its own (`tests/surroundings.py` lists them). The test watches its stream as a viewer would, over
the port. Then the program ends, with status 0, with nothing printed and no engine left.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.surroundings import CASES, PIXELS, PROGRAM, SOURCES, Case
from tests.viewer import connected, eventually, same

CASE_TIMEOUT_S = 40.0
"""A case takes a second or two; the machine may be busy."""
WORKERS = 3
"""Cases that run at a time: each waits for its engine most of the time."""


@dataclass(frozen=True)
class Outcome:
    said: dict[str, Any] | None
    status: int
    printed: str
    watched: str


async def watch(page: str, url: str, token: str) -> str:
    """What a viewer sees: "exact", or what is wrong."""
    async with aiohttp.ClientSession() as session, session.get(page.partition("#")[0]) as answer:
        if answer.status != 200 or "<html" not in (await answer.text()).lower():
            return f"the page: {answer.status}"
    async with connected(url, token) as viewer:
        await eventually(lambda: "default" in viewer.streams)
        await viewer.subscribe("default")
        unit = await viewer.unit()
        return "exact" if same(unit, PIXELS) else "other pixels"


def variables(case: Case) -> dict[str, str]:
    own = {"PYTHONPATH": os.pathsep.join(filter(None, [str(SOURCES), os.environ.get("PYTHONPATH")]))}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "FRAMEWIRE", "COV"))}
    return {name: value for name, value in {**kept, **own, **case.variables}.items() if value is not None}


def command(case: Case, directory: Path) -> list[str]:
    """Writes the program, too."""
    case.make(directory)
    program = directory / "program.py"
    pipes = {name: str(directory / name) for name in ("report", "go")}
    program.write_text(PROGRAM.format(before=case.before, main=case.main, **pipes))
    own = case.command(program) if case.command else [sys.executable, *case.options, str(program)]
    return ["sh", "-c", case.shell, "sh", *own]


def play(case: Case, directory: Path) -> Outcome:
    """Run the case's program, watch what it serves, let it end."""
    begun = time.monotonic()
    with contextlib.ExitStack() as stack:
        report, go = (stack.enter_context(named_pipe(directory / name)) for name in ("report", "go"))
        printed, output = os.pipe()
        stack.enter_context(os.fdopen(printed, "rb"))
        with os.fdopen(output, "wb"):
            process = subprocess.Popen(command(case, directory), cwd=directory, env=variables(case),
                                       stdin=subprocess.DEVNULL, stdout=output, stderr=output)  # fmt: skip
        try:
            said, watched = first_line(report, process, begun + CASE_TIMEOUT_S), ""
            if said and "url" in said:
                watched = asyncio.run(watch(said["page"], said["url"], said["token"]))
            os.write(go, b"!")
            status = process.wait(max(1.0, begun + CASE_TIMEOUT_S - time.monotonic()))
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        os.set_blocking(printed, False)
        with contextlib.suppress(BlockingIOError):
            return Outcome(said, status, os.read(printed, 1 << 20).decode(errors="replace"), watched)
        return Outcome(said, status, "", watched)


@contextlib.contextmanager
def named_pipe(path: Path) -> Iterator[int]:
    """One that a program may open, whoever has started it and as whichever user."""
    os.mkfifo(path)
    path.chmod(0o666)
    fd = os.open(path, os.O_RDWR)
    try:
        yield fd
    finally:
        os.close(fd)


def first_line(pipe: int, process: subprocess.Popen[bytes], deadline: float) -> dict[str, Any] | None:
    """What the program says; None if it ends or is late."""
    data = b""
    while time.monotonic() < deadline and not data.endswith(b"\n"):
        running = process.poll() is None
        if select.select([pipe], [], [], 0.05)[0]:
            data += os.read(pipe, 65536)
        elif not running:
            break
    said: dict[str, Any] | None = json.loads(data) if data else None
    return said


class Outcomes:
    """Runs the cases, a few at a time and ahead of the tests that ask for them."""

    def __init__(self, workers: ThreadPoolExecutor, directory: Callable[[str], Path], ahead: list[Case]) -> None:
        self._workers, self._directory = workers, directory
        self._ahead = {case.name: self._start(case) for case in ahead if not case.needs()}

    def of(self, case: Case) -> Outcome:
        """A test that is tried again gets another outcome."""
        return (self._ahead.pop(case.name, None) or self._start(case)).result()

    def _start(self, case: Case) -> Future[Outcome]:
        directory = self._directory("surroundings")
        directory.chmod(0o777)
        return self._workers.submit(play, case, directory)


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcomes]:
    ours = (item for item in request.session.items if isinstance(item, pytest.Function))
    chosen: list[Any] = [item.callspec.params["case"] for item in ours if item.originalname == SERVED_OR_REFUSED]
    workers = ThreadPoolExecutor(WORKERS)
    yield Outcomes(workers, tmp_path_factory.mktemp, chosen)
    workers.shutdown(cancel_futures=True)


def gone(pid: int) -> bool:
    """No such process, or one that only waits for whoever started it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.skipif(sys.platform != "linux", reason="descriptors, limits and processes are looked up in /proc")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_it_is_served_or_refused_in_one_line(case: Case, outcomes: Outcomes) -> None:
    if reason := case.needs():
        pytest.skip(reason)
    outcome = outcomes.of(case)
    about = f"{outcome}"
    said = outcome.said
    assert said, about
    if case.refused:
        assert "refused" in said, about
        assert re.search(case.refused, said["refused"]) and "\n" not in said["refused"], about
        assert (said["descriptors"], said["children"]) == (0, 0), about
    else:
        assert outcome.watched == "exact", about
        deadline = time.monotonic() + CASE_TIMEOUT_S
        while not gone(said["engine"]) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert gone(said["engine"]), about
    assert outcome.status == 0, about
    assert re.fullmatch(f"(({case.printed})\n)*" if case.printed else "", outcome.printed), about


SERVED_OR_REFUSED = test_it_is_served_or_refused_in_one_line.__name__
