"""What an engine is born with; it imports what its parent would, not what lies beside the notebook."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import framewire
from framewire.errors import EngineError
from framewire.link import life
from framewire.link.control import Configure, Handles, Shutdown
from framewire.link.life import Life, default_command, environment
from framewire.options import EngineOptions

ROOT = str(Path(framewire.__file__).parents[1])
SHOW = "import json, sys, queue, framewire; print(json.dumps([sys.path, queue.__file__, framewire.__file__]))"


def seen_by_child(cwd):
    run = subprocess.run(
        [sys.executable, "-c", SHOW],
        cwd=cwd,
        env=environment(),
        stdout=subprocess.PIPE,
        timeout=60,
        check=True,
    )
    return json.loads(run.stdout)


@pytest.mark.parametrize("first", ["", "the directory itself"])
def test_a_module_beside_the_notebook_is_not_the_engines(tmp_path, monkeypatch, first):
    (tmp_path / "queue.py").write_text("raise SystemExit('the user has a queue of his own')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path) if first else "")
    path, queue, package = seen_by_child(tmp_path)
    assert Path(queue).parent != tmp_path and package == framewire.__file__
    assert str(tmp_path) in path, "but what is only there is still found"


def test_a_package_that_was_found_in_the_working_directory_is_the_engines_too(monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "path", ["", *(p for p in sys.path if p != ROOT)])
    assert seen_by_child(ROOT)[2] == framewire.__file__


def test_a_working_directory_that_was_removed_is_no_reason_to_fail(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert ROOT in environment()["PYTHONPATH"].split(os.pathsep)
    os.chdir(tmp_path)


def test_the_default_engine_is_this_pythons(monkeypatch):
    assert default_command() == [sys.executable, "-m", "framewire.engine"]
    monkeypatch.setattr(sys, "executable", "")
    with pytest.raises(EngineError, match="inline"):
        default_command()


def test_elsewhere_than_on_posix_the_inline_engine_is_named(monkeypatch):
    monkeypatch.setattr(os, "name", "nt")
    with pytest.raises(EngineError, match="inline"):
        Life(["true"], [])


def test_what_cannot_be_started_is_an_error_and_leaves_nothing_open():
    before = os.listdir("/proc/self/fd")
    with pytest.raises(EngineError, match="no/such/program"):
        Life(["no/such/program"], [])
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_it_is_a_session_of_its_own_with_nothing_of_ours_but_what_it_was_given(tmp_path):
    out = tmp_path / "born"
    program = f"""
import json, os, sys
fds = sorted(int(n) for n in os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd/" + n))
open({str(out)!r} + ".part", "w").write(json.dumps([sys.argv[1:], fds, os.getsid(0), os.getpid()]))
os.rename({str(out)!r} + ".part", {str(out)!r})
sys.stdout.write("bo"); sys.stdout.flush()
sys.stdout.write("rn\\n\\n  and last words"); sys.stdout.flush()
"""
    with open(tmp_path / "inheritable", "w") as file:
        os.set_inheritable(file.fileno(), True)
        engine = Life([sys.executable, "-c", program], [])
        assert list(engine.hear()) == []
        assert engine.end() == "exit status 0"
    arguments, fds, session, pid = json.loads(out.read_text())
    handles = Handles.parse(arguments)
    assert handles.parent == os.getpid() and session == pid
    assert set(fds) <= {0, 1, 2, handles.control, handles.bell}
    assert engine.last_words() == "\n  born\n    and last words"


def test_an_engine_that_stops_reading_is_killed_rather_than_waited_for(monkeypatch):
    monkeypatch.setattr(life, "_SAY_WITHIN", 1)
    engine = Life([sys.executable, "-c", "import time; time.sleep(600)"], [])
    big = Configure(options=EngineOptions(allow_hosts=("y" * 4_000_000,)))
    engine.say(big, None)
    assert engine.end() == "signal 9, SIGKILL"
    engine.say(Shutdown(), None)


def test_an_engine_that_hangs_up_but_does_not_end_is_ended(monkeypatch):
    monkeypatch.setattr(life, "GRACE", 0.2)
    program = "import os, sys, time; os.close(int(sys.argv[1].split('=')[1])); time.sleep(600)"
    engine = Life([sys.executable, "-c", program], [])
    begun = time.monotonic()
    assert list(engine.hear()) == []
    assert engine.end() == "signal 9, SIGKILL"
    assert time.monotonic() - begun < 300
