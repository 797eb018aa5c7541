"""The fuzzer itself: what it finds, what it keeps, and what it makes smaller."""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random

import pytest

from tests.fuzz import coverage, fuzzer
from tests.fuzz.choices import Choices
from tests.fuzz.fuzzer import Fuzzer, Target, TooMuchMemory, TooSlow, check, minimised
from tests.fuzz.mutators import spliced


def target(run, **options) -> Target:
    return Target("toy", run, lambda: [b"abcdef"], spliced, **options)


def fuzzed(run, inputs=3000, **options) -> Fuzzer:
    found = Fuzzer(target(run, **options), Random(1))
    found.start()
    while found.inputs < inputs:
        found.step()
    return found


def test_an_input_that_fails_is_found_once_and_made_small() -> None:
    def run(data: bytes) -> int:
        assert b"\xff" not in data, "no 255"
        return len(data)

    (find,) = fuzzed(run).finds
    assert find.data == b"\xff" and "no 255" in find.error and find.place.startswith("AssertionError at ")


def test_what_reaches_something_new_is_kept_and_built_upon() -> None:
    def run(data: bytes) -> int:
        depth = next((index for index, byte in enumerate(b"fuz") if data[index : index + 1] != bytes([byte])), 3)
        assert depth < 3
        return depth

    assert fuzzed(run, inputs=200_000).finds, "three bytes are guessed one after the other"


def test_a_slow_input_and_a_large_one_are_failures() -> None:
    def slow(data: bytes) -> int:
        return sum(range(2_000_000)) if data else 0

    with pytest.raises(TooSlow, match="6 bytes take"):
        check(target(slow), b"abcdef")
    with pytest.raises(TooMuchMemory, match="KiB"):
        check(target(lambda data: len(bytes(8 << 20))), b"x")


def test_a_find_is_saved_for_its_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzzer, "FOUND", tmp_path / "found")
    path = fuzzer.Find("toy", b"\x00x", "e", "p").save()
    assert path.read_bytes() == b"\x00x" and path.name.startswith("toy-") and path.suffix == ".bin"


def test_a_smaller_input_keeps_what_it_is_kept_for() -> None:
    assert minimised(b"aaaaXbbbbYcccc", lambda data: b"X" in data and b"Y" in data) == b"XY"


def test_choices_end_with_the_first_possibility() -> None:
    choices = Choices(b"\x05\xff")
    assert (choices.below(3), choices.pick("ab"), choices.more, choices.below(9)) == (2, "b", False, 0)


def test_blocks_that_run_are_marked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "marked_toy.py").write_text(
        "def run(n):\n    'doc'\n    if n:\n        return 1\n    else:\n        return 2\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(coverage, "PREFIXES", ("marked_toy",))
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    before = len(coverage.hits)
    coverage.install()
    import marked_toy  # type: ignore[import-not-found]

    assert len(coverage.hits) - before == 3 and marked_toy.run.__doc__ == "doc"
    marked_toy.run(0)
    assert list(coverage.hits[before:]).count(1) == 2
    marked_toy.run(1)
    assert list(coverage.hits[before:]).count(1) == 3
