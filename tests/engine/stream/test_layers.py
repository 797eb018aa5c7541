"""One to three encoders for a stream's viewers: which viewer gets units of which, and when encoders start and stop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest

from framewire.engine.stream.encoding import Encoding, EncodingReport, Key, PackedUnit, Sink
from framewire.engine.stream.layer_policy import MOVE_DOWN_AFTER_S, MOVE_UP_AFTER_S, NEW_VIEWER_KEEPS_LAYER_S, Layer
from framewire.engine.stream.layers import LayeredEncoding
from framewire.engine.stream.video import VideoLayer
from framewire.frame import Frame
from tests.engine.stills import Encoder, Source
from tests.engine.stream.virtual import Workers, context, now, settle

FAST, SLOW, OTHER = ("fast", 1), ("slow", 1), ("other", 1)
MAX_BPS = 8_000_000
WHOLE, HALVED = (1280, 720), (640, 360)
FPS = 30
HIGH, LITTLE = 9_000_000, 200_000


def size_bytes(frame: Frame) -> int:
    """5 Mbit/s at full size, 0.25 Mbit/s at half size."""
    return 20_000 if frame.width == WHOLE[0] else 1_000


class Bench:
    """A layered encoding in our hands."""

    def __init__(self, max_bps: int = MAX_BPS) -> None:
        self.source = Source()
        self.workers = Workers()
        self.context = context(self.source, self.workers, max_bitrate=max_bps)
        self.opened: list[int] = []
        self.encoders: list[Encoder] = []
        self.got: dict[Key, list[PackedUnit]] = {}
        self.encoding = LayeredEncoding("h264", self.context, self.open)
        self.limits: dict[Key, int] = {}
        self.number = 0
        self.pixels = np.zeros((WHOLE[1], WHOLE[0], 1), np.uint8)

    def open(self, max_bps: int) -> Encoder:
        self.opened.append(max_bps)
        encoder = Encoder()
        encoder.size_bytes = size_bytes
        self.encoders.append(encoder)
        return encoder

    def add(self, *keys: Key, packets: bool = True) -> None:
        for key in keys:
            self.encoding.add(key, self.sink(key), packets=packets)

    def sink(self, key: Key) -> Sink:
        def take(packed: PackedUnit) -> bool:
            self.got.setdefault(key, []).append(packed)
            return True

        return take

    async def publish(self) -> None:
        self.number += 1
        self.source.publish(self.number, self.pixels)
        self.context.frame_meter.published(self.number, round(now() * 1e6), now())
        self.encoding.wake()
        await settle()

    async def play(self, seconds: float) -> None:
        """Frames are published, and estimates come in four times a second."""
        for frame in range(round(seconds * FPS)):
            if frame % 8 == 0:
                for key, limit in self.limits.items():
                    self.encoding.estimate(key, limit, 0.0, measured=True)
            await self.publish()
            await asyncio.sleep(1 / FPS)

    async def split(self) -> None:
        """A fast viewer at full size and a slow one at half size."""
        self.add(FAST, SLOW)
        self.limits = {FAST: HIGH, SLOW: LITTLE}
        await self.play(NEW_VIEWER_KEEPS_LAYER_S + MOVE_DOWN_AFTER_S)
        assert self.running == ["h264", "h264-half"] and self.sizes(SLOW)[-1] == HALVED

    @property
    def running(self) -> list[str]:
        return sorted(self.encoding.encode_ms(now()))

    def sizes(self, key: Key) -> list[tuple[int, int]]:
        return [(packed.unit.width, packed.unit.height) for packed in self.got[key]]

    def target_bps(self, key: Key) -> int:
        return self.encoding.report(key, now()).target_bps

    def layer(self, name: str) -> VideoLayer:
        layers = {layer._name: layer for layer in self.encoding._layers.values()}
        return layers[name]


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    yield bench
    bench.workers.let_go()
    await bench.encoding.close()
    assert all(encoder.closed for encoder in bench.encoders)
    assert bench.source.leased == 0


async def test_it_is_an_encoding_and_unknown_keys_are_ignored(bench: Bench) -> None:
    encoding: Encoding = bench.encoding
    assert encoding.max_bps == MAX_BPS and len(encoding) == 0
    encoding.estimate(OTHER, 1, 1.0, measured=True)
    encoding.request_keyframe(OTHER)
    encoding.acknowledge(OTHER, 1)
    encoding.show(OTHER, False)
    encoding.vsync(OTHER, 0.0, 0.016)
    encoding.remove(OTHER)
    assert encoding.sent_bps(OTHER, 0.0) == 0
    assert encoding.report(OTHER, 0.0) == EncodingReport() and OTHER not in bench.encoding


async def test_viewers_with_enough_bandwidth_share_one_encoder(bench: Bench) -> None:
    bench.add(FAST, OTHER)
    bench.limits = {FAST: HIGH, OTHER: HIGH}
    await bench.play(10)
    assert bench.opened == [MAX_BPS] and bench.running == ["h264"] and len(bench.encoding) == 2
    assert bench.got[FAST][-1] is bench.got[OTHER][-1]


async def test_one_viewer_is_followed_exactly(bench: Bench) -> None:
    bench.add(SLOW)
    for limit in (300_000, 5_000_000, 1_000_000):
        bench.encoding.estimate(SLOW, limit, 0.0, measured=True)
        assert bench.target_bps(SLOW) == bench.encoders[0].rates[-1] == limit
    bench.encoding.estimate(SLOW, 400_000, 4_000_000, measured=False)
    assert bench.target_bps(SLOW) == 380_000, "a REMB far below what is sent"
    assert len(bench.opened) == 1


async def test_a_slow_viewer_gets_half_size_and_the_others_do_not_notice(bench: Bench) -> None:
    await bench.split()
    assert bench.opened == [MAX_BPS, 1_000_000]
    assert set(bench.sizes(FAST)) == {WHOLE}
    assert bench.encoders[0].rates == [] and bench.target_bps(FAST) == MAX_BPS
    assert bench.target_bps(SLOW) == LITTLE
    sizes = bench.sizes(SLOW)
    first = sizes.index(HALVED)
    assert set(sizes[:first]) == {WHOLE} and set(sizes[first:]) == {HALVED}, "never back and forth"
    assert bench.got[SLOW][first].unit.keyframe
    assert sum(keyframe for _, keyframe in bench.encoders[0].asked) == 1, "the one that both started with"
    numbers = [packed.unit.number for packed in bench.got[SLOW]]
    assert numbers == list(range(1, numbers[-1] + 1)), "no frame is missed and none comes twice"


@pytest.mark.parametrize(
    ("max_bps", "half_bps"),
    [(8_000_000, 1_000_000), (20_000_000, 2_500_000), (16_000_001, 2_000_000), (700_000, 700_000)],
)
async def test_the_half_size_encoder_is_opened_for_an_eighth_or_a_megabit(max_bps: int, half_bps: int) -> None:
    bench = Bench(max_bps)
    await bench.split()
    assert bench.opened == [max_bps, half_bps]
    await bench.encoding.close()


async def move_starts(bench: Bench) -> None:
    """The slow viewer is about to move to half size, but its new encoder hangs in the first frame."""
    bench.workers.hangs = lambda loop: loop._name == "h264-half"
    bench.add(FAST, SLOW)
    bench.limits = {FAST: HIGH, SLOW: LITTLE}
    await bench.play(NEW_VIEWER_KEEPS_LAYER_S + MOVE_DOWN_AFTER_S)
    assert bench.running == ["h264", "h264-half"] and SLOW in bench.layer("h264-half")


async def test_until_the_new_layer_has_a_keyframe_units_of_the_old_one_go_on(bench: Bench) -> None:
    await move_starts(bench)
    bench.got[SLOW].clear()
    await bench.play(0.5)
    assert len(bench.got[SLOW]) == FPS // 2 and set(bench.sizes(SLOW)) == {WHOLE}
    bench.workers.let_go()
    await bench.play(0.5)
    assert bench.sizes(SLOW)[-1] == HALVED and SLOW not in bench.layer("h264")


async def test_a_viewer_may_leave_while_it_moves(bench: Bench) -> None:
    await move_starts(bench)
    bench.encoding.remove(SLOW)
    assert bench.running == ["h264"] and SLOW not in bench.encoding
    bench.workers.let_go()
    await settle()
    assert bench.encoders[1].closed


async def test_a_viewer_that_recovers_while_it_moves_stays(bench: Bench) -> None:
    await move_starts(bench)
    bench.limits[SLOW] = HIGH
    await bench.play(MOVE_UP_AFTER_S + 0.5)
    assert bench.running == ["h264"]
    bench.workers.let_go()
    await bench.play(0.5)
    assert set(bench.sizes(SLOW)) == {WHOLE}


async def test_a_viewer_that_is_hidden_while_it_moves_is_sent_nothing(bench: Bench) -> None:
    await move_starts(bench)
    bench.encoding.show(SLOW, False)
    bench.got[SLOW].clear()
    bench.workers.let_go()
    await bench.play(1)
    assert bench.got[SLOW] == []
    bench.encoding.show(SLOW, True)
    await bench.play(1)
    assert bench.sizes(SLOW)[-1] == HALVED


async def test_a_hidden_viewer_that_moves_is_sent_nothing(bench: Bench) -> None:
    """The policy moves none; but one that is hidden between two reviews must not become visible by its move."""
    await bench.split()
    bench.encoding.show(SLOW, False)
    bench.got[SLOW].clear()
    bench.encoding._move(bench.encoding._viewers[SLOW], Layer.FULL)
    assert SLOW in bench.layer("h264") and SLOW in bench.layer("h264-half")
    await bench.play(1)
    assert bench.got[SLOW] == []


async def test_what_a_moving_viewer_was_sent_is_counted_on(bench: Bench) -> None:
    await bench.split()
    report = bench.encoding.report(SLOW, now())
    window = [packed for packed in bench.got[SLOW][-61:]]
    assert {packed.unit.width for packed in window} == {WHOLE[0], HALVED[0]}, "it moved within the last two seconds"
    sent_bytes = sum(packed.size_bytes for packed in window)
    assert report.sent_bps == pytest.approx(sent_bytes * 8 / 2, rel=0.05)
    assert bench.encoding.sent_bps(SLOW, now()) == report.sent_bps
    assert report.sent_fps == pytest.approx(FPS, rel=0.02)


async def test_a_viewer_that_recovers_comes_back_and_its_encoder_is_closed(bench: Bench) -> None:
    await bench.split()
    bench.limits[SLOW] = HIGH
    await bench.play(MOVE_UP_AFTER_S + 0.5)
    assert bench.running == ["h264"] and bench.encoders[1].closed and bench.sizes(SLOW)[-1] == WHOLE
    assert len(bench.encoders[1].asked) == bench.context.made["h264-half"], "counted though it is closed"
    made = bench.context.made["h264-half"]
    bench.limits[SLOW] = LITTLE
    await bench.play(MOVE_DOWN_AFTER_S + 1)
    assert bench.context.made["h264-half"] > made, "and counted on when it starts again"


async def test_the_last_viewer_of_a_layer_stops_its_encoder(bench: Bench) -> None:
    await bench.split()
    bench.encoding.remove(SLOW)
    assert bench.running == ["h264"] and len(bench.encoding) == 1
    await settle()
    assert bench.encoders[1].closed and not bench.encoders[0].closed


async def test_the_last_viewer_of_the_full_layer_stops_its_encoder_and_the_others_go_on(bench: Bench) -> None:
    await bench.split()
    bench.encoding.remove(FAST)
    await settle()
    assert bench.running == ["h264-half"] and bench.encoders[0].closed
    seen = len(bench.got[SLOW])
    await bench.publish()
    await bench.publish()
    assert len(bench.got[SLOW]) == seen + 2


async def test_other_layers_encode_after_the_full_one(bench: Bench) -> None:
    """They would take the processors from it."""
    await bench.split()
    order: list[str] = []
    bench.encoders[0].on_encode = lambda: order.append("full")
    bench.encoders[1].on_encode = lambda: order.append("half")
    bench.workers.hanging = True
    await bench.publish()
    assert len(bench.workers._jobs) == 1
    bench.workers.let_go()
    await settle()
    assert order == ["full", "half"]


async def test_other_layers_are_woken_when_the_full_one_is_stopped_during_its_job(bench: Bench) -> None:
    await bench.split()
    seen = len(bench.got[SLOW])
    bench.workers.hanging = True
    await bench.publish()
    bench.encoding.remove(FAST)
    await settle()
    bench.workers.let_go()
    await settle()
    assert len(bench.got[SLOW]) == seen + 1


async def test_hidden_viewers_cost_no_encoding_on_any_layer(bench: Bench) -> None:
    await bench.split()
    made = dict(bench.context.made)
    bench.encoding.show(SLOW, False)
    await bench.play(2)
    assert bench.context.made["h264-half"] == made["h264-half"]
    assert bench.context.made["h264"] == made["h264"] + 2 * FPS
    bench.encoding.show(FAST, False)
    made = dict(bench.context.made)
    await bench.play(2)
    assert bench.context.made == made
    bench.encoding.show(SLOW, True)
    await bench.play(0.1)
    assert bench.got[SLOW][-1].unit.number == bench.number, "it is back"


async def test_a_viewer_that_is_reported_visible_again_and_again_gets_no_further_keyframes(bench: Bench) -> None:
    bench.add(FAST)
    for _ in range(10):
        await bench.play(0.5)
        bench.encoding.show(FAST, True)
    assert sum(keyframe for _, keyframe in bench.encoders[0].asked) == 1
    bench.encoding.show(FAST, False)
    bench.encoding.show(FAST, True)
    await bench.play(0.5)
    assert sum(keyframe for _, keyframe in bench.encoders[0].asked) == 2, "a hidden one missed units"


async def test_a_viewer_that_returns_under_its_old_key_starts_without_a_limit(bench: Bench) -> None:
    bench.add(SLOW)
    bench.encoding.estimate(SLOW, LITTLE, 0.0, measured=True)
    bench.encoding.remove(SLOW)
    bench.add(SLOW)
    assert bench.target_bps(SLOW) == MAX_BPS


async def test_targets_are_set_when_a_viewer_leaves(bench: Bench) -> None:
    bench.add(FAST, OTHER)
    bench.limits = {FAST: HIGH, OTHER: 7_000_000}
    await bench.play(2)
    assert bench.target_bps(FAST) == 7_000_000
    bench.encoding.remove(OTHER)
    assert bench.target_bps(FAST) == MAX_BPS


async def test_feedback_reaches_the_layer_that_a_viewer_receives(bench: Bench) -> None:
    await bench.split()
    keyframes = [sum(keyframe for _, keyframe in encoder.asked) for encoder in bench.encoders]
    bench.encoding.request_keyframe(SLOW)
    await bench.play(0.5)
    assert [sum(keyframe for _, keyframe in encoder.asked) for encoder in bench.encoders] == [
        keyframes[0],
        keyframes[1] + 1,
    ]
    bench.encoding.vsync(SLOW, 0.001, 1 / FPS)
    assert bench.layer("h264-half")._vsync.wait_s(1 / FPS, now()) > 0
    assert bench.layer("h264")._vsync.wait_s(1 / FPS, now()) == 0


async def test_a_websocket_viewer_has_credits_on_its_layer(bench: Bench) -> None:
    bench.add(FAST, packets=False)
    await bench.play(0.5)
    assert len(bench.got[FAST]) == 2 and bench.got[FAST][0].messages
    bench.encoding.acknowledge(FAST, bench.got[FAST][0].unit.number)
    await bench.play(0.5)
    assert len(bench.got[FAST]) == 3
