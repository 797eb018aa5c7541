"""A page is opened, and no command line holds its token: the browser reads it from a file of this user's alone."""

from __future__ import annotations

import atexit
import html
import os
import re
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from framewire import browser
from framewire.browser import open_page
from framewire.link.spawn import environment

TEST_TIMEOUT_S = 60.0
URL = "http://127.0.0.1:8765/?stream=a%20b&mode=lossless#token=not-for-everyone-to-see"


class Timer:
    """Waits for the test."""

    made: list[Timer]
    daemon = False

    def __init__(self, delay_s: float, work: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        self.delay_s, self._work, self._arguments = delay_s, work, arguments
        Timer.made.append(self)

    def start(self) -> None: ...

    def end(self) -> None:
        self._work(*self._arguments)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Addresses that a browser was started with. There is a screen, and no Snap."""
    addresses: list[str] = []
    Timer.made = []

    def start(address: str) -> bool:
        addresses.append(address)
        return True

    monkeypatch.setattr("webbrowser.open", start)
    monkeypatch.setattr(threading, "Timer", Timer)
    monkeypatch.setattr(browser, "sys", type("linux", (), {"platform": "linux"}))
    monkeypatch.setenv("DISPLAY", ":0")
    for name in ("home", "run", "tmp"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    return addresses


def file_of(address: str) -> Path:
    assert address.startswith("file:///")
    return Path(address.removeprefix("file://"))


def test_the_browser_is_given_a_file_of_this_users_alone_that_leads_to_the_page(
    opened: list[str], tmp_path: Path
) -> None:
    assert open_page(URL)
    (address,) = opened
    file = file_of(address)
    assert "not-for-everyone" not in address and file.parent == tmp_path / "run"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    target = re.search(r'http-equiv="refresh" content="0;url=([^"]*)"', file.read_text())
    assert target and html.unescape(target[1]) == URL


def test_the_file_is_removed_after_a_minute_or_at_the_end_of_the_program(
    opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    at_exit: list[tuple[Any, ...]] = []
    monkeypatch.setattr(atexit, "register", lambda *work: at_exit.append(work))
    open_page(URL)
    open_page(URL)
    one, other = map(file_of, opened)
    timer = Timer.made[0]
    assert timer.delay_s == browser.KEPT_S == 60.0 and timer.daemon
    timer.end()
    assert not one.exists() and other.exists()
    for remove, *arguments in at_exit:
        remove(*arguments)
    assert not other.exists()


def test_what_a_program_left_that_was_killed_is_removed_by_the_next_one(opened: list[str], tmp_path: Path) -> None:
    old, new, others = (
        tmp_path / "run" / name
        for name in (f"framewire-open-{'0' * 16}.html", f"framewire-open-{'1' * 16}.html", "framewire-open-mine.html")
    )
    for file in (old, new, others):
        file.write_text("x")
    for file in (old, others):
        os.utime(file, (time.time() - 200,) * 2)
    open_page(URL)
    assert (old.exists(), new.exists(), others.exists()) == (False, True, True)


def test_where_browsers_of_a_snap_may_be_the_file_is_where_they_can_read(opened: list[str], tmp_path: Path) -> None:
    (tmp_path / "home" / "snap").mkdir()
    open_page(URL)
    file = file_of(opened[0])
    assert file.parent == tmp_path / "home" and not file.name.startswith(".")


def test_without_a_directory_of_the_session_it_is_in_the_temporary_one(
    opened: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "gone"))
    open_page(URL)
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    open_page(URL)
    assert [file_of(address).parent for address in opened] == [tmp_path / "tmp"] * 2


def test_where_no_file_can_be_written_nothing_is_opened(
    opened: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "gone"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    assert not open_page(URL) and opened == []


def test_without_a_screen_nothing_is_opened(opened: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("DISPLAY")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert not open_page(URL) and opened == [] and not list((tmp_path / "run").iterdir())
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    assert open_page(URL)


def test_without_a_thread_it_is_removed_at_the_end(opened: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: Timer) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(Timer, "start", refused)
    assert open_page(URL)


def test_no_command_line_holds_the_token_while_the_demo_runs(tmp_path: Path) -> None:
    """A browser that notes what it is started with, and all command lines of this machine at that moment."""
    seen, program = tmp_path / "seen", tmp_path / "browser"
    program.write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$@" > {seen}\n/bin/cat /proc/[0-9]*/cmdline >> {seen} 2> /dev/null\n'
    )
    program.chmod(0o700)
    variables = {**environment(), "DISPLAY": ":0", "BROWSER": str(program), "XDG_RUNTIME_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "framewire", "demo", "--size", "64x48", "--port", "0", "--seconds", "1"]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=TEST_TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stderr
    token = re.search(r"#token=([\w-]{22,})", done.stdout)
    assert token and "framewire-open-" in seen.read_text(errors="replace")
    assert token[1] not in seen.read_text(errors="replace")
    assert not list(tmp_path.glob("framewire-open-*")), "the program's end removes it"
