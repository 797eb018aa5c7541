"""Constants and the tests that they name: a test that computes with a constant does not pin it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parent.parent / "scripts"
if not SCRIPTS.is_dir():
    pytest.skip("scripts/ is not here", allow_module_level=True)

CONSTANTS = '''
MAX_DELAY_S = 0.5
"""What. Source: chosen by hand; pinned by `tests/rtc/test_toy.py::test_value`."""
MAX_BURST_S = 0.25
"""What. Source: chosen by hand; pinned by `tests/rtc/test_toy.py::test_formula`."""
CLOCK_HZ = 90_000
"""What. Source: RFC 3551 §5."""
'''
TESTS = """
from framewire.rtc import toy

def test_value():
    assert toy.MAX_DELAY_S == 0.5

def test_formula():
    assert 2 * toy.MAX_BURST_S > toy.MAX_BURST_S
"""


def test_a_constant_whose_test_passes_with_another_value_is_named(tmp_path):
    shutil.copytree(SCRIPTS, tmp_path / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    files = {
        "pyproject.toml": '[tool.pytest.ini_options]\npythonpath = ["src"]\n',
        "src/framewire/__init__.py": "",
        "src/framewire/rtc/__init__.py": "",
        "src/framewire/rtc/toy.py": CONSTANTS,
        "tests/rtc/test_toy.py": TESTS,
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    command = [sys.executable, str(tmp_path / "scripts" / "pins.py")]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False)
    assert ended.stdout.splitlines() == [
        "rtc/toy.py:4: MAX_BURST_S may be 0.25 → 0.5, 0.25 → 0.125",
        "pins: 1 of 3 constants may change, and the tests that they name still pass",
    ], ended.stderr
    assert ended.returncode == 1
