"""One stream: encodings start with their first subscriber, are shared, and stop with their last."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest

from framewire import wire
from framewire.engine.stream import stream as stream_module
from framewire.engine.stream.encoding import Key, PackedUnit, Sink
from framewire.engine.stream.stream import LINGER_S, Stream
from framewire.frame import AccessUnit
from framewire.options import StreamOptions
from tests.engine.stills import Encoder, Source
from tests.engine.stream.virtual import Wall, Workers, now, settle

A, A2, B = ("a", 1), ("a", 2), ("b", 1)


class Bench:
    """A stream whose encoders are in our hands."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.source = Source()
        self.workers = Workers()
        self.wall = Wall()
        self.resized = 0
        self.encoders: list[Encoder] = []
        self.got: dict[Key, list[PackedUnit]] = {}
        monkeypatch.setattr(stream_module, "open_encoder", self._open)
        options = StreamOptions(id=3, name="cam", width=6, height=4, fps=30.0)
        self.stream = Stream(options, self.source, self.workers, self._on_resize, clock=now, wall_us=self.wall)

    def _open(self, codec: str, *, fps: float, max_bitrate: int) -> Encoder:
        assert (fps, max_bitrate) == (30.0, 20_000_000)
        self.encoders.append(Encoder())
        return self.encoders[-1]

    def _on_resize(self) -> None:
        self.resized += 1

    def sink(self, key: Key) -> Sink:
        self.got[key] = []

        def take(packed: PackedUnit) -> bool:
            self.got[key].append(packed)
            return True

        return take

    async def publish(self, number: int, pixels: np.ndarray | None = None) -> None:
        self.source.publish(number, pixels)
        self.stream.wake()
        await settle()

    def numbers(self, key: Key) -> list[int]:
        return [packed.unit.number for packed in self.got[key]]


