"""The page of numbers: which constants it finds, what it says of each, and what it misses."""

from __future__ import annotations

from pathlib import Path

import pytest

if not (Path(__file__).resolve().parent.parent / "scripts" / "tuning.py").is_file():
    pytest.skip("scripts/ is not here", allow_module_level=True)

from scripts import tuning

MODULE = '''
"""A module."""
MAX_DELAY_S: Final = 0.5
"""The longest delay,
of a packet. Source: RFC 1234 §5."""
BURST_BYTES = 10 * PACKET_BYTES | 4
"""Two. Source: chosen by hand; pinned by `tests/test_house.py::test_one_version_everywhere`."""
FRACTIONS: Final = (0.5, 0.25)
NAMES = ("a", "b")
ENABLED = True
SAME = OTHER
lower = 3
'''


def test_constants_are_upper_case_names_with_numbers():
    found = list(tuning.of_module(MODULE, "rtc/a.py"))
    assert [(each.name, each.value) for each in found] == [
        ("MAX_DELAY_S", "0.5"),
        ("BURST_BYTES", "10 * PACKET_BYTES | 4"),
        ("FRACTIONS", "(0.5, 0.25)"),
    ]
    assert (found[0].line, found[0].what, found[0].source) == (3, "The longest delay, of a packet.", "RFC 1234 §5.")
    assert (found[2].what, found[2].source) == ("", "")


def test_the_page_has_a_row_for_each():
    text = tuning.page(list(tuning.of_module(MODULE, "rtc/a.py")))
    assert "## rtc/a.py\n" in text
    assert "| `MAX_DELAY_S` | `0.5` | The longest delay, of a packet. | RFC 1234 §5 |\n" in text
    assert "| `BURST_BYTES` | `10 * PACKET_BYTES \\| 4` | Two. |" in text


@pytest.mark.parametrize(
    ("below", "complaint"),
    [
        ("", "rtc/a.py:1: A_S has no docstring"),
        ('"""What. Source:"""', "rtc/a.py:1: A_S has no `Source:`"),
        (
            '"""What. Source: a guess."""',
            "rtc/a.py:1: A_S comes from no standard and no libwebrtc name, and no test pins it",
        ),
        (
            '"""What. Source: by hand; pinned by `tests/test_house.py::test_gone`."""',
            "rtc/a.py:1: A_S is pinned by tests/test_house.py::test_gone, which does not exist",
        ),
        (
            '"""What. Source: benchmarks `720p30` and `no-such`; tests/test_house.py::test_one_version_everywhere"""',
            "rtc/a.py:1: A_S: no scenario no-such",
        ),
    ],
)
def test_what_is_missing_is_named(below, complaint):
    found = list(tuning.of_module(f"A_S = 1.0\n{below}\n", "rtc/a.py"))
    assert complaint in tuning.complaints(found, {"720p30"})


def test_a_name_has_one_meaning_and_a_statement_one_name():
    text = '{} = 1, 2\n"""What. Source: RFC 1."""\n'
    found = [*tuning.of_module(text.format("A"), "rtc/a.py"), *tuning.of_module(text.format("A"), "rtc/b.py")]
    assert tuning.complaints(found, set()) == ["A is defined in rtc/a.py and rtc/b.py"]
    pair = list(tuning.of_module(text.format("A, B"), "rtc/a.py"))
    assert tuning.complaints(pair, set()) == ["rtc/a.py:1: A, B are several names in one statement"]


def test_a_complete_constant_gives_no_complaint():
    text = 'A_S = 1.0\n"""What. Source: benchmark `720p30`; pinned by `tests/test_tuning.py::test_a_complete_constant_gives_no_complaint`."""'  # noqa: E501
    assert tuning.complaints(list(tuning.of_module(text, "rtc/a.py")), tuning.scenarios()) == []


def test_every_constant_is_named_documented_and_pinned():
    assert tuning.complaints(tuning.constants(), tuning.scenarios()) == []


def test_the_page_is_what_make_tuning_writes():
    assert tuning.PAGE.read_text() == tuning.page(tuning.constants()), "make tuning"
