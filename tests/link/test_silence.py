"""When an engine that says nothing is replaced, and when it is not."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from framewire.link import silence as limits
from framewire.link.silence import (
    ASLEEP_S,
    LOOK_INTERVAL_S,
    RECENT_S,
    SILENT_LIMIT_S,
    STOPPED_LIMIT_S,
    Silence,
)
from tests.link.engines import TEST_TIMEOUT_S, eventually


def looks(silence: Silence, since: float, until: float, *, stopped: bool = True) -> tuple[float, float] | None:
    """When an engine that is asked for regularly is to be replaced, and for how long it has been silent by then."""
    for look in range(1, int((until - since) / LOOK_INTERVAL_S) + 1):
        now = since + look * LOOK_INTERVAL_S
        if (silent := silence.over(now, stopped=stopped)) is not None:
            return now, silent
    return None


def test_the_limits_are_what_the_picture_needs():
    assert (LOOK_INTERVAL_S, STOPPED_LIMIT_S, SILENT_LIMIT_S, ASLEEP_S, RECENT_S) == (0.25, 2.5, 10.0, 1.0, 60.0)


@pytest.mark.parametrize(("stopped", "limit"), [(True, STOPPED_LIMIT_S), (False, SILENT_LIMIT_S)])
def test_a_stopped_engine_is_replaced_soon_and_a_busy_one_late(stopped, limit):
    silence = Silence()
    silence.heard(5.0)
    assert looks(silence, 5.0, 100.0, stopped=stopped) == (5.0 + limit, limit)


def test_an_engine_that_is_heard_again_and_again_stays():
    silence = Silence()
    for second in range(60):
        silence.heard(float(second))
        assert looks(silence, second, second + 1.0) is None


def test_an_engine_that_was_never_heard_is_not_judged():
    silence = Silence()
    assert looks(silence, 0.0, 100.0) is None
    silence.heard(100.0)
    silence.started()
    assert looks(silence, 100.0, 200.0) is None


def test_an_engine_that_a_debugger_holds_is_not_judged():
    silence = Silence()
    silence.heard(0.0)
    silence.heard(1.0, debugged=True)
    assert looks(silence, 1.0, 100.0) is None


def test_an_engine_that_slept_with_its_parent_is_not_replaced():
    silence = Silence()
    silence.heard(0.0)
    assert silence.over(60.0, stopped=True) is None, "no look for a minute: this process was stopped as well"
    assert looks(silence, 60.0, 100.0) == (60.0 + STOPPED_LIMIT_S, STOPPED_LIMIT_S)
    silence = Silence()
    silence.heard(0.0)
    assert silence.over(ASLEEP_S, stopped=True) is None
    assert looks(silence, ASLEEP_S, 100.0) == (STOPPED_LIMIT_S, STOPPED_LIMIT_S), "a look as late as that is none"


def test_from_the_second_replacement_on_the_limits_grow_for_a_minute():
    silence = Silence()
    now, limits = 1000.0, []
    began = now
    for _ in range(5):
        silence.started()
        silence.heard(now)
        replaced = looks(silence, now, now + 100.0)
        assert replaced
        now = replaced[0]
        limits.append(replaced[1])
    assert limits[:4] == [2.5, 2.5, 7.5, 22.5]
    assert now - began > RECENT_S, "so that it is not given up: that takes five exits in a minute"
    now += RECENT_S
    silence.heard(now)
    assert looks(silence, now, now + 100.0) == (now + STOPPED_LIMIT_S, STOPPED_LIMIT_S)


DEBUGGER = """
import ctypes, sys, time
PTRACE_ATTACH = 16
print(ctypes.CDLL(None).ptrace(PTRACE_ATTACH, int(sys.argv[1]), 0, 0), flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says that a debugger holds a process")
def test_an_engine_that_a_native_debugger_holds_is_not_replaced(engines, caplog, monkeypatch):
    engine = engines.start("alive")
    first = engine.wait_ready(TEST_TIMEOUT_S)
    eventually(lambda: engine._silence._heard_at)
    command = [sys.executable, "-c", DEBUGGER, str(first.pid)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as debugger:
        assert debugger.stdout
        attached = debugger.stdout.readline().strip() == "0"
        monkeypatch.setattr(limits, "SILENT_LIMIT_S", 0.5)
        time.sleep(1.5)
        pid = engine.pid
        debugger.kill()
    if not attached:
        pytest.skip("this system lets no process debug another one")
    assert pid == first.pid and "ending it" not in caplog.text
