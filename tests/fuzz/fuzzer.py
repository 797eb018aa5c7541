"""Runs one target on mutated inputs, keeps those that reach something new, and reports those that fail.

Must not know what any target does, nor how a process is started for it.
"""

from __future__ import annotations

import ast
import hashlib
import re
import time
import traceback
import tracemalloc
import zlib
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

HERE: Final = Path(__file__).resolve().parent
CORPUS: Final = HERE / "corpus"
FOUND: Final = HERE / "found"

MAX_INPUT_BYTES: Final = 65_536
"""No target is given more: the longest message, and the longest datagram."""
MAX_CPU_S: Final = 0.02
"""One input may take this long on the processor."""
MAX_PEAK_BYTES: Final = 4 << 20
"""One input may make a target allocate this much at its peak."""
MEMORY_SAMPLE_INPUTS: Final = 1000
"""Of so many inputs, one is run with its memory counted, which takes several times as long."""
MAX_CORPUS_INPUTS: Final = 4000
"""Kept in memory for one target; a new one replaces any other."""

Mutator = Callable[[bytes, Random, Sequence[bytes]], bytes]


@dataclass(frozen=True)
class Target:
    """What is fuzzed. ``run`` raises for a failure, and returns something to tell what an input has reached."""

    name: str
    run: Callable[[bytes], Hashable]
    seeds: Callable[[], list[bytes]]
    mutate: Mutator
    max_bytes: int = MAX_INPUT_BYTES
    is_episode: bool = False
    """Whether an input is the choices of an episode: an order of messages, timers and ends."""
    variations: int = 48
    """Of each mutated input, so many more with one or two bytes changed are run."""
    ci_inputs: int = 4000
    """How many `make test` runs."""
    max_peak_bytes: int = MAX_PEAK_BYTES
    max_cpu_s: float = MAX_CPU_S


def kind_of(reason: str) -> str:
    """What a refusal is about, without what it quotes: two that differ in that alone reached the same."""
    begins = re.split(r"['`\d]|value|field|header|position", reason)[0]
    return f"{begins}{re.sub(r'[^$.[(]+', '', reason.rpartition(' - at ')[2])[:4]}"


def one_in(count: int, data: bytes) -> bool:
    """Whether an input is among the one in ``count`` that a costly check is made for; the same in every run."""
    return zlib.crc32(data) % count == 0


class TooSlow(AssertionError):
    """An input took longer than `MAX_CPU_S`."""


class TooMuchMemory(AssertionError):
    """An input took more memory than `MAX_PEAK_BYTES`."""


@dataclass(frozen=True)
class Find:
    """An input that fails."""

    target: str
    data: bytes
    error: str
    place: str

    def save(self) -> Path:
        """Write the input where `--replay` finds it."""
        FOUND.mkdir(exist_ok=True)
        path = FOUND / f"{self.target}-{hashlib.sha256(self.data).hexdigest()[:12]}.bin"
        path.write_bytes(self.data)
        return path


def corpus_of(target: Target) -> list[bytes]:
    """The target's seeds, and the inputs that are kept for it."""
    path = CORPUS / f"{target.name}.txt"
    kept = [ast.literal_eval(line) for line in path.read_text().splitlines() if line] if path.is_file() else []
    return [data[: target.max_bytes] for data in dict.fromkeys([*target.seeds(), *kept])]


def write_corpus(target: Target, inputs: Sequence[bytes]) -> None:
    """Keep these inputs, one a line."""
    CORPUS.mkdir(exist_ok=True)
    (CORPUS / f"{target.name}.txt").write_text("".join(f"{data!r}\n" for data in sorted(set(inputs))))


def check(target: Target, data: bytes) -> Hashable:
    """Run one input with everything checked: what the target asserts, its time and its memory."""
    reached = target.run(data)
    check_time(target, data)
    check_memory(target, data)
    return reached


def check_time(target: Target, data: bytes) -> None:
    """Of some runs the fastest counts: other programs have the processor too."""
    fastest = min(_cpu_s(target, data) for _ in range(3))
    if fastest > target.max_cpu_s:
        raise TooSlow(f"{len(data)} bytes take {fastest * 1000:.0f} ms")


