"""The command line: what it prints, and how it ends."""

from __future__ import annotations

import io
import json
import os
import re
import socket
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import framewire as fw
from framewire import cli
from framewire.advice import advise
from framewire.bench.figures import Row, Spread
from framewire.link.spawn import environment
from framewire.server import IN_CLEAR_TEXT


def test_the_demo_prints_its_address_runs_and_ends_by_itself() -> None:
    command = [
        sys.executable,
        "-m",
        "framewire",
        "demo",
        "--no-open",
        "--seconds",
        "1",
        "--size",
        "64x48",
        "--port",
        "0",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=110)
    assert done.returncode == 0, done.stderr
    assert re.search(r"http://127\.0\.0\.1:\d+/#token=[\w-]{22,}\n", done.stdout)
    assert "plasma, 64x48 at 60 fps" in done.stdout and done.stderr == ""


def test_the_demo_of_a_mode_opens_the_page_in_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(cli, "open_page", opened.append)
    monkeypatch.setattr(cli, "serve", fake_serve)
    assert cli.main(["demo", "--mode", "lossless", "--seconds", "0.01"]) == 0
    assert opened == ["http://127.0.0.1:1/?mode=lossless#token=x"]
    assert opened[0] in capsys.readouterr().out


def test_the_demo_passes_its_options_on(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def serve(*size: int, **options: Any) -> FakeDisplay:
        asked.update(options, size=size)
        return FakeDisplay()

    monkeypatch.setattr(cli, "serve", serve)
    assert cli.main(["demo", "--no-open", "--size", "8x4", "--chroma", "444", "--smooth", "--seconds", "0.01"]) == 0
    choices = {"chroma": "444", "latency": "smooth"}
    assert asked == {"size": (8, 4), "fps": 60.0, "host": "127.0.0.1", "port": None, **choices}


class FakeDisplay:
    """A display without an engine."""

    url, width, height, client_count, closed = "http://127.0.0.1:1/#token=x", 4, 4, 0, False
    server = SimpleNamespace(failure=None, address="127.0.0.1:1")

    def __enter__(self) -> FakeDisplay:
        return self

    def __exit__(self, *_: object) -> None: ...
    def wait_ready(self) -> None: ...
    def publish(self, frame: Any) -> None: ...

    @property
    def stats(self) -> dict[str, Any]:
        return {"encodings": []}


def fake_serve(*_: Any, **__: Any) -> FakeDisplay:
    return FakeDisplay()


def test_a_demo_for_other_machines_says_what_they_can_read(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def serve(*_: int, host: str, **__: Any) -> FakeDisplay:
        advise(f"host={host!r}: {IN_CLEAR_TEXT}")  # as it does
        return FakeDisplay()

    monkeypatch.setattr(cli, "serve", serve)
    for host, count in (("0.0.0.0", 1), ("127.0.0.1", 0)):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert cli.main(["demo", "--no-open", "--host", host, "--seconds", "0.01"]) == 0
        said = capsys.readouterr()
        assert (said.out.count(IN_CLEAR_TEXT), said.err) == (count, "")


def test_an_engine_that_fails_ends_the_demo_with_its_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "serve", fake_serve)
    monkeypatch.setattr(FakeDisplay.server, "failure", "it exited again and again")
    assert cli.main(["demo", "--no-open"]) == 1
    assert "framewire: it exited again and again\n" in capsys.readouterr().err


def test_a_taken_port_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert cli.main(["demo", "--no-open", "--port", str(taken.getsockname()[1])]) == 1
    error = capsys.readouterr().err
    assert "is taken" in error and error.count("\n") == 1


def test_ctrl_c_prints_no_error(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "serve", fake_serve)
    monkeypatch.setattr(cli, "_watch", interrupted)
    assert cli.main(["demo", "--no-open"]) == 130
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "words",
    [["demo", "--size", "640"], ["demo", "--size", "0x4"], ["demo", "--size", "4x99999"], ["demo", "--size", "axb"],
     ["demo", "--fps", "0"], ["demo", "--fps", "many"], ["demo", "nothing-like-it"], ["demo", "--mode", "smoke"],
     ["demo", "--port", "x"], ["dance"], ["--verbose"], ["demo", "--prot", "1"],
     ["bench", "--seconds", "0"], ["bench", "--seconds", "long"],
     ["bench", "--size", "0x9"], ["bench", "--content", "nothing-like-it"]],
    ids=" ".join,
)  # fmt: skip
def test_arguments_that_cannot_be_used_print_one_line(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(words)
    error = capsys.readouterr().err
    assert caught.value.code == 2 and error.startswith("framewire") and error.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ["demo", "--hots", "1.1.1.1"],
            "framewire demo: this command has no option '--hots': do you mean '--host'?",
        ),
        (["demo", "--prot=1"], "framewire demo: this command has no option '--prot': do you mean '--port'?"),
        (["bench", "--zzz", "3"], "framewire bench: this command has no option '--zzz'; there are --help, --size, "),
    ],
    ids=str,
)
def test_an_option_that_is_not_there_is_named(words: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(words)
    assert capsys.readouterr().err.startswith(line)


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["--version"])
    assert caught.value.code == 0 and capsys.readouterr().out == f"framewire {fw.__version__}\n"


