"""One stream: encodings come with their first subscriber, are shared, and go with their last."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from framewire import wire
from framewire.engine.stream import stream as stream_module
from framewire.engine.stream.encoding import Key, PackedUnit, Sink
from framewire.engine.stream.stream import Stream
from framewire.options import StreamOptions
from tests.engine.stills import Encoder, Source
from tests.viewer import eventually

A, A2, B = ("a", 1), ("a", 2), ("b", 1)


class Bench:
    """A stream whose encoders are in our hands."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.source = Source()
        self.pool = ThreadPoolExecutor(2)
        self.resized = 0
        self.encoders: list[Encoder] = []
        self.got: dict[Key, list[PackedUnit]] = {}
        monkeypatch.setattr(stream_module, "open_encoder", self._open)
        options = StreamOptions(id=3, name="cam", width=6, height=4, fps=30.0)
        self.stream = Stream(options, self.source, self.pool, self._on_resize)

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

    def publish(self, number: int, pixels: np.ndarray | None = None) -> None:
        self.source.publish(number, pixels)
        self.stream.wake()


@pytest.fixture
async def bench(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    bench = Bench(monkeypatch)
    yield bench
    await bench.stream.close()
    bench.pool.shutdown()


async def test_one_encoder_for_all_and_none_for_nobody(bench: Bench) -> None:
    bench.publish(1)
    for key in (A, B):
        bench.stream.attach(key, "h264", bench.sink(key), packets=True)
    await eventually(lambda: bench.got[A] and bench.got[B])
    assert len(bench.encoders) == 1 and bench.stream.stats(0.0)["encodings"] == ["h264"]
    bench.stream.detach(A)
    assert bench.stream.stats(0.0)["encodings"] == ["h264"]
    bench.stream.detach(B)
    assert bench.stream.stats(0.0)["encodings"] == []
    await eventually(lambda: bench.encoders[0].closed)
    bench.publish(2)
    assert not [packed for key in (A, B) for packed in bench.got[key] if packed.unit.number == 2]


async def test_who_comes_while_the_last_one_leaves_gets_a_new_encoder(bench: Bench) -> None:
    bench.publish(1)
    bench.stream.attach(A, "h264", bench.sink(A), packets=True)
    await eventually(lambda: bench.source.leased or bench.got[A])
    bench.stream.detach(A)
    bench.stream.attach(B, "h264", bench.sink(B), packets=True)
    await eventually(lambda: bench.got[B])
    await eventually(lambda: bench.encoders[0].closed)
    assert not bench.encoders[1].closed


async def test_encodes_are_counted_over_all_lives_of_an_encoding(bench: Bench) -> None:
    for number, key in enumerate((A, B), 1):
        bench.publish(number)
        bench.stream.attach(key, "lossless", bench.sink(key), packets=False)
        await eventually(lambda k=key: bench.got[k])  # type: ignore[misc]
        bench.stream.detach(key)
    assert bench.stream.stats(0.0)["encodes"] == {"lossless": 2}


async def test_viewers_are_connections_not_subscriptions(bench: Bench) -> None:
    for key, name in ((A, "lossless"), (A2, "h264"), (B, "lossless")):
        bench.stream.attach(key, name, bench.sink(key), packets=False)
    assert bench.stream.viewers == 2
    bench.stream.detach(A)
    assert bench.stream.viewers == 2
    bench.stream.detach(A2)
    bench.stream.detach(("nobody", 9))
    assert bench.stream.viewers == 1


async def test_how_long_it_rests_counts_from_what_was_published_not_from_what_was_encoded(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.publish(1)
    lease = bench.source.latest()
    assert lease is not None
    at = lease.frame.time_us / 1e6
    lease.release()
    monkeypatch.setattr(time, "time", lambda: at + 0.75)
    assert bench.stream.rested_ms() == pytest.approx(750, abs=0.01)
    monkeypatch.setattr(time, "time", lambda: at - 5)
    assert bench.stream.rested_ms() == 0, "a clock that was set back"


async def test_a_frame_of_another_size_is_told_once(bench: Bench) -> None:
    assert bench.stream.info == wire.StreamInfo(3, "cam", 6, 4, 30.0)
    bench.publish(1)
    assert bench.resized == 0
    for number in (2, 3):
        bench.publish(number, np.zeros((5, 9, 1), np.uint8))
    assert bench.resized == 1
    assert bench.stream.info == wire.StreamInfo(3, "cam", 9, 5, 30.0)
    assert bench.source.leased == 0


async def test_frames_may_come_from_elsewhere_at_any_time(bench: Bench) -> None:
    bench.publish(1)
    bench.stream.attach(A, "lossless", bench.sink(A), packets=False)
    await eventually(lambda: bench.got[A])
    bench.source = Source()
    bench.source.publish(2)
    bench.stream.replace_source(bench.source)
    await eventually(lambda: bench.got[A][-1].unit.number == 2)


async def test_published_frames_are_counted_even_when_bells_are_lost(bench: Bench) -> None:
    now = time.monotonic()
    for number in range(0, 1000, 50):
        bench.publish(number)
        bench.publish(number)
    rate = bench.stream.published_fps(now + 0.5)
    assert 400 <= rate <= 600, "951 frames in two seconds"


async def test_a_frame_number_may_wrap(bench: Bench) -> None:
    bench.publish(0xFFFFFFFF)
    bench.publish(0)
    assert bench.stream._published.mean(time.monotonic()) == 1


async def test_the_end_closes_every_encoding(bench: Bench) -> None:
    bench.publish(1)
    bench.stream.attach(A, "h264", bench.sink(A), packets=True)
    bench.stream.attach(B, "lossless", bench.sink(B), packets=False)
    await bench.stream.close()
    assert bench.encoders[0].closed and bench.stream.viewers == 0
    bench.publish(2)
    assert bench.source.leased == 0
