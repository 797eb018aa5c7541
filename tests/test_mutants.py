"""Mutation testing of a small tree: which mutants are killed, which survive, which are excused."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parent.parent / "scripts"
if not SCRIPTS.is_dir():
    pytest.skip("scripts/ is not here", allow_module_level=True)

PYPROJECT = """\
[tool.pytest.ini_options]
pythonpath = ["src"]
[tool.importlinter]
[[tool.importlinter.contracts]]
name = "Pure core: the test's"
source_modules = ["framewire.room.toy"]
"""
TOY = """\
from framewire.room.limit import limit

def clip(value):
    return min(value, limit())

def spin(going):
    while going:
        going = False
    return going

def unused(value):
    return value == 3
"""
TESTS = """\
from framewire.room import toy

def test_clip():
    assert toy.clip(5) == 4
    assert toy.clip(3) == 3

def test_spin():
    assert toy.spin(True) is False
"""


@pytest.fixture
def tree(tmp_path):
    """A checkout with one pure file and its tests."""
    (tmp_path / "scripts").mkdir()
    for name in ("mutants.py", "mutations.py"):
        shutil.copy(SCRIPTS / name, tmp_path / "scripts" / name)
    files = {
        "pyproject.toml": PYPROJECT,
        "src/framewire/__init__.py": "",
        "src/framewire/room/__init__.py": "",
        "src/framewire/room/toy.py": TOY,
        "src/framewire/room/limit.py": "def limit():\n    return 4\n",
        "tests/room/test_toy.py": TESTS,
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def mutants(tree: Path, *arguments: str) -> tuple[int, str]:
    command = [sys.executable, str(tree / "scripts" / "mutants.py"), "--jobs", "2", *arguments]
    ended = subprocess.run(command, cwd=tree, capture_output=True, text=True, timeout=100, check=False)
    assert not ended.stderr, ended.stderr
    return ended.returncode, ended.stdout


def test_what_no_test_notices_survives_and_fails_the_run(tree):
    status, said = mutants(tree)
    # A loop that no longer ends is killed by its time limit.
    assert "src/framewire/room/toy.py: 5 of 9 killed (56%)" in said
    assert said.count("src/framewire/room/toy.py:12  ") == 4  # the function without a test
    assert "    -    return value == 3\n    +    return value != 3\n" in said
    assert status == 1


def test_a_survivor_with_a_reason_counts_no_more_and_a_reason_without_a_survivor_fails(tree):
    entry = (
        '[[accepted]]\nfile = "src/framewire/room/toy.py"\n'
        'line = "return value == 3"\nchange = "{}"\nreason = "a test"\n'
    )
    survivors = ["== → !=", "3 → 4", "3 → 2", "returns None"]
    reasons = tree / "tests" / "room" / "mutants.toml"
    reasons.write_text("".join(entry.format(change) for change in survivors))
    status, said = mutants(tree)
    assert "5 of 5 killed (100%), 4 accepted" in said
    assert status == 0
    reasons.write_text("".join(entry.format(change) for change in [*survivors, "== → is"]))
    status, said = mutants(tree)
    assert "no longer needed: the reason for '== → is'" in said
    assert status == 1


def test_a_file_has_the_tests_that_are_named_beside_its_mirror(tree):
    (tree / "tests/room/test_more.py").write_text(
        "from framewire.room import toy\n\ndef test_unused():\n    assert toy.unused(3) and not toy.unused(2)\n"
        "    assert toy.unused(4) is False\n"
    )
    (tree / "tests/room/mutants.toml").write_text(
        '[tests]\n"src/framewire/room/toy.py" = ["tests/room/test_more.py"]\n'
    )
    assert "9 of 9 killed" in mutants(tree, "--file", "src/framewire/room/toy.py")[1]


def test_a_sample_is_the_same_for_the_same_seed(tree):
    first = mutants(tree, "--list", "--sample", "5", "--seed", "1")
    assert first == mutants(tree, "--list", "--sample", "5", "--seed", "1")
    assert len(first[1].splitlines()) == 5
    assert first != mutants(tree, "--list", "--sample", "5", "--seed", "2")