def test_the_doctor_finds_that_everything_works_here(capsys: pytest.CaptureFixture[str]) -> None:
    status = cli.main(["doctor"])
    out = capsys.readouterr().out
    assert status == 0 and out.endswith("everything works\n"), out
    assert re.search(r"the engine starts in [\d.]+ s and answers", out) and re.search(
        r"H\.264 4:4:4 \d+ fps of 720p noise", out
    )


def test_what_the_console_cannot_show_is_spelled_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> tuple[bool, str]:
        raise ValueError("no \u2192 here")

    console = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr(sys, "stdout", console)
    for name in [name for name in vars(cli) if name.startswith("_check_")]:
        monkeypatch.setattr(cli, name, fail)
    cli.main(["doctor"])
    console.flush()
    assert b"ValueError: no \\u2192 here" in console.buffer.getvalue()


def test_the_bench_prints_a_table_and_writes_the_same_figures(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    command = [sys.executable, "-m", "framewire", "bench", "--size", "64x48", "--seconds", "0.05", "--json", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=110)
    assert done.returncode == 0, done.stderr
    rows = [line.split("|")[2].strip() for line in done.stdout.splitlines() if line.startswith("| 64x48")]
    figures = json.loads(file.read_text())
    assert rows == [row["what"] for row in figures["rows"]] and "publish to received" in rows
    assert figures["content"] == "plot" and figures["machine"]["framewire"] == fw.__version__


def test_the_bench_has_two_sizes_and_refuses_a_bad_file_before_it_starts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    asked: list[Any] = []

    def run(*arguments: Any) -> Iterator[Row]:
        asked.append(arguments)
        yield Row("8x4", "nothing", Spread.of([]))

    monkeypatch.setattr("framewire.bench.run.run", run)
    assert cli.main(["bench", "--content", "plasma"]) == 0
    assert asked == [([(1280, 720), (1920, 1080)], "plasma", 30.0, 1.5)] and "nothing" in capsys.readouterr().out
    assert cli.main(["bench", "--json", str(tmp_path / "nowhere" / "figures.json")]) == 1
    assert len(asked) == 1 and "nowhere" in capsys.readouterr().err


@pytest.mark.parametrize(
    "check, words",
    [
        (lambda: (False, "the client is not built"), "  NO  the client is not built\n"),
        (lambda: 1 / 0, "ZeroDivisionError: division by zero\n"),
    ],
)
def test_the_doctor_counts_what_does_not_work(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], check: Callable[[], Any], words: str
) -> None:
    for name in [name for name in vars(cli) if name.startswith("_check_")]:
        monkeypatch.setattr(cli, name, lambda: (True, "fine"))
    monkeypatch.setattr(cli, "_check_engine", check)
    assert cli.main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert words in out and out.count("  ok  fine\n") == 5 and out.endswith("to fix: 1\n")


# What cannot be run


def test_a_bare_command_prints_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 0
    printed = capsys.readouterr()
    assert all(word in printed.out for word in ("usage: framewire", "demo", "doctor", "bench")) and not printed.err


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["demo", "--port", "80x"], "argument --port: '80x' is not a port: 0 to 65535"),
        (["demo", "--port", "70000"], "argument --port: '70000' is not a port: 0 to 65535"),
        (["demo", "--port", "-1"], "argument --port: '-1' is not a port: 0 to 65535"),
        (
            ["demo", "--host", "http://x:80"],
            "argument --host: 'http://x:80' is an address with more than a host: write host='x', port=80",
        ),
        (["demo", "--size", "big"], "argument --size: 'big' is not a size, such as 1280x720"),
        (["demo", "--size", "0x9"], "argument --size: from 1x1 to 16384x16384"),
        (["demo", "--fps", "nan"], "argument --fps: 'nan' is not a frame rate: above 0, at most 1000"),
        (["demo", "--seconds", "-1"], "argument --seconds: '-1' is not a time: above 0, in seconds"),
        (["bench", "--seconds", "inf"], "argument --seconds: 'inf' is not a time: above 0, at most 3600 seconds"),
    ],
)
def test_an_argument_that_cannot_be_used_is_one_line(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    assert capsys.readouterr().err == f"framewire {arguments[0]}: {line} (framewire {arguments[0]} --help)\n"


@pytest.mark.skipif(sys.platform == "win32", reason="pipes there end in other ways")
@pytest.mark.parametrize(
    ("command", "status"), [("demo --no-open --seconds 9 | head -1", 141), ("doctor >/dev/full", 1)]
)
def test_output_that_cannot_be_written_ends_the_command_without_a_traceback(command: str, status: int) -> None:
    if "/dev/full" in command and not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    shell = f"{sys.executable} -m framewire {command}; exit ${{PIPESTATUS[0]}}"
    run = subprocess.run(["bash", "-c", shell], env=environment(), capture_output=True, text=True, check=False)
    assert run.returncode == status and "Traceback" not in run.stderr and run.stderr.count("\n") <= 1
