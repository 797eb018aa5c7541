"""The glossary is kept: retired words do not come back, and the names it gives are in the code.

Must not know the words: docs/glossary.md lists them.
"""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
GLOSSARY = ROOT / "docs" / "glossary.md"
FOLDERS = ("src", "js", "tests", "docs", "signaling", "benchmarks", "scripts", "notebooks")
SUFFIXES = {".py", ".ts", ".mjs", ".css", ".md", ".json", ".ipynb"}
GENERATED = {".gen.ts"}

# Rooms that still use some of them. Take a room off this list when it is clean.
NOT_YET = (
    "SECURITY.md",
    "benchmarks/",
    "js/tests/",
    "tests/benchmarks/",
    "tests/conftest.py",
    "tests/e2e/",
    "tests/rtc/",
    "src/framewire/codec/",
    "src/framewire/rtc/",
)

# `onTrack`, `ON_TRACK` and `on_track` are two words each.
WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")

if not GLOSSARY.is_file():
    pytest.skip("docs/ is not here", allow_module_level=True)


class Retired(NamedTuple):
    words: tuple[str, ...]
    phrases: list[tuple[str, ...]]
    """Phrases that hold the words and may be written."""
    files: list[str]
    """Patterns of files that may use them."""


def words(text: str) -> tuple[str, ...]:
    return tuple(word.lower() for word in WORD.findall(text))


def rows(heading: str) -> list[list[str]]:
    """The cells of the table below a heading of the glossary."""
    section = GLOSSARY.read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]


def retired() -> list[Retired]:
    found = []
    for names, _, allowed in rows("Retired words"):
        exceptions = re.findall(r"`([^`]+)`", allowed)
        files = [each for each in exceptions if "/" in each]
        phrases = [words(each) for each in exceptions if "/" not in each]
        found += [Retired(words(name), phrases, files) for name in re.findall(r"`([^`]+)`", names)]
    return found


@cache
def texts() -> dict[str, str]:
    """Every text that the rule is for, by its path."""
    if not (ROOT / ".git").exists():
        return {}
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout.split("\0")
    top = [name for name in listed if name.startswith(tuple(f"{each}/" for each in FOLDERS)) or "/" not in name]
    paths = [ROOT / name for name in top if Path(name).suffix in SUFFIXES and not name.endswith(tuple(GENERATED))]
    left_out = {GLOSSARY, ROOT / "docs/tuning.md", ROOT / "package-lock.json", ROOT / "THIRD_PARTY.md"}
    return {str(path.relative_to(ROOT)): path.read_text() for path in paths if path.is_file() and path not in left_out}


def uses(text: str, rules: list[Retired]) -> list[tuple[int, str]]:
    """Line and word of every retired word in a text, the phrases apart that may be written."""
    found = [(m[0].lower(), m.start()) for m in WORD.finditer(text)]
    sequence = [word for word, _ in found]
    by_first: dict[str, list[Retired]] = {}
    for rule in rules:
        by_first.setdefault(rule.words[0], []).append(rule)
    said = []
    for index, (word, position) in enumerate(found):
        for rule in by_first.get(word, []):
            if at(sequence, index, rule.words) and not any(
                within(sequence, index, rule, each) for each in rule.phrases
            ):
                said.append((text.count("\n", 0, position) + 1, " ".join(rule.words)))
    return said


def at(sequence: list[str], index: int, phrase: tuple[str, ...]) -> bool:
    return index >= 0 and tuple(sequence[index : index + len(phrase)]) == phrase


def within(sequence: list[str], index: int, rule: Retired, phrase: tuple[str, ...]) -> bool:
    """Whether the words at this place are a part of a phrase."""
    starts = range(len(phrase) - len(rule.words) + 1)
    return any(phrase[s : s + len(rule.words)] == rule.words and at(sequence, index - s, phrase) for s in starts)


def test_retired_words_do_not_come_back():
    rules = retired()
    found = []
    for name, text in texts().items():
        if name.startswith(NOT_YET):
            continue
        here = [rule for rule in rules if not any(Path(name).match(pattern) for pattern in rule.files)]
        found += [f"{name}:{line}: {word}" for line, word in uses(text, here)]
    assert found == []


def test_a_retired_word_is_found_in_names_and_prose_and_nowhere_else():
    rules = [Retired(("a", "gnu"), [("not", "a", "gnu")], []), Retired(("yak",), [], [])]
    text = "onYak = ON_YAK\n# not a gnu, a gnus, kayak\nof a\ngnu"
    assert uses(text, rules) == [(1, "yak"), (1, "yak"), (3, "a gnu")]
