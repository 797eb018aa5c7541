"""Every viewer has every pixel, whatever it missed; what several need alike is packed once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from framewire.codec.lossless import base_of, checksum_of, unpack
from framewire.codec.messages import Assembler
from framewire.engine.stream import rate
from framewire.engine.stream.encoding import Key, PackedUnit
from framewire.engine.stream.fanout import CREDITS
from framewire.engine.stream.lossless import LosslessEncoding
from framewire.frame import AccessUnit, Pixels
from tests.engine.stills import Source
from tests.viewer import eventually

A, B = ("a", 1), ("b", 1)
SIZE = (100, 150, 3)


class Watcher:
    """A viewer in our hands: puts together what it is sent, and gives its credits back when told."""

    def __init__(self, bench: Bench, key: Key, *, acking: bool = True) -> None:
        self.bench, self.key, self.acking = bench, key, acking
        self.units: list[AccessUnit] = []
        self.packed_units: list[PackedUnit] = []
        self.picture: Pixels | None = None
        self._assembler = Assembler()
        bench.lane.add(key, self._take, packets=False)

    def _take(self, packed: PackedUnit) -> bool:
        (unit,) = [unit for message in packed.messages if (unit := self._assembler.feed(message))]
        base = self.units[-1].number if self.units else None
        assert base_of(unit) in (None, base), "a delta builds on what this viewer was sent last"
        self.picture = unpack(unit, self.picture)
        self.units.append(unit)
        self.packed_units.append(packed)
        if self.acking:
            asyncio.get_running_loop().call_soon(self.credit, unit.number)
        return True

    def credit(self, number: int) -> None:
        self.bench.lane.acknowledge(self.key, number)

    async def has(self, number: int) -> AccessUnit:
        await eventually(lambda: self.units and self.units[-1].number == number, f"{number} is not in {self.numbers}")
        assert self.picture is not None and np.array_equal(self.picture, self.bench.pictures[number])
        return self.units[-1]

    @property
    def numbers(self) -> list[int]:
        return [unit.number for unit in self.units]


class Bench:
    """A lane, and pictures of which little changes from one to the next."""

    def __init__(self) -> None:
        self.source = Source()
        self.pool = ThreadPoolExecutor(2)
        self.lane = LosslessEncoding(7, self.source, self.pool)
        self.pictures: dict[int, Pixels] = {}

    def publish(self, number: int, pixels: Pixels | None = None) -> None:
        if pixels is None:
            last = self.pictures[max(self.pictures)] if self.pictures else noise(*SIZE)
            pixels = last.copy()
            pixels[number % len(pixels), number * 7 % pixels.shape[1]] ^= 0xFF
        self.pictures[number] = pixels
        self.source.publish(number, pixels)
        self.lane.wake()

    async def settled(self) -> None:
        """Until the lane has had its turn and waits again."""
        made = -1
        while made != self.lane.made or self.lane._wake.is_set():
            made = self.lane.made
            await asyncio.sleep(0.05)


def noise(height: int, width: int, channels: int, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    yield bench
    await bench.lane.close()
    assert bench.source.leased == 0, "every lease was given back"
    bench.pool.shutdown()


async def test_first_the_picture_then_what_changes_of_it(bench: Bench) -> None:
    a = Watcher(bench, A)
    for number in range(1, 6):
        bench.publish(number)
        unit = await a.has(number)
        assert unit.keyframe == (number == 1)
        assert unit.checksum == checksum_of(bench.pictures[number]), "of the whole picture, whatever travels"
    raw = bench.pictures[1].nbytes
    assert len(a.units[0].data) >= raw and all(len(unit.data) < raw / 20 for unit in a.units[1:])


async def test_a_picture_that_is_published_again_as_it_was_costs_next_to_nothing(bench: Bench) -> None:
    a = Watcher(bench, A)
    bench.publish(1)
    await a.has(1)
    bench.publish(2, bench.pictures[1].copy())
    assert len((await a.has(2)).data) < 50


async def test_a_picture_of_another_shape_and_one_that_is_all_new_go_whole(bench: Bench) -> None:
    a = Watcher(bench, A)
    shapes = [(100, 150, 3), (150, 100, 3), (150, 100, 4), (17, 31, 1), (17, 31, 1)]
    for number, shape in enumerate(shapes, 1):
        bench.publish(number, noise(*shape, seed=number))
        assert (await a.has(number)).keyframe


async def test_the_same_delta_goes_to_all_who_have_the_same(bench: Bench) -> None:
    a, b = Watcher(bench, A), Watcher(bench, B)
    for number in (1, 2, 3):
        bench.publish(number)
        await a.has(number)
        await b.has(number)
        assert a.packed_units[-1] is b.packed_units[-1]
    assert bench.lane.made == 3


async def test_a_slow_viewer_gets_what_it_missed_in_one_delta_and_costs_the_fast_one_nothing(bench: Bench) -> None:
    fast, slow = Watcher(bench, A), Watcher(bench, B, acking=False)
    for number in range(1, 20):
        bench.publish(number)
        await fast.has(number)
    assert slow.numbers == [1, 2], "as many as it has credits for"
    slow.credit(1)
    unit = await slow.has(19)
    assert base_of(unit) == 2 and len(unit.data) < bench.pictures[1].nbytes / 3
    assert fast.numbers == list(range(1, 20)) and base_of(fast.units[-1]) == 18
    assert len(bench.lane._turns) <= 2, "no more is remembered than somebody has"


async def test_without_credit_nothing_is_packed_and_with_it_the_newest_is(bench: Bench) -> None:
    a = Watcher(bench, A, acking=False)
    for number in range(1, 30):
        bench.publish(number)
        await asyncio.sleep(0.005)
    await bench.settled()
    assert len(a.units) == bench.lane.made == CREDITS
    a.credit(a.numbers[0])
    await a.has(29)
    assert bench.lane.made == CREDITS + 1


async def test_a_frame_goes_to_nobody_twice(bench: Bench) -> None:
    a = Watcher(bench, A)
    bench.publish(1)
    await a.has(1)
    b = Watcher(bench, B)
    await b.has(1)
    bench.lane.show(A, False)
    bench.lane.show(A, True)
    await bench.settled()
    assert a.numbers == [1], "a newcomer's picture is no burden to those who have it"


async def test_who_comes_back_or_asks_gets_the_whole_picture(bench: Bench) -> None:
    a, b = Watcher(bench, A), Watcher(bench, B)
    bench.publish(1)
    await a.has(1)
    bench.lane.request_keyframe(A)
    await eventually(lambda: a.numbers == [1, 1])
    assert a.units[-1].keyframe, "at once, though nothing was published"
    bench.lane.show(A, False)
    bench.publish(2)
    await b.has(2)
    bench.lane.show(A, True)
    assert (await a.has(2)).keyframe
    assert [unit.keyframe for unit in b.units] == [True, False], "what one viewer needs, only that one gets"


async def test_a_number_that_comes_again_is_another_frame(bench: Bench) -> None:
    a, b = Watcher(bench, A), Watcher(bench, B, acking=False)
    for number in (1, 2, 3):
        bench.publish(number)
        await a.has(number)
    bench.source.publish(3, noise(*SIZE, seed=9), time_us=999)
    b.credit(1)
    await eventually(lambda: b.numbers[-1] == 3)
    assert np.array_equal(b.picture, noise(*SIZE, seed=9))  # type: ignore[arg-type]


async def test_what_is_sent_is_counted_for_each_viewer(bench: Bench) -> None:
    a = Watcher(bench, A)
    for number in (1, 2):
        bench.publish(number)
        await a.has(number)
    report = bench.lane.report(A, time.monotonic())
    assert (
        report.sent_fps > 0
        and report.sent_bps == sum(packed.size_bytes for packed in a.packed_units) * 8 / rate.Meter.WINDOW
    )
    assert bench.lane.sent_bps(B, time.monotonic()) == 0
    assert [mark.number for mark in bench.lane.marks] == [1, 2]
    a.acking = False
    bench.publish(3)
    await a.has(3)
    bench.lane.remove(A)
    assert not bench.lane._left, "nothing is remembered of who has gone"
