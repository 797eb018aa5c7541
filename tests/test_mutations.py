"""What mutation testing changes in a source, and what it leaves alone."""

from __future__ import annotations

from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "mutations.py"
if not SCRIPT.is_file():
    pytest.skip("scripts/ is not here", allow_module_level=True)

from scripts.mutations import mutations  # noqa: E402


def changes(source: str) -> list[str]:
    return [mutation.change for mutation in mutations(source)]


def inside(statement: str) -> list[str]:
    """The changes of a statement in a function."""
    return changes(f"def f(a, b, c):\n    {statement}\n")


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("a = b < c", ["< → <="]),
        ("a = b == c", ["== → !="]),
        ("a = b is not c", ["is not → is"]),
        ("a = b not in c", ["not in → in"]),
        ("a = b < c <= a", ["< → <=", "<= → <"]),
        ("a = b + c", ["+ → -"]),
        ("a = b // c", ["// → *"]),
        ("a = b & c", ["& → |"]),
        ("a = b and c", ["and → or"]),
        ("a = not b", ["not removed"]),
        ("a = -b", ["- removed"]),
        ("a = min(b, c)", ["min → max"]),
        ("a = True", ["True → False"]),
        ("a = 7", ["7 → 8", "7 → 6"]),
        ("a = 0", ["0 → 1"]),
        ("a = 1500", ["1500 → 3000", "1500 → 750"]),
        ("a = 0.5", ["0.5 → 1.0", "0.5 → 0.25"]),
        ("a += b", ["+= → -=", "a += b removed"]),
        ("a.x = b", ["a.x = b removed"]),
        ("a.clear()", ["a.clear() removed"]),
        ("raise a", ["raise a removed"]),
        ("return a", ["returns None"]),
        ("return", ["return removed"]),
        ("a = b if b < c else c", ["b < c → not", "< → <="]),
        ("a = [x for x in b if x]", ["x → not"]),
        ("if a: b.x()", ["a → not", "b.x() removed"]),
        ("if a == b: pass", ["== → !="]),
    ],
)
def test_a_statement_is_changed_in_these_ways(statement, expected):
    assert sorted(inside(statement)) == sorted(expected)


@pytest.mark.parametrize(
    "statement",
    [
        "assert a < b",
        "raise_ = 'a message'",
        "a = f'{b:04d} of {c + 1}'",
        "a: dict[str, int] | None = b",
        "'''A string that documents.'''",
        "a = b",
        "yield a",
    ],
)
def test_a_statement_that_no_test_can_judge_is_left_alone(statement):
    assert inside(statement) == []


@pytest.mark.parametrize(
    "source",
    [
        "Key = str | None",
        "__all__ = ['a']",
        "from typing import Literal\nLevel = Literal[0, 1]",
        "if TYPE_CHECKING:\n    import a\n",
        "from typing import Protocol\nclass A(Protocol):\n    x: int = 3\n",
        "@dataclass(frozen=True)\nclass A:\n    x: int\n",
        "class A:\n    def __repr__(self):\n        return 'a' + 'b'\n",
    ],
)
def test_types_and_names_are_left_alone(source):
    assert changes(source) == []


def test_constants_of_modules_and_defaults_of_arguments_are_changed():
    assert changes("LIMIT_S: Final = 2.0\n") == ["2.0 → 4.0", "2.0 → 1.0"]
    assert changes("def f(a=True): pass\n") == ["True → False"]


def test_a_mutation_changes_its_place_alone_and_knows_its_function():
    source = "X = 'ä' < 'ö'\n\n@cache\ndef f(ä, b):\n    return (ä) < (\n        b)\n"
    first, second, third = mutations(source)
    assert (first.line, first.function) == (1, None)
    assert first.source == source.replace("'ä' <", "'ä' <=")
    assert (second.line, second.function, second.change) == (5, (3, 6), "returns None")
    assert (third.line, third.function) == (5, (3, 6))
    assert third.source == source.replace("(ä) <", "(ä) <=")
