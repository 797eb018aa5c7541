"""The table of faults: what it says, where it goes, and that the document has it."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

from benchmarks.faults.catalogue import FAULTS
from benchmarks.faults.results import BEGIN, END, HEAD, load, note, slow, table, write

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "faults.md"


def test_what_was_noted_is_loaded(tmp_path):
    path = tmp_path / "results"
    assert load(path) == {}
    for seconds in (1.25, None):
        note(path, "engine-killed", seconds)
    note(path, "tab-crashed", 0.5)
    assert load(path) == {"engine-killed": [1.25, math.inf], "tab-crashed": [0.5]}


def test_the_table_has_a_row_for_each_fault_in_the_order_of_the_catalogue():
    lines = table({"tab-crashed": [0.5, 0.7], "engine-killed": [1.0, math.inf]}).splitlines()
    assert "\n".join(lines[:2]) == HEAD
    assert lines[2] == "| engine killed (`kill -9`) | kill | 2 | 1.00 | never | never |"
    assert lines[3].startswith("| tab crashed") and lines[3].endswith("| 2 | 0.50 | 0.70 | 0.70 |")


def test_the_table_takes_the_place_of_the_one_before(tmp_path):
    document = tmp_path / "faults.md"
    document.write_text(f"above\n\n{BEGIN}\nold\n{END}\n\nbelow\n")
    write(document, "new")
    write(document, "newer")
    assert document.read_text() == f"above\n\n{BEGIN}\n\nnewer\n\n{END}\n\nbelow\n"
    document.write_text("no marks")
    with pytest.raises(ValueError, match="no marks"):
        write(document, "new")


def test_what_took_longer_than_promised_is_named():
    (line,) = slow({"engine-killed": [1.0, 5.1], "tab-crashed": [0.5, 5.0], "vanished-removed": [30.0]})
    assert "engine-killed took 5.10 s" in line


def test_the_document_has_the_command_and_rows_of_the_catalogue():
    if not DOCUMENT.exists():
        pytest.skip("docs/ is not here")
    text = DOCUMENT.read_text()
    assert "python -m benchmarks.faults" in text.partition(BEGIN)[0]
    titles = [fault.title for fault in FAULTS.values()]
    rows = text.partition(HEAD)[2].partition(END)[0].strip().splitlines()
    played = [line.split(" | ")[0].removeprefix("| ") for line in rows]
    assert played == [title for title in titles if title in played]
    for line in rows:
        assert re.fullmatch(r"\|[^|]+\|[^|]+\| \d+ \|( (\d+\.\d\d|never) \|){3}", line), line
        assert int(line.split("|")[3]) >= 20