@pytest.fixture
async def bench(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    bench = Bench(monkeypatch)
    yield bench
    bench.workers.let_go()
    await bench.stream.close()
    assert bench.source.leased == 0


async def test_one_encoder_for_all_and_none_without_subscribers(bench: Bench) -> None:
    await bench.publish(1)
    for key in (A, B):
        bench.stream.attach(key, "h264", bench.sink(key), packets=True)
    await settle()
    assert bench.numbers(A) == bench.numbers(B) == [1]
    assert len(bench.encoders) == 1 and bench.stream.stats(now())["encodings"] == ["h264"]
    bench.stream.detach(A)
    assert bench.stream.stats(now())["encodings"] == ["h264"]
    bench.stream.detach(B)
    assert bench.stream.stats(now())["encodings"] == []
    await bench.publish(2)
    await asyncio.sleep(1.1 * LINGER_S)
    assert bench.encoders[0].closed and bench.numbers(A) == bench.numbers(B) == [1]


async def test_each_encoding_gets_each_frame(bench: Bench) -> None:
    bench.stream.attach(A, "h264", bench.sink(A), packets=True)
    bench.stream.attach(B, "lossless", bench.sink(B))
    await bench.publish(1)
    await bench.publish(2)
    assert bench.numbers(A) == bench.numbers(B) == [1, 2]
    assert bench.stream.encoding(A) is not bench.stream.encoding(B)
    assert bench.stream.stats(now())["encodes"] == {"h264": 2, "lossless": 2}


async def test_an_encoding_is_kept_for_a_moment_after_its_last_subscriber(bench: Bench) -> None:
    await bench.publish(1)
    for number in range(2, 12):
        bench.stream.attach(A, "h264", bench.sink(A), packets=True)
        bench.stream.attach(B, "lossless", bench.sink(B))
        await bench.publish(number)
        bench.stream.detach(A)
        bench.stream.detach(B)
        await asyncio.sleep(0.9 * LINGER_S)
        assert bench.numbers(A) == bench.numbers(B) == [number], "from a keyframe on"
    assert len(bench.encoders) == 1 and not bench.encoders[0].closed
    assert all(asked == (number, True) for number, asked in enumerate(bench.encoders[0].asked, 2))
    await asyncio.sleep(0.2 * LINGER_S)
    assert bench.encoders[0].closed and not bench.stream._encodings


async def test_whoever_comes_back_to_an_encoding_has_its_picture_at_once(bench: Bench) -> None:
    await bench.publish(1)
    began = now()
    for _ in range(5):
        bench.stream.attach(A, "h264", bench.sink(A), packets=True)
        await settle()
        assert len(bench.got[A]) == 1 and bench.got[A][0].unit.keyframe
        bench.stream.detach(A)
    assert now() == began and len(bench.encoders) == 1


async def test_subscriptions_that_end_before_their_first_unit_encode_nothing(bench: Bench) -> None:
    await bench.publish(1)
    tasks = len(asyncio.all_tasks())
    for _ in range(1000):
        bench.stream.attach(A, "h264", bench.sink(A), packets=True)
        bench.stream.detach(A)
    await settle()
    assert not bench.encoders[0].asked and len(bench.encoders) == 1 and not bench.got[A]
    await asyncio.sleep(1.1 * LINGER_S)
    assert len(asyncio.all_tasks()) == tasks


async def test_an_encoder_is_closed_off_the_loop(bench: Bench) -> None:
    bench.stream.attach(A, "h264", bench.sink(A), packets=True)
    await bench.publish(1)
    bench.stream.detach(A)
    bench.workers.hanging = True
    await asyncio.sleep(1.1 * LINGER_S)
    assert not bench.encoders[0].closed
    bench.workers.let_go()
    await settle()
    assert bench.encoders[0].closed


async def test_a_subscriber_that_comes_while_the_last_one_leaves_gets_what_is_made(bench: Bench) -> None:
    bench.workers.hanging = True
    bench.stream.attach(A, "h264", bench.sink(A), packets=True)
    await bench.publish(1)
    bench.stream.detach(A)
    bench.stream.attach(B, "h264", bench.sink(B), packets=True)
    await settle()
    bench.workers.let_go()
    await settle()
    assert bench.numbers(B) == [1] and bench.got[A] == [] and len(bench.encoders) == 1


async def test_units_are_counted_however_often_an_encoding_starts(bench: Bench) -> None:
    for number, key in enumerate((A, B), 1):
        await bench.publish(number)
        bench.stream.attach(key, "lossless", bench.sink(key))
        await settle()
        bench.stream.detach(key)
    assert bench.stream.stats(now())["encodes"] == {"lossless": 2}


async def test_viewers_are_connections_not_subscriptions(bench: Bench) -> None:
    for key, name in ((A, "lossless"), (A2, "h264"), (B, "lossless")):
        bench.stream.attach(key, name, bench.sink(key), packets=name == "h264")
    assert bench.stream.viewers == bench.stream.stats(now())["viewers"] == 2
    bench.stream.detach(A)
    assert bench.stream.viewers == 2 and bench.stream.encoding(A) is None
    bench.stream.detach(A2)
    bench.stream.detach(("stranger", 9))
    assert bench.stream.viewers == 1


async def test_the_age_of_a_frame_counts_from_its_publish(bench: Bench) -> None:
    bench.source.publish(1, time_us=bench.wall() - 750_000)
    bench.stream.wake()
    assert bench.stream.rested_ms() == pytest.approx(750)
    bench.source.publish(2, time_us=bench.wall() + 750_000)
    bench.stream.wake()
    assert bench.stream.rested_ms() == 0, "its publisher's clock was set back since"


async def test_a_still_frame_grows_older_whatever_the_wall_clock_is_set_to(bench: Bench) -> None:
    bench.source.publish(1, time_us=bench.wall())
    bench.stream.wake()
    for set_us in (-3_600_000_000, 7_200_000_000):
        bench.wall.offset_us += set_us
        await asyncio.sleep(1)
        bench.stream.wake()
    assert bench.stream.rested_ms() == pytest.approx(2000)


async def test_a_frame_of_another_size_is_announced_once(bench: Bench) -> None:
    assert bench.stream.info == wire.StreamInfo(3, "cam", 6, 4, 30.0)
    await bench.publish(1)
    assert bench.resized == 0
    for number in (2, 3):
        await bench.publish(number, np.zeros((5, 9, 1), np.uint8))
    assert bench.resized == 1
    assert bench.stream.info == wire.StreamInfo(3, "cam", 9, 5, 30.0)
    await bench.publish(4, np.zeros((6, 9, 1), np.uint8))
    assert bench.resized == 2


async def test_frames_may_come_from_another_source_at_any_time(bench: Bench) -> None:
    await bench.publish(1)
    bench.stream.attach(A, "lossless", bench.sink(A))
    bench.stream.attach(B, "h264", bench.sink(B), packets=True)
    await settle()
    bench.source = Source()
    bench.source.publish(2)
    bench.stream.replace_source(bench.source)
    await settle()
    assert bench.numbers(A) == bench.numbers(B) == [1, 2]


async def test_nothing_happens_before_the_first_frame(bench: Bench) -> None:
    bench.stream.wake()
    assert bench.stream.published_fps(now()) == 0 and bench.source.leased == 0


async def test_published_frames_are_counted_even_when_wakes_are_lost(bench: Bench) -> None:
    for number in range(0, 1000, 50):
        await bench.publish(number)
        await bench.publish(number)
    assert bench.stream.published_fps(now() + 0.5) == 951 / 2


async def test_numbers_for_the_publisher(bench: Bench) -> None:
    bench.stream.attach(A, "h264", bench.sink(A), packets=True)
    for number in range(1, 31):
        await bench.publish(number)
        await asyncio.sleep(1 / 30)
    assert bench.stream.stats(now()) == {
        "viewers": 1,
        "published_fps": 30.0,
        "encodings": ["h264"],
        "encodes": {"h264": 30},
        "encode_ms": {"h264": 0.0},
    }


async def test_the_end_closes_every_encoding(bench: Bench) -> None:
    await bench.publish(1)
    bench.stream.attach(A, "h264", bench.sink(A), packets=True)
    bench.stream.attach(B, "lossless", bench.sink(B))
    await bench.stream.close()
    assert bench.encoders[0].closed and bench.stream.viewers == 0
    await bench.publish(2)
    assert bench.got[A] == bench.got[B] == []


async def test_a_recorder_is_a_subscriber_that_acknowledges_what_it_has_written(bench: Bench) -> None:
    key, written = ("recorder", 0), list[AccessUnit]()

    def record(packed: PackedUnit) -> bool:
        written.append(packed.unit)
        encoding = bench.stream.encoding(key)
        assert encoding is not None
        asyncio.get_running_loop().call_soon(encoding.acknowledge, key, packed.unit.number)
        return True

    bench.stream.attach(key, "h264", record, is_viewer=False)
    assert bench.stream.viewers == bench.stream.stats(now())["viewers"] == 0
    for number in range(1, 11):
        await bench.publish(number)
    bench.stream.detach(key)
    assert [unit.number for unit in written] == list(range(1, 11))
    assert [unit.keyframe for unit in written] == [True] + [False] * 9
