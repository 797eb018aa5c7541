"""The engine's program: on which Python it is started, in which environment, with which streams, and why it is not."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import framewire
from framewire.errors import EngineError
from framewire.link import spawn as module
from framewire.link.spawn import cannot_start, default_program, environment, spawn


def descriptors():
    return set(os.listdir("/proc/self/fd"))


@pytest.fixture
def pythons(tmp_path, monkeypatch):
    """A prefix with a Python in it, the only one to be found."""
    (tmp_path / "bin").mkdir()
    python = tmp_path / "bin" / f"python{sys.version_info[0]}.{sys.version_info[1]}"
    python.symlink_to(sys.executable)
    for prefix in ("prefix", "exec_prefix", "base_exec_prefix"):
        monkeypatch.setattr(sys, prefix, str(tmp_path))
    return python


def test_the_default_engine_runs_on_this_python():
    command, variables = default_program()
    assert command == [sys.executable, "-m", "framewire.engine"]
    assert variables == {**environment(), "FRAMEWIRE_ENGINE": framewire.__version__}


@pytest.mark.parametrize("host", ["/usr/bin/uwsgi", "/opt/blender/blender", "pythonservice.exe", "", None])
def test_in_a_program_that_embeds_python_the_interpreter_is_found_by_its_prefix(pythons, monkeypatch, host):
    monkeypatch.setattr(sys, "executable", host)
    assert default_program()[0][0] == str(pythons)
    pythons.unlink()
    with pytest.raises(EngineError, match="FRAMEWIRE_PYTHON") as error:
        default_program()
    assert "\n" not in str(error.value) and 'engine="thread"' in str(error.value)


@pytest.mark.parametrize(
    "name", ["python", "python3.12", "PYTHON.EXE", "pythonw.exe", "python3.13t", "pypy3", "graalpy", "mayapy", "hython"]
)
def test_these_are_pythons(monkeypatch, name):
    monkeypatch.setattr(sys, "executable", f"/somewhere/{name}")
    assert default_program()[0][0] == f"/somewhere/{name}"


@pytest.mark.parametrize("mark", ["frozen", "__compiled__"])
def test_a_frozen_program_does_not_start_itself(monkeypatch, mark):
    if mark == "frozen":
        monkeypatch.setattr(sys, "frozen", True, raising=False)
    else:
        monkeypatch.setattr(module, "__compiled__", True, raising=False)
    with pytest.raises(EngineError, match=r"frozen program.*FRAMEWIRE_PYTHON.*thread") as error:
        spawn(None, [], [])
    assert "\n" not in str(error.value)


def test_a_named_python_finds_its_own_modules(monkeypatch):
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    for name, value in {
        "FRAMEWIRE_PYTHON": "/opt/python",
        "PYTHONPATH": "/bundle",
        "PYTHONHOME": "/bundle",
        "LD_LIBRARY_PATH": "/bundle",
        "LD_LIBRARY_PATH_ORIG": "/before",
        "DYLD_LIBRARY_PATH": "/bundle",
    }.items():
        monkeypatch.setenv(name, value)
    command, variables = default_program()
    assert command == ["/opt/python", "-m", "framewire.engine"]
    assert variables["LD_LIBRARY_PATH"] == "/before" and "DYLD_LIBRARY_PATH" not in variables
    assert {name for name in variables if name.startswith("PYTHON")} == {"PYTHONSAFEPATH"}


def test_libraries_that_are_no_bundles_are_kept(monkeypatch):
    monkeypatch.setenv("FRAMEWIRE_PYTHON", "/opt/python")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/mine")
    assert default_program()[1]["LD_LIBRARY_PATH"] == "/mine"


def test_options_for_the_users_program_are_not_the_engines(monkeypatch):
    for name in ("WARNINGS", "OPTIMIZE", "INSPECT", "DEVMODE", "VERBOSE", "STARTUP", "PROFILEIMPORTTIME", "IOENCODING"):
        monkeypatch.setenv(f"PYTHON{name}", "1")
    monkeypatch.setenv("PYTHONHOME", sys.base_prefix)
    monkeypatch.setenv("PYTHON_GIL", "1")
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    names = {name for name in environment() if name.startswith("PYTHON") and name not in os.environ}
    assert names <= {"PYTHONPATH", "PYTHONSAFEPATH"}
    assert environment()["PYTHONHOME"] == sys.base_prefix and environment()["PYTHON_GIL"] == "1"
    assert not {"PYTHONWARNINGS", "PYTHONOPTIMIZE", "PYTHONVERBOSE", "PYTHONDEVMODE"} & environment().keys()


def program(*options, **variables):
    """What an engine would be started with by a Python with these options."""
    code = "from framewire.link.spawn import default_program as d; import json; print(json.dumps(d()))"
    root = str(Path(framewire.__file__).parents[1])
    code = f"import sys; sys.path[:0] = {[root, *sys.path]!r}; {code}"
    run = subprocess.run(
        [sys.executable, *options, "-c", code],
        env={**os.environ, **variables},
        capture_output=True,
        timeout=60,
        check=True,
    )
    return json.loads(run.stdout)


def test_where_python_ignores_its_environment_the_engine_does_too():
    command, variables = program("-I", "-S", "-B", PYTHONUSERBASE="/none")
    assert command[1:] == ["-S", "-s", "-m", "framewire.engine"]
    names = {name for name in variables if name.startswith("PYTHON")}
    assert names == {"PYTHONPATH", "PYTHONSAFEPATH", "PYTHONDONTWRITEBYTECODE"}


def test_it_inherits_what_it_is_given_and_reads_nothing(tmp_path):
    before = descriptors()
    file = os.open(tmp_path / "given", os.O_CREAT | os.O_RDWR)
    code = (
        "import os, sys; os.write(int(sys.argv[1]), repr(sys.stdin.read()).encode()); print('out'); os.write(2, b'err')"
    )
    process, output = spawn([sys.executable, "-c", code], [str(file)], [file])
    with output:
        printed = b"".join(iter(lambda: output.read(100), b""))
    assert (process.wait(60) == 0 and printed == b"out\nerr") or printed == b"errout\n"
    os.close(file)
    assert (tmp_path / "given").read_text() == "''" and descriptors() == before


@pytest.mark.parametrize(
    ("number", "cure"),
    [
        (errno.EAGAIN, "ulimit -u"),
        (errno.EMFILE, "ulimit -n"),
        (errno.ENFILE, "machine"),
        (errno.ENOMEM, "ulimit -v"),
        (errno.E2BIG, "sys.path"),
        (errno.ENOENT, "FRAMEWIRE_PYTHON"),
        (errno.EACCES, "FRAMEWIRE_PYTHON"),
    ],
)
def test_what_the_system_refuses_is_said_in_one_line_with_the_cure(monkeypatch, number, cure):
    def refuse(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(subprocess, "Popen", refuse)
    before = descriptors()
    with pytest.raises(EngineError) as error:
        spawn(["the program"], [], [])
    assert str(error.value).startswith(f"the engine cannot be started: the program: {os.strerror(number)}; ")
    assert cure in str(error.value) and "\n" not in str(error.value) and descriptors() == before


def test_other_reasons_are_said_as_they_are():
    assert cannot_start(OSError("why")) == "the engine cannot be started: why"
    assert cannot_start(RuntimeError("can't start new thread")).endswith(
        "started: can't start new thread; raise the limits of processes and of memory (ulimit -u, ulimit -v)"
    )
    assert cannot_start(OSError()) == "the engine cannot be started: OSError"


@pytest.mark.parametrize("fails", range(4))
def test_pipes_that_cannot_be_had_leave_nothing_open(monkeypatch, fails):
    calls = []

    def above_stdio(fd):
        calls.append(fd)
        if len(calls) > fails:
            os.close(fd)
            raise OSError(errno.EMFILE, "too many")
        return fd

    monkeypatch.setattr(module, "above_stdio", above_stdio)
    before = descriptors()
    with pytest.raises(EngineError, match="too many"):
        spawn([sys.executable], [], [])
    assert descriptors() == before


def test_on_windows_a_virtual_environment_names_its_real_python(monkeypatch):
    monkeypatch.setattr(os, "name", "nt")
    monkeypatch.setattr(sys, "_base_executable", "C:\\python.exe")
    monkeypatch.setattr(sys, "prefix", "C:\\venv")
    command, variables = default_program()
    assert command[0] == "C:\\python.exe" and variables["__PYVENV_LAUNCHER__"] == sys.executable
