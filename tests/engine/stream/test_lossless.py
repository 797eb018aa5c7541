"""Every viewer has every pixel, whatever it missed; what several need alike is packed once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest

from framewire.codec.lossless import base_of, checksum_of, unpack
from framewire.codec.messages import Assembler
from framewire.codec.tiles import SIDE_PX
from framewire.engine.stream.encoding import Encoding, EncodingReport, Key, PackedUnit
from framewire.engine.stream.fanout import MAX_IN_FLIGHT_UNITS
from framewire.engine.stream.lossless import MAX_DELTA_FRACTION, LosslessEncoding
from framewire.engine.stream.meter import WINDOW_S
from framewire.frame import AccessUnit, Pixels
from tests.engine.stills import Source
from tests.engine.stream.virtual import Workers, context, now, settle, skip

A, B = ("a", 1), ("b", 1)
SIZE = (100, 150, 3)


class Viewer:
    """A viewer in our hands: puts together what it is sent, and acknowledges them unless ``acking`` is False."""

    def __init__(self, bench: Bench, key: Key, *, acking: bool = True) -> None:
        self.bench, self.key, self.acking = bench, key, acking
        self.units: list[AccessUnit] = []
        self.packed_units: list[PackedUnit] = []
        self.picture: Pixels | None = None
        self._assembler = Assembler()
        bench.encoding.add(key, self._take, packets=False)

    def _take(self, packed: PackedUnit) -> bool:
        assert packed.rtp is None
        (unit,) = [unit for message in packed.messages if (unit := self._assembler.feed(message))]
        base = self.units[-1].number if self.units else None
        assert base_of(unit) in (None, base), "a delta builds on what this viewer was sent last"
        self.picture = unpack(unit, self.picture)
        self.units.append(unit)
        self.packed_units.append(packed)
        if self.acking:
            asyncio.get_running_loop().call_soon(self.acknowledge, unit.number)
        return True

    def acknowledge(self, number: int) -> None:
        self.bench.encoding.acknowledge(self.key, number)

    def has(self, number: int) -> AccessUnit:
        """The unit of this frame, the newest one, whose every pixel arrived."""
        assert self.numbers[-1:] == [number]
        assert self.picture is not None and np.array_equal(self.picture, self.bench.pictures[number])
        return self.units[-1]

    @property
    def numbers(self) -> list[int]:
        return [unit.number for unit in self.units]


class Bench:
    """A lossless encoding, and pictures of which little changes from one to the next."""

    def __init__(self) -> None:
        self.source = Source()
        self.workers = Workers()
        self.context = context(self.source, self.workers)
        self.encoding = LosslessEncoding(self.context)
        self.pictures: dict[int, Pixels] = {}

    async def publish(self, number: int, pixels: Pixels | None = None) -> None:
        if pixels is None:
            last = self.pictures[max(self.pictures)] if self.pictures else noise(*SIZE)
            pixels = last.copy()
            pixels[number % len(pixels), number * 7 % pixels.shape[1]] ^= 0xFF
        self.pictures[number] = pixels
        self.source.publish(number, pixels)
        self.encoding.wake()
        await settle()

    @property
    def made(self) -> int:
        return self.context.made["lossless"]


def noise(height: int, width: int, channels: int, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    yield bench
    await bench.encoding.close()
    assert bench.source.leased == 0, "every lease was given back"


async def test_it_is_an_encoding(bench: Bench) -> None:
    encoding: Encoding = bench.encoding
    assert encoding.max_bps == 0 and len(encoding) == 0
    encoding.estimate(A, 1.0, 1.0, measured=True)
    encoding.vsync(A, 0.0, 0.016)
    encoding.show(A, True)
    encoding.request_keyframe(A)
    encoding.acknowledge(A, 1)
    encoding.remove(A)
    assert encoding.report(A, now()) == EncodingReport(), "unknown keys are ignored"


async def test_first_the_whole_picture_and_then_what_changes(bench: Bench) -> None:
    a = Viewer(bench, A)
    for number in range(1, 6):
        await bench.publish(number)
        unit = a.has(number)
        assert unit.keyframe == (number == 1)
        assert unit.checksum == checksum_of(bench.pictures[number]), "of the whole picture, whatever is sent"
    raw = bench.pictures[1].nbytes
    assert len(a.units[0].data) >= raw and all(len(unit.data) < raw / 20 for unit in a.units[1:])


async def test_a_picture_published_again_unchanged_costs_next_to_nothing(bench: Bench) -> None:
    a = Viewer(bench, A)
    await bench.publish(1)
    await bench.publish(2, bench.pictures[1].copy())
    assert len(a.has(2).data) < 50


async def test_pictures_of_other_shapes_and_all_new_ones_are_sent_whole(bench: Bench) -> None:
    a = Viewer(bench, A)
    shapes = [(100, 150, 3), (150, 100, 3), (150, 100, 4), (17, 31, 1), (17, 31, 1)]
    for number, shape in enumerate(shapes, 1):
        await bench.publish(number, noise(*shape, seed=number))
        assert a.has(number).keyframe


async def test_a_picture_that_changed_almost_everywhere_is_sent_whole(bench: Bench) -> None:
    a = Viewer(bench, A)
    tiles = 100
    pixels = noise(SIDE_PX, SIDE_PX * tiles, 3)
    await bench.publish(1, pixels)
    for number, changed in ((2, 89), (3, 90)):
        pixels = pixels.copy()
        pixels[:, : SIDE_PX * changed] ^= 0xFF
        await bench.publish(number, pixels)
        assert a.has(number).keyframe == (changed >= MAX_DELTA_FRACTION * tiles)
    assert MAX_DELTA_FRACTION == 0.9


async def test_viewers_with_the_same_frame_share_one_delta(bench: Bench) -> None:
    a, b = Viewer(bench, A), Viewer(bench, B)
    for number in (1, 2, 3):
        await bench.publish(number)
        a.has(number)
        b.has(number)
        assert a.packed_units[-1] is b.packed_units[-1]
    assert bench.made == 3


async def test_viewers_that_need_the_whole_picture_share_it_whatever_they_have(bench: Bench) -> None:
    a, b = Viewer(bench, A), Viewer(bench, B, acking=False)
    for number in (1, 2, 3):
        await bench.publish(number)
    b.acknowledge(1)
    await settle()
    c = Viewer(bench, ("c", 1))
    made = bench.made
    await bench.publish(4, noise(*SIZE, seed=4))
    assert a.packed_units[-1] is c.packed_units[-1] and a.has(4).keyframe
    assert bench.made - made in (1, 2)


async def test_a_slow_viewer_gets_what_it_missed_in_one_delta_and_costs_the_fast_one_nothing(bench: Bench) -> None:
    fast, slow = Viewer(bench, A), Viewer(bench, B, acking=False)
    for number in range(1, 20):
        await bench.publish(number)
        fast.has(number)
    assert slow.numbers == [1, 2], "as many as it has credits for"
    slow.acknowledge(1)
    await settle()
    unit = slow.has(19)
    assert base_of(unit) == 2 and len(unit.data) < bench.pictures[1].nbytes / 3
    assert fast.numbers == list(range(1, 20)) and base_of(fast.units[-1]) == 18
    assert set(bench.encoding._turns) == {19}, "no more is remembered than viewers have"


async def test_without_credit_nothing_is_packed_and_with_it_the_newest_frame_is(bench: Bench) -> None:
    a = Viewer(bench, A, acking=False)
    for number in range(1, 30):
        await bench.publish(number)
    assert len(a.units) == bench.made == MAX_IN_FLIGHT_UNITS
    a.acknowledge(a.numbers[0])
    await settle()
    a.has(29)
    assert bench.made == MAX_IN_FLIGHT_UNITS + 1


async def test_no_viewer_gets_a_frame_twice(bench: Bench) -> None:
    a = Viewer(bench, A)
    await bench.publish(1)
    a.has(1)
    b = Viewer(bench, B)
    await settle()
    b.has(1)
    bench.encoding.show(A, False)
    bench.encoding.show(A, True)
    await settle()
    assert a.numbers == [1], "a new viewer's picture is not sent to those that have it"


async def test_a_viewer_that_asks_gets_the_whole_picture_at_once(bench: Bench) -> None:
    a, b = Viewer(bench, A), Viewer(bench, B)
    await bench.publish(1)
    bench.encoding.request_keyframe(A)
    await settle()
    assert a.numbers == [1, 1] and a.units[-1].keyframe, "though nothing was published"
    assert b.numbers == [1], "what one viewer needs, only that one gets"


async def test_a_viewer_that_was_hidden_gets_the_whole_picture(bench: Bench) -> None:
    a, b = Viewer(bench, A), Viewer(bench, B)
    await bench.publish(1)
    bench.encoding.show(A, False)
    await bench.publish(2)
    assert a.numbers == [1] and b.numbers == [1, 2]
    bench.encoding.show(A, True)
    await settle()
    assert a.has(2).keyframe
    assert [unit.keyframe for unit in b.units] == [True, False]


async def test_a_viewer_that_is_reported_visible_again_and_again_gets_deltas(bench: Bench) -> None:
    a = Viewer(bench, A)
    for number in range(1, 5):
        bench.encoding.show(A, True)
        await bench.publish(number)
        a.has(number)
    assert [unit.keyframe for unit in a.units] == [True, False, False, False]


async def test_a_viewer_that_comes_during_a_job_is_served_right_after_it(bench: Bench) -> None:
    a = Viewer(bench, A)
    await bench.publish(1)
    bench.workers.hanging = True
    await bench.publish(2)
    b = Viewer(bench, B)
    bench.workers.let_go()
    await settle()
    assert base_of(a.has(2)) == 1
    assert b.has(2).keyframe


async def test_a_number_that_comes_again_with_another_time_is_another_frame(bench: Bench) -> None:
    a, b = Viewer(bench, A), Viewer(bench, B, acking=False)
    for number in (1, 2, 3):
        await bench.publish(number)
        a.has(number)
    bench.source.publish(3, noise(*SIZE, seed=9), time_us=999)
    b.acknowledge(1)
    await settle()
    assert b.numbers[-1] == 3
    assert b.picture is not None and np.array_equal(b.picture, noise(*SIZE, seed=9))


async def test_what_is_sent_is_counted_for_each_viewer(bench: Bench) -> None:
    a = Viewer(bench, A)
    for number in (1, 2):
        await bench.publish(number)
        await asyncio.sleep(0.1)
    report = bench.encoding.report(A, now())
    sent_bytes = sum(packed.size_bytes for packed in a.packed_units)
    assert report.sent_fps == pytest.approx(10) and report.sent_bps == sent_bytes * 8 / WINDOW_S
    assert report.target_bps == 0 and [mark.number for mark in report.marks] == [2], "published long ago"
    assert bench.encoding.sent_bps(B, now()) == 0
    assert list(bench.encoding.encode_ms(now())) == ["lossless"]


def striped(number: int) -> Pixels:
    """A picture of 3 MB that compresses well, and of which all is new."""
    pixels = np.zeros((1000, 1000, 3), np.uint8)
    pixels[::16] = number
    return pixels


async def test_units_are_compressed_where_that_is_faster(bench: Bench) -> None:
    """Credits measure the link, and a unit that is compressed measures the compressor."""
    a = Viewer(bench, A, acking=False)

    async def sent(number: int, pixels: Pixels, arrives_s: float) -> str:
        await bench.publish(number, pixels)
        skip(arrives_s)
        a.acknowledge(number)
        await settle()
        return a.units[-1].codec

    assert await sent(1, striped(1), 2.0) == "zstd", "nothing is known yet"
    assert await sent(2, noise(1000, 1000, 3), 0.001) == "raw", "measured again: noise does not compress"
    slow = [await sent(number, striped(number), 1.0) for number in range(3, 9)]
    assert slow == ["raw", "raw", "zstd", "zstd", "zstd", "zstd"], "measured again after two seconds"


async def test_a_time_to_compress_is_measured_by_the_clock(bench: Bench) -> None:
    ticks = iter(range(1_000_000))
    bench.context.clock = lambda: float(next(ticks))
    encoding = LosslessEncoding(bench.context)
    encoding.add(A, lambda _: True, packets=False)
    bench.source.publish(1, noise(*SIZE))
    encoding.wake()
    await settle()
    raw_bytes = bench.source.frame.pixels.nbytes if bench.source.frame else 0
    trial = encoding._choice.trial
    assert trial is not None and trial.seconds == 1.0, "one tick"
    assert trial.raw_bytes == raw_bytes
    assert trial.packed_bytes == pytest.approx(raw_bytes, rel=0.05), "noise does not compress"
    await encoding.close()
