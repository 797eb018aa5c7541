"""One to three encodings for the viewers of a stream: who gets units of which, and when encodings come and go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from framewire.engine.stream import layer_policy as rungs
from framewire.engine.stream import rate
from framewire.engine.stream.encoding import EncodingReport, Key, PackedUnit, Sink
from framewire.engine.stream.layers import LayeredEncoding
from framewire.engine.stream.video import VideoLayer
from tests.engine.stills import Encoder, Source
from tests.viewer import eventually

FAST, SLOW, OTHER = ("fast", 1), ("slow", 1), ("other", 1)
CEILING = 8_000_000
WHOLE, HALVED = (1280, 720), (640, 360)


class Bench:
    """A ladder whose encoders spend 20 kB a unit, or 1 kB at half size."""

    def __init__(self) -> None:
        self.source = Source()
        self.pool = ThreadPoolExecutor(4)
        self.opened: list[tuple[int, bool]] = []
        self.encoders: list[Encoder] = []
        self.got: dict[Key, list[PackedUnit]] = {}
        self.ladder = LayeredEncoding("h264", CEILING, 30.0, self.open)
        self.ladder.size = WHOLE
        self.number = 0
        self.hold = False
        """Whether the encoder of half size hangs from its opening on."""
        self.playing: asyncio.Task[None] | None = None

    def open(self, ceiling: int, half: bool) -> VideoLayer:
        self.opened.append((ceiling, half))
        encoder = Encoder()
        encoder.octets = 1_000 if half else 20_000
        if half and self.hold:
            encoder.gate.clear()
        self.encoders.append(encoder)
        return VideoLayer(7, self.source, self.pool, encoder, ceiling, half=half)

    def add(self, *keys: Key) -> None:
        for key in keys:
            self.ladder.add(key, self.sink(key), packets=True)

    def sink(self, key: Key) -> Sink:
        def take(packed: PackedUnit) -> bool:
            self.got.setdefault(key, []).append(packed)
            return True

        return take

    async def play(self) -> None:
        pixels = np.zeros((WHOLE[1], WHOLE[0], 1), np.uint8)
        while True:
            self.number += 1
            self.source.publish(self.number, pixels)
            self.ladder.wake()
            await asyncio.sleep(0.01)

    def feel(self, **limits: int) -> None:
        for name, limit in limits.items():
            self.ladder.estimate((name, 1), limit, 0.0, measured=True)

    def encodings(self) -> list[str]:
        return sorted(self.ladder.encodings)

    async def until(self, *encodings: str, **limits: int) -> None:
        """Estimates come in until just these encodings are in use."""

        def there() -> bool:
            self.feel(**limits)
            return self.encodings() == list(encodings)

        await eventually(there, f"{self.encodings()}, not {encodings}")

    def sizes(self, key: Key) -> list[tuple[int, int]]:
        return [(packed.unit.width, packed.unit.height) for packed in self.got[key]]


@pytest.fixture
async def bench(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    monkeypatch.setattr(rungs, "DOWN", 0.05)
    monkeypatch.setattr(rungs, "UP", 0.1)
    monkeypatch.setattr(rungs, "NEWCOMER", 0.0)
    monkeypatch.setattr(rungs, "FRESH", 0.0)
    monkeypatch.setattr(rate, "SETTLE", ())
    bench = Bench()
    bench.playing = asyncio.create_task(bench.play())
    yield bench
    bench.playing.cancel()
    await bench.ladder.close()
    assert all(encoder.closed for encoder in bench.encoders)
    assert bench.source.leased == 0
    bench.pool.shutdown()


async def test_all_who_can_take_it_share_one_encoding(bench: Bench) -> None:
    bench.add(FAST, OTHER)
    await bench.until("h264", fast=9_000_000, other=9_000_000)
    await eventually(lambda: len(bench.got.get(OTHER, [])) > 5)
    assert bench.opened == [(CEILING, False)]
    assert bench.got[FAST][-1].unit.number >= bench.got[OTHER][0].unit.number


async def test_one_viewer_is_followed_exactly(bench: Bench) -> None:
    bench.add(SLOW)
    for limit in (300_000, 5_000_000, 1_000_000):
        bench.feel(slow=limit)
        assert bench.ladder.lane(SLOW).target_bps == bench.encoders[0].rates[-1] == limit
    assert len(bench.opened) == 1


async def test_a_slow_viewer_gets_half_size_and_nobody_else_notices(bench: Bench) -> None:
    bench.add(FAST, SLOW)
    await bench.until("h264", "h264-half", fast=9_000_000, slow=200_000)
    await eventually(lambda: HALVED in bench.sizes(SLOW))
    assert bench.opened == [(CEILING, False), (1_000_000, True)]
    assert set(bench.sizes(FAST)) == {WHOLE}
    assert bench.encoders[0].rates == [] and bench.ladder.lane(FAST).target_bps == CEILING
    assert bench.ladder.lane(SLOW).target_bps == 200_000
    # From one encoding to the other with a keyframe, and never back and forth.
    sizes = bench.sizes(SLOW)
    first = sizes.index(HALVED)
    assert set(sizes[:first]) == {WHOLE} and set(sizes[first:]) == {HALVED}
    assert bench.got[SLOW][first].unit.keyframe
    # The one asked for by the fast viewer's joining, and no more.
    assert sum(key for _, key in bench.encoders[0].asked) == 1


async def test_until_the_keyframe_is_there_the_units_of_the_encoding_before_go_on(bench: Bench) -> None:
    bench.add(FAST, SLOW)
    await eventually(lambda: bench.got.get(SLOW))
    bench.hold = True
    await bench.until("h264", "h264-half", fast=9_000_000, slow=200_000)
    await eventually(lambda: SLOW in bench.ladder.encodings["h264-half"])
    seen = len(bench.got[SLOW])
    await eventually(lambda: len(bench.got[SLOW]) > seen + 5)
    assert set(bench.sizes(SLOW)) == {WHOLE}
    bench.encoders[1].gate.set()
    await eventually(lambda: HALVED in bench.sizes(SLOW))
    assert SLOW not in bench.ladder.encodings["h264"]


async def test_who_recovers_comes_back_and_the_encoder_is_closed(bench: Bench) -> None:
    bench.add(FAST, SLOW)
    await bench.until("h264", "h264-half", fast=9_000_000, slow=200_000)
    await eventually(lambda: HALVED in bench.sizes(SLOW))
    await bench.until("h264", fast=9_000_000, slow=9_000_000)
    await eventually(lambda: bench.encoders[1].closed)
    await eventually(lambda: bench.sizes(SLOW)[-1] == WHOLE)
    # One may have been in the making.
    assert 0 <= len(bench.encoders[1].asked) - bench.ladder.encodes["h264-half"] <= 1


async def test_the_last_on_a_rung_takes_the_encoding_along(bench: Bench) -> None:
    bench.add(FAST, SLOW)
    await bench.until("h264", "h264-half", fast=9_000_000, slow=200_000)
    await eventually(lambda: HALVED in bench.sizes(SLOW))
    bench.ladder.remove(SLOW)
    assert bench.encodings() == ["h264"] and len(bench.ladder) == 1
    await eventually(lambda: bench.encoders[1].closed)


async def test_a_viewer_may_leave_on_its_way_from_one_to_the_other(bench: Bench) -> None:
    bench.add(FAST, SLOW)
    await eventually(lambda: bench.got.get(SLOW))
    bench.hold = True
    await bench.until("h264", "h264-half", fast=9_000_000, slow=200_000)
    bench.ladder.remove(SLOW)
    assert bench.encodings() == ["h264"] and SLOW not in bench.ladder
    bench.encoders[1].gate.set()
    await eventually(lambda: bench.encoders[1].closed)


async def test_who_changes_its_mind_on_the_way_stays(bench: Bench) -> None:
    bench.add(FAST, SLOW)
    await eventually(lambda: bench.got.get(SLOW))
    bench.hold = True
    await bench.until("h264", "h264-half", fast=9_000_000, slow=200_000)
    await bench.until("h264", fast=9_000_000, slow=9_000_000)
    bench.encoders[1].gate.set()
    seen = len(bench.got[SLOW])
    await eventually(lambda: len(bench.got[SLOW]) > seen + 5)
    assert set(bench.sizes(SLOW)) == {WHOLE}


async def test_hidden_views_cost_no_encode_on_any_rung(bench: Bench) -> None:
    bench.add(FAST, SLOW)
    await bench.until("h264", "h264-half", fast=9_000_000, slow=200_000)
    await eventually(lambda: HALVED in bench.sizes(SLOW))
    bench.ladder.show(SLOW, False)
    await asyncio.sleep(0.1)
    made = dict(bench.ladder.encodes)
    await eventually(lambda: bench.ladder.encodes["h264"] > made["h264"] + 10)
    assert bench.ladder.encodes["h264-half"] == made["h264-half"]
    bench.ladder.show(FAST, False)
    await asyncio.sleep(0.1)
    made, number = dict(bench.ladder.encodes), bench.number
    await eventually(lambda: bench.number > number + 10)
    assert bench.ladder.encodes == made


async def test_what_nobody_knows_is_ignored(bench: Bench) -> None:
    ghost = ("ghost", 1)
    bench.ladder.estimate(ghost, 1, 1.0, measured=True)
    bench.ladder.request_keyframe(ghost)
    bench.ladder.acknowledge(ghost, 1)
    bench.ladder.show(ghost, False)
    bench.ladder.vsync(ghost, 0.0, 0.016)
    bench.ladder.remove(ghost)
    assert bench.ladder.sent_bps(ghost, 0.0) == 0
    assert bench.ladder.report(ghost, 0.0) == EncodingReport() and ghost not in bench.ladder
