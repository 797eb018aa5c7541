"""Where a child finds modules: as this process would, with the standard library first and the user's own last."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import framewire
from framewire.link.module_path import own_module_path
from framewire.link.spawn import environment

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
    assert ROOT in own_module_path().variable.split(os.pathsep)
    os.chdir(tmp_path)


def fitting():
    return own_module_path().variable.split(os.pathsep)


@pytest.mark.parametrize("junk", [Path("somewhere"), b"bytes", None, 7, "half a pair \ud800", "nul \0 inside"], ids=str)
def test_what_import_does_not_look_at_is_left_out(monkeypatch, junk):
    before = own_module_path()
    monkeypatch.setattr(sys, "path", [junk, *sys.path])
    assert own_module_path() == before


def test_a_name_that_is_no_text_in_this_encoding_is_kept_as_its_bytes(tmp_path, monkeypatch):
    directory = os.fsencode(tmp_path) + b"/caf\xe9"
    os.mkdir(directory)
    monkeypatch.syspath_prepend(os.fsdecode(directory))
    assert directory in os.fsencode(own_module_path().variable).split(os.fsencode(os.pathsep))


def test_the_standard_library_comes_first(tmp_path, monkeypatch):
    (tmp_path / "queue.py").write_text("raise SystemExit('the user's own queue')")
    monkeypatch.syspath_prepend(str(tmp_path))
    library = os.path.dirname(os.__file__)
    assert fitting().index(library) < fitting().index(str(tmp_path))
    _, queue, package = seen_by_child(tmp_path.parent)
    assert Path(queue).parent == Path(library) and package == framewire.__file__


def test_relative_names_become_whole_ones(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["libs", ".", *sys.path])
    assert str(tmp_path / "libs") in fitting()
    assert fitting()[-1] == str(tmp_path), "the working directory, whatever it is called"


def test_relative_names_are_left_out_where_there_is_no_working_directory(monkeypatch):
    def gone():
        raise FileNotFoundError

    monkeypatch.setattr(os, "getcwd", gone)
    monkeypatch.setattr(sys, "path", ["", "libs", *sys.path])
    monkeypatch.setattr(sys.modules["__main__"], "__file__", "script.py", raising=False)
    assert all(map(os.path.isabs, fitting()))


def test_a_program_in_a_zip_file_comes_last(tmp_path, monkeypatch):
    program = str(tmp_path / "app.zip")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [program, *sys.path])
    monkeypatch.setattr(sys.modules["__main__"], "__file__", program, raising=False)
    assert fitting()[-1] == program


def test_a_name_with_the_separator_in_it_travels_on_the_command_line(tmp_path, monkeypatch):
    directory = tmp_path / f"10{os.pathsep}30"
    directory.mkdir()
    (directory / "only_there.py").write_text("import sys; print(__name__, sys.argv[1:])")
    assert own_module_path().module_command("json") == ["-m", "json"]
    monkeypatch.syspath_prepend(str(directory))
    path = own_module_path()
    assert path.last == (str(directory),) and path.first == () and str(directory) not in path.variable
    command = [sys.executable, *path.module_command("only_there"), "--word"]
    run = subprocess.run(command, env=environment(path), capture_output=True, timeout=60, check=True)
    assert run.stdout.decode().strip() == "__main__ ['--word']"


def test_this_package_comes_first_even_then(tmp_path, monkeypatch):
    root = f"{tmp_path}/10{os.pathsep}30"
    monkeypatch.setattr("framewire.link.module_path.__file__", f"{root}/framewire/link/module_path.py")
    assert own_module_path().first == (root,)
