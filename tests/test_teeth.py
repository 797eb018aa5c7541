"""The list of controls and SECURITY.md agree, and the program that removes controls says what it finds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts import teeth
from scripts.teeth import BROKEN, FALLS, STANDS, Control

SECURITY = (teeth.ROOT / "SECURITY.md").read_text()
TEST = re.compile(r"`((?:tests|js/tests)/[^`]+)`")


def rows() -> dict[str, list[str]]:
    """Each row of the two tables, with the tests that it names; those that do not apply to us apart."""
    found = {}
    for line in SECURITY.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if re.match(r"(S\d+|\d+\.\d+\.\d+)\b", cells[0]) and "does not apply" not in cells[-1]:
            for name in cells[0].split(", "):
                found[name] = TEST.findall(cells[-1])
    return found


def test_every_row_of_security_md_names_its_tests():
    assert [name for name, tests in rows().items() if not tests] == []


def test_every_row_of_security_md_has_a_control_that_can_be_removed():
    held = {row for control in teeth.controls() for row in control.rows}
    assert sorted(rows().keys() - held) == []
    assert sorted(held - rows().keys()) == []


def test_the_test_that_falls_is_one_that_the_row_names():
    named = rows()
    for control in teeth.controls():
        for row in control.rows:
            assert set(control.tests) & set(named[row]), f"{row} does not name a test of {control.name!r}"


def test_every_control_has_a_name_of_its_own():
    names = [control.name for control in teeth.controls()]
    assert sorted(names) == sorted(set(names))


def test_a_text_that_is_not_in_the_file_once_is_refused(tmp_path: Path):
    path = tmp_path / "teeth.toml"
    path.write_text(
        '[[control]]\nrows = ["S1"]\nname = "n"\nfile = "Makefile"\nremove = "no such text"\nput = ""\ntests = []\n'
    )
    with pytest.raises(ValueError, match="'n': its text is 0 times in Makefile: write it"):
        teeth.controls(path)


ADMISSION = "src/framewire/engine/viewer/admission.py"
EXACT = "tests/engine/viewer/test_admission.py::test_only_the_exact_token_is_admitted"


@pytest.mark.parametrize(
    ("remove", "put", "test", "result"),
    [
        ("return Admitted()", "return Refused(CloseCode.UNAUTHORIZED, '')", EXACT, FALLS),
        ('"""Admits viewers that present this token."""', "", EXACT, STANDS),
        ('"""Admits viewers that present this token."""', "", "tests/engine/viewer/test_admission.py::test_no", BROKEN),
        ("import inspect", "import no_such_module", EXACT, BROKEN),
    ],
)  # fmt: skip
def test_what_becomes_of_the_tests_is_the_result(tmp_path: Path, remove: str, put: str, test: str, result: str):
    control = Control(("S1",), "one", ADMISSION, remove, put, (test,))
    (outcome,) = teeth.judge([control], 1, tmp_path).values()
    assert outcome.result == result
    assert outcome.fallen == ([EXACT] if result == FALLS else [])
