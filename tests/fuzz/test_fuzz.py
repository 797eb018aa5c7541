"""Every target on its corpus, and on some thousand mutated inputs, the same in each run: a minute in all."""

from __future__ import annotations

from random import Random

import pytest

from tests.fuzz.fuzzer import CORPUS, Fuzzer, check_memory, check_time, corpus_of
from tests.fuzz.targets import TARGETS

MAX_CORPUS_BYTES = 300_000


@pytest.mark.parametrize("name", TARGETS)
def test_no_input_of_the_corpus_or_near_it_fails(name: str) -> None:
    target = TARGETS[name]
    fuzzer = Fuzzer(target, Random(name))
    fuzzer.start()
    while fuzzer.inputs < target.ci_inputs:
        fuzzer.step()
    assert not fuzzer.finds, [f"{find.data!r}\n{find.error}" for find in fuzzer.finds]


@pytest.mark.parametrize("name", TARGETS)
def test_the_longest_inputs_take_little_time_and_memory(name: str) -> None:
    target = TARGETS[name]
    for data in corpus_of(target)[:6]:
        part = data or b"["
        for repeated in (
            part * (target.max_bytes // len(part)),
            part[:1] * target.max_bytes,
            part[-9:] * (target.max_bytes // 9),
        ):
            check_time(target, repeated[: target.max_bytes])
            check_memory(target, repeated[: target.max_bytes])


def test_the_corpus_is_small_and_belongs_to_targets() -> None:
    files = list(CORPUS.glob("*"))
    assert {file.stem for file in files} <= TARGETS.keys()
    assert sum(file.stat().st_size for file in files) <= MAX_CORPUS_BYTES
