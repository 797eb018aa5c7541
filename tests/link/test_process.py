"""An engine process: what it starts with, what it imports, what it prints, and that it exits."""

from __future__ import annotations

import json
import os
import signal
import sys
import time

import pytest

from framewire.errors import EngineError, LocalProtocolError
from framewire.link import parent_end, process
from framewire.link.control import Shutdown, ViewerText, encode
from framewire.link.handles import Handles
from framewire.link.process import EngineProcess


def test_a_command_that_cannot_be_started_is_an_error_and_leaves_nothing_open(link_kind):
    before = os.listdir("/proc/self/fd")
    with pytest.raises(EngineError, match="no/such/program"):
        EngineProcess(["no/such/program"], [])
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_it_has_a_session_of_its_own_and_no_descriptors_but_those_it_was_given(link_kind, tmp_path):
    out = tmp_path / "started"
    program = f"""
import json, os, sys
fds = sorted(int(n) for n in os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd/" + n))
open({str(out)!r} + ".part", "w").write(json.dumps([sys.argv[1:], fds, os.getsid(0), os.getpid()]))
os.rename({str(out)!r} + ".part", {str(out)!r})
sys.stdout.write("sta"); sys.stdout.flush()
sys.stdout.write("rted\\n\\n  and stopped"); sys.stdout.flush()
"""
    with open(tmp_path / "inheritable", "w") as file:
        os.set_inheritable(file.fileno(), True)
        engine = EngineProcess([sys.executable, "-c", program], [])
        assert list(engine.messages(600)) == []
        assert engine.wait() == "exit status 0"
    arguments, fds, session, pid = json.loads(out.read_text())
    handles = Handles.parse(arguments)
    assert handles.parent == os.getpid() and session == pid
    assert handles.by_name == (link_kind == "names")
    assert set(fds) <= {0, 1, 2, *(() if handles.by_name else (handles.control, handles.bell))}
    assert engine.last_output() == ": and stopped"


def test_an_engine_that_does_not_read_is_killed(link_kind, monkeypatch, caplog):
    monkeypatch.setattr(parent_end, "SEND_TIMEOUT_S", 1)
    program = """
import sys, time
from framewire.link.engine_end import EngineEnd
from framewire.link.handles import Handles
end = EngineEnd(Handles.parse(sys.argv[1:]))
end.control.send(b"\\xff" * 64)
time.sleep(600)
"""
    engine = EngineProcess([sys.executable, "-c", program], [])
    with pytest.raises(LocalProtocolError):  # it is connected
        next(engine.messages(600))
    for _ in range(4):
        engine.send(encode(ViewerText(id=0, text="y" * 4_000_000)))
    assert engine.wait() == "signal 9, SIGKILL"
    engine.send(encode(Shutdown()))
    assert "it does not read" in caplog.text and "ulimit" not in caplog.text


def test_an_engine_that_closes_its_socket_and_does_not_exit_is_killed(monkeypatch):
    monkeypatch.setattr(process, "EXIT_GRACE_S", 0.2)
    program = "import os, sys, time; os.close(int(sys.argv[1].split('=')[1])); time.sleep(600)"
    engine = EngineProcess([sys.executable, "-c", program], [])
    begun = time.monotonic()
    assert list(engine.messages(600)) == []
    assert engine.wait() == "signal 9, SIGKILL"
    assert time.monotonic() - begun < 300


def test_the_last_line_of_the_output_is_kept_and_the_log_has_all(link_kind, caplog):
    engine = EngineProcess([sys.executable, "-c", "for n in range(100): print('line', n)"], [])
    assert list(engine.messages(600)) == []
    engine.wait()
    assert engine.last_output() == ": line 99"
    assert [record.getMessage() for record in caplog.records] == [f"framewire engine: line {n}" for n in range(100)]


def test_an_exit_by_an_unknown_signal_is_named_by_its_number():
    number = signal.SIGRTMIN + 3  # has no name of its own
    program = f"import os, time; os.kill(os.getpid(), {number}); time.sleep(600)"
    engine = EngineProcess([sys.executable, "-c", program], [])
    assert list(engine.messages(600)) == []
    assert engine.wait() == f"signal {number}"
