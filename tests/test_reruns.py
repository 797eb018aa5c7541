"""Programs that are interrupted, and cells that are run again: nothing hangs, and one engine is left, or none.

Signals come at random moments, in a program of their own (`signalled_program.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

import framewire as fw
from framewire.link.restart import RestartPolicy
from framewire.link.spawn import environment
from framewire.options import EngineHome
from tests import stepped_program
from tests.ending_programs import HEAD, PROGRAMS
from tests.signalled_program import GRACE_S, MIN_ROUNDS, MIN_SIGNALS
from tests.viewer import TEST_TIMEOUT_S, connected, eventually, flat, same


def watch(display: fw.Display, value: int) -> None:
    """A viewer comes, and finds this picture."""

    async def look() -> None:
        async with connected(display.ws_url, display.server.token) as viewer:
            await eventually(lambda: display.name in viewer.streams)
            await viewer.subscribe(display.name)
            await viewer.unit(lambda unit: same(unit, flat(unit.width, unit.height, value)))

    asyncio.run(look())


# Signal handlers


SIGNALLED_S = 3.0


@pytest.mark.slow
@pytest.mark.parametrize(
    "deeds",
    [["close"], ["publish"], ["serve"], ["interrupt"],
     ["close", "publish", "serve", "close the server", "look", "interrupt"]],
    ids=["close", "publish", "serve", "interrupt", "all"],
)  # fmt: skip
def test_a_signal_handler_may_call_anything_at_any_moment(deeds: list[str]) -> None:
    program = Path(__file__).parent / "signalled_program.py"
    command = [sys.executable, str(program), str(SIGNALLED_S), "1", *deeds]
    run = subprocess.run(command, capture_output=True, env=environment(), timeout=100, text=True, check=False)
    assert run.returncode == 0, run.stderr
    rounds, signals, engines, descriptors, longest = map(float, run.stdout.split())
    assert rounds >= MIN_ROUNDS and signals >= MIN_SIGNALS, "a signal came in the middle of many calls"
    assert (engines, run.stderr) == (0, "")
    assert descriptors <= 4, "what an interrupt left half done is at most a ring or two"
    assert longest < GRACE_S, "no end waited for its time to be over"


@pytest.mark.parametrize(("call", "lines_between"), [("close", 1), ("close when ready", 29), ("publish", 3)])
def test_a_signal_handler_may_close_at_any_line_of_a_call(call: str, lines_between: int) -> None:
    program = Path(__file__).parent / "stepped_program.py"
    command = [sys.executable, str(program), call, str(lines_between)]
    run = subprocess.run(command, capture_output=True, env=environment(), timeout=100, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")
    rounds, engines, longest_s = map(float, run.stdout.split())
    assert rounds > 5 and engines == 0
    assert longest_s < stepped_program.GRACE_S, "no end waited for its time to be over"


# Cells that are run again

HOMES: tuple[EngineHome, ...] = ("process", "thread")


def engines() -> set[int]:
    return {child.pid for child in psutil.Process().children()}


def test_a_cell_that_is_run_again_leaves_one_engine_on_its_port() -> None:
    before, port = engines(), free_port()
    out: list[object] = []
    for number in range(20):
        server = fw.serve_server(port=port, token=f"a token of the run of number {number:3}")
        out.append(server)  # as IPython keeps what a cell shows
        display = server.add_stream("a", 64, 48)
        display.publish(flat(64, 48, number))
        assert server.port == port and len(engines() - before) == 1
    with pytest.raises(fw.ClosedError, match=f"replaced by a newer one on its port, {port}"):
        out[0].add_stream("b", 4, 4)  # type: ignore[attr-defined]
    watch(display, 19)
    server.close()
    assert engines() == before


def test_a_cell_of_serve_keeps_its_port_whatever_changes() -> None:
    before, port = engines(), free_port()
    for token in ("x" * 22, "y" * 22):
        for home in HOMES:
            display = fw.serve(64, 48, name="cell", port=port, token=token, engine=home)
            display.publish(flat(64, 48, 7))
            assert display.port == port and len(engines() - before) == (home == "process")
    watch(display, 7)
    display.close()
    assert engines() == before


def test_a_server_that_is_bound_again_ends_with_its_engine() -> None:
    before = engines()
    for _ in range(5):
        server = fw.serve_server(port=0)
        server.add_stream("a", 64, 48).publish(flat(64, 48))
    eventually_sync(lambda: len(engines() - before) == 1)
    del server
    eventually_sync(lambda: engines() == before)


@pytest.mark.filterwarnings("ignore::framewire.FramewireWarning")
def test_a_port_that_this_program_has_is_said_to_be_its_own() -> None:
    with fw.serve(64, 48, name="one", port=0) as one:
        for start in (
            lambda: fw.serve_server(port=one.port),
            lambda: fw.serve(4, 4, name="two", port=one.port, token="x" * 22),
        ):
            with pytest.raises(fw.EngineError, match=f"port {one.port} is taken by this program itself, for 'one'"):
                start()
        assert not one.closed


def test_serve_ends_no_server_of_serve_server_that_has_its_port() -> None:
    with fw.serve_server(port=0) as server:
        for streams, said in ([], "a server without streams"), (["a", "b"], "'a', 'b'"):
            for name in streams:
                server.add_stream(name, 64, 48)
            with pytest.raises(
                fw.EngineError, match=f"port {server.port} is taken .* for {said}: .* use its add_stream"
            ):
                fw.serve(64, 48, port=server.port)
        assert not server.closed and server.streams == ["a", "b"]


def test_an_engine_that_is_given_up_is_an_error_and_a_later_serve_has_its_name_and_port(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("framewire.link.supervisor.RestartPolicy", lambda: RestartPolicy(limit=2))
    given_up = fw.serve(64, 48, name="given up", port=0)
    port = given_up.port
    for _ in range(2):
        given_up.wait_ready(TEST_TIMEOUT_S)
        pid = given_up.server.engine_pid
        assert pid
        psutil.Process(pid).kill()
        eventually_sync(lambda pid=pid: given_up.server.engine_pid != pid)  # type: ignore[misc]
    eventually_sync(lambda: given_up.server.failure is not None)
    for call in (lambda: given_up.publish(flat(64, 48)), given_up.wait_ready, given_up.wait):
        with pytest.raises(fw.EngineError, match=r"^the engine exited again and again.*; .*serve again$"):
            call()
    with fw.serve(64, 48, name="given up", port=port) as display:
        display.publish(flat(64, 48, 7))
        watch(display, 7)
        assert display.port == port and given_up.closed
    assert "Traceback" not in caplog.text


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def eventually_sync(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TEST_TIMEOUT_S
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_an_end_right_after_the_start_is_quick_and_leaves_no_zombie() -> None:
    before, took, begun = engines(), [], time.monotonic()
    with fw.serve(64, 48, port=0, token="z" * 30) as display:
        display.wait_ready(TEST_TIMEOUT_S)
        start_s = time.monotonic() - begun
    for _ in range(5):
        display = fw.serve(64, 48, name="short", port=0, token="z" * 30)
        port, begun = display.port, time.monotonic()
        display.close()
        took.append(time.monotonic() - begun)
        assert engines() == before
        socket.create_server(("127.0.0.1", port)).close()
    assert min(took) < start_s / 2, "it did not wait for the engine to come up"


# Ends


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_ends_well_and_leaves_no_engine(name: str, tmp_path: Path) -> None:
    text, printed = PROGRAMS[name]
    program, mark = tmp_path / "program.py", uuid.uuid4().hex
    program.write_text(HEAD + text)
    command = [sys.executable, "-W", "ignore::DeprecationWarning", str(program)]
    variables = {**environment(), "FRAMEWIRE_TEST": mark}
    run = subprocess.run(command, capture_output=True, env=variables, timeout=100, text=True, check=False)
    assert (run.stdout.splitlines(), run.stderr, run.returncode) == (printed, "", 0)
    eventually_sync(lambda: not any(is_marked(process, mark) for process in psutil.process_iter()))


def is_marked(process: psutil.Process, mark: str) -> bool:
    with contextlib.suppress(psutil.Error):
        return process.environ().get("FRAMEWIRE_TEST") == mark
    return False
