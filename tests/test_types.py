"""What type checkers know of the package: nearly all of it, and that text is no frame.

Pyright is a check of the package's users, beside mypy's of the house. It comes with `npm ci`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
PYRIGHT = ROOT / "node_modules" / ".bin" / "pyright"
MIN_KNOWN = 0.98
"""Of all symbols. The rest are bases of the widgets, whose libraries do not say their types."""

PROGRAM = """
import numpy as np
import framewire as fw
display = fw.serve(64, 48)
frame = np.zeros((48, 64, 3), np.uint8)
display.publish(frame)
display.publish([[0, 1], [1, 0]])
display.widget(batteries=False, mode="lossless")
shown: fw.Display = fw.show(lambda: frame, block=True)
for event in display.poll_events():
    if event.event["type"] == "pointer_down":
        x: float = event.event["x"]
    elif event.event["type"] == "key_down":
        key: str = event.event["key"]
"""
WRONG = ("display.publish('hello')", "display.publish(None)", "fw.show(7)", "display.widget(batteries='no')")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PYRIGHT.exists(), reason="no pyright here: npm ci"),
]


def pyright(*arguments: str, directory: Path) -> dict[str, Any]:
    """What it says, of programs of this Python."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    variables = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT / "src")}
    command = [str(PYRIGHT), "--outputjson", *arguments]
    run = subprocess.run(command, cwd=directory, env=variables, capture_output=True, text=True, check=False)
    answer: dict[str, Any] = json.loads(run.stdout)
    return answer


def test_nearly_every_type_is_known(tmp_path: Path) -> None:
    answer = pyright("--verifytypes", "framewire", "--ignoreexternal", directory=tmp_path)["typeCompleteness"]
    unknown = [symbol["name"] for symbol in answer["symbols"] if not symbol["isTypeKnown"] and symbol["isExported"]]
    assert answer["completenessScore"] >= MIN_KNOWN, unknown


def test_a_program_that_is_right_passes_and_what_is_no_frame_does_not(tmp_path: Path) -> None:
    (tmp_path / "pyrightconfig.json").write_text(json.dumps({"extraPaths": [str(ROOT / "src")]}))
    program = tmp_path / "program.py"
    program.write_text(PROGRAM + "\n".join(WRONG) + "\n")
    first = PROGRAM.count("\n")
    errors = pyright(str(program), directory=tmp_path)["generalDiagnostics"]
    lines = {error["range"]["start"]["line"] - first for error in errors if error["severity"] == "error"}
    assert lines == set(range(len(WRONG))), errors
