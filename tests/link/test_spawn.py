"""What the engine's program is started by and with: the command, the path of modules, the environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import framewire
from framewire.errors import EngineError
from framewire.link.spawn import default_command, environment

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
    (tmp_path / "queue.py").write_text("raise SystemExit('the user's own queue')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path) if first else "")
    path, queue, package = seen_by_child(tmp_path)
    assert Path(queue).parent != tmp_path and package == framewire.__file__
    assert str(tmp_path) in path, "but what is only there is still found"


def test_a_package_found_in_the_working_directory_is_the_engines_too(monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "path", ["", *(p for p in sys.path if p != ROOT)])
    assert seen_by_child(ROOT)[2] == framewire.__file__


def test_a_working_directory_that_was_removed_is_left_out(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert ROOT in environment()["PYTHONPATH"].split(os.pathsep)
    os.chdir(tmp_path)


def test_the_default_engine_runs_on_this_python(monkeypatch):
    assert default_command() == [sys.executable, "-m", "framewire.engine"]
    monkeypatch.setattr(sys, "executable", "")
    with pytest.raises(EngineError, match="inline"):
        default_command()
