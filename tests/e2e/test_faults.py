"""A few faults, played as the fault table plays them: the program runs, and the picture comes back."""

from __future__ import annotations

import pytest

from benchmarks.faults.__main__ import GIVE_UP_S, main
from benchmarks.faults.results import BEGIN, END, load

pytestmark = pytest.mark.browser


def test_the_picture_comes_back_after_faults(tmp_path, monkeypatch):
    output, document = tmp_path / "faults.jsonl", tmp_path / "faults.md"
    document.write_text(f"{BEGIN}\n{END}\n")
    arguments = [
        "--only",
        "engine-killed,tab-crashed",
        "--times",
        "2",
        "--output",
        str(output),
        "--document",
        str(document),
    ]
    monkeypatch.setattr("sys.argv", ["faults", *arguments])
    assert main() == 0
    results = load(output)
    assert {name: len(seconds) for name, seconds in results.items()} == {"engine-killed": 2, "tab-crashed": 2}
    assert all(seconds < GIVE_UP_S for each in results.values() for seconds in each)
    assert document.read_text().count("| 2 |") == 2
    assert main() == 0 and load(output) == results, "what is there is not played again"