def check_memory(target: Target, data: bytes) -> None:
    tracemalloc.start()
    try:
        target.run(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    if peak > target.max_peak_bytes:
        raise TooMuchMemory(f"{len(data)} bytes take {peak >> 10} KiB")


def _cpu_s(target: Target, data: bytes) -> float:
    begun = time.thread_time()
    target.run(data)
    return time.thread_time() - begun


@dataclass
class Fuzzer:
    """One target, with the inputs that are known to reach something. ``hits`` are the blocks that were run so far."""

    target: Target
    random: Random
    hits: bytearray = field(default_factory=bytearray)
    inputs: int = 0
    finds: list[Find] = field(default_factory=list)
    corpus: list[bytes] = field(default_factory=list)
    added: list[bytes] = field(default_factory=list)
    """Those of the corpus that were found here."""
    _features: set[Hashable] = field(default_factory=set)
    _seen: bytes = b""

    def start(self) -> None:
        """Run the corpus."""
        for data in corpus_of(self.target):
            self._run(data)
            self.corpus.append(data)
        self.added.clear()

    def step(self) -> None:
        """Run one mutated input, and variations of it."""
        random, target = self.random, self.target
        data = self.corpus[int(random.random() * len(self.corpus))]
        for _ in range(1 + int(random.random() ** 3 * 4)):
            data = target.mutate(data, random, self.corpus)[: target.max_bytes]
        self._run(data)
        varied = bytearray(data)
        for _ in range(target.variations if varied else 0):
            at = int(random.random() * len(varied))
            before = varied[at]
            flipped, other = before ^ (1 << int(random.random() * 8)), int(random.random() * 256)
            varied[at] = flipped if random.random() < 0.5 else other
            self._run(bytes(varied))
            if random.random() < 0.7:
                varied[at] = before

    def _run(self, data: bytes) -> None:
        target = self.target
        self.inputs += 1
        begun = time.perf_counter()
        try:
            reached = target.run(data)
            if time.perf_counter() - begun > target.max_cpu_s and not self._knows(TooSlow):
                check_time(target, data)
            if self.inputs % MEMORY_SAMPLE_INPUTS == 0:
                check_memory(target, data)
        except Exception as error:
            self._found(data, error)
            return
        if reached not in self._features or self.hits != self._seen:
            self._features.add(reached)
            self._seen = bytes(self.hits)
            self._keep(data)

    def _keep(self, data: bytes) -> None:
        self.added.append(data)
        if len(self.corpus) < MAX_CORPUS_INPUTS:
            self.corpus.append(data)
        else:
            self.corpus[int(self.random.random() * len(self.corpus))] = data

    def _knows(self, kind: type[Exception]) -> bool:
        return any(find.place.startswith(kind.__name__) for find in self.finds)

    def _found(self, data: bytes, error: Exception) -> None:
        place = place_of(error)
        if any(find.place == place for find in self.finds):
            return
        small = minimised(data, lambda each: _fails_at(self.target, each, place))
        self.finds.append(Find(self.target.name, small, "".join(traceback.format_exception(error)), place))

    @property
    def blocks(self) -> int:
        """How many blocks were run at least once."""
        return self._seen.count(1)


def place_of(error: Exception) -> str:
    """What tells one failure from another: the kind of error, and the lines that it came through."""
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    kind = type(error).__name__
    return f"{kind} at " + " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames))


def _fails_at(target: Target, data: bytes, place: str) -> bool:
    try:
        target.run(data)
        if place.startswith(TooSlow.__name__):
            check_time(target, data)
        if place.startswith(TooMuchMemory.__name__):
            check_memory(target, data)
    except Exception as error:
        # Of a slow input the place differs with the check that found it.
        return place_of(error) == place or place.split(maxsplit=1)[0] == type(error).__name__
    return False


def minimised(data: bytes, holds: Callable[[bytes], bool], attempts: int = 2000, seconds: float = 10.0) -> bytes:
    """A shorter input for which ``holds`` is true as well, found by leaving out parts."""
    size = max(1, len(data) // 2)
    until = time.monotonic() + seconds
    while size and attempts:
        at = 0
        while at < len(data) and attempts and time.monotonic() < until:
            attempts -= 1
            shorter = data[:at] + data[at + size :]
            if len(shorter) < len(data) and holds(shorter):
                data = shorter
            else:
                at += size
        size //= 2
    return data
