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

# `onTrack`, `ON_TRACK` and `on_track` are two words each.
WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")

GAP = re.compile(r"[\s_#*/-]*")
"""What may be between two words of a phrase: a space, a line end within a comment, nothing in a name."""

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
    left_out = {
        GLOSSARY,
        ROOT / "docs/tuning.md",
        ROOT / "js/tests/house.test.ts",
        ROOT / "package-lock.json",
        ROOT / "THIRD_PARTY.md",
    }
    return {str(path.relative_to(ROOT)): path.read_text() for path in paths if path.is_file() and path not in left_out}


def uses(text: str, rules: list[Retired]) -> list[tuple[int, str]]:
    """Line and word of every retired word in a text, apart from the phrases that may be written."""
    sequence: list[str] = []
    found = list(WORD.finditer(text))
    places = []
    for index, match in enumerate(found):
        if index and not GAP.fullmatch(text, found[index - 1].end(), match.start()):
            sequence.append("")  # the end of a phrase
        places.append((len(sequence), match.start()))
        sequence.append(match[0].lower())
    by_first: dict[str, list[Retired]] = {}
    for rule in rules:
        by_first.setdefault(rule.words[0], []).append(rule)
    said = []
    for index, position in places:
        for rule in by_first.get(sequence[index], []):
            allowed = any(within(sequence, index, rule, each) for each in rule.phrases)
            if at(sequence, index, rule.words) and not allowed:
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
        here = [rule for rule in rules if not any(Path(name).match(pattern) for pattern in rule.files)]
        found += [f"{name}:{line}: {word}" for line, word in uses(text, here)]
    assert found == []


def test_a_retired_word_is_found_in_names_and_prose_and_nowhere_else():
    rules = [Retired(("a", "gnu"), [("not", "a", "gnu")], []), Retired(("yak",), [], [])]
    text = "onYak = ON_YAK\n# not a gnu, a gnus, kayak, a. Gnu\n# of a\n# gnu"
    assert uses(text, rules) == [(1, "yak"), (1, "yak"), (3, "a gnu")]


def test_the_names_that_the_glossary_gives_are_in_the_code():
    headings = re.findall(r"^## (.+)$", GLOSSARY.read_text(), re.MULTILINE)
    tables = [rows(heading) for heading in headings if heading not in {"Retired words", "Names of numbers"}]
    names = [name for table in tables for row in table for name in re.findall(r"`([^`]+)`", row[2])]
    code = "\n".join(text for name, text in texts().items() if name.startswith(("src/", "js/src/", "benchmarks/")))
    files = "\n".join(texts())
    assert [name for name in names if not re.search(rf"\b{re.escape(name)}\b", code) and name not in files] == []
