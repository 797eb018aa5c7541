"""One video encoder: when a unit is made, of which frame and size, and for which subscribers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import numpy as np
import pytest

from framewire.engine.stream.encoding import Key, PackedUnit, Sink
from framewire.engine.stream.fanout import Subscriber
from framewire.engine.stream.keyframes import MIN_KEYFRAME_INTERVAL_S, REFRESH_STILL_AFTER_S
from framewire.engine.stream.rtp_clock import RTP_TICK_US
from framewire.engine.stream.video import VideoLayer
from framewire.frame import rtp_timestamp
from tests.engine.stills import REFUSED, Encoder, Source
from tests.engine.stream.virtual import EPOCH_US, Wall, Workers, context, now, settle, skip

A, B = ("a", 1), ("b", 1)
MAX_BPS = 8_000_000


class Bench:
    """A video encoder in our hands: publish into it, look at what each subscriber got."""

    def __init__(self) -> None:
        self.source = Source()
        self.encoder = Encoder()
        self.workers = Workers()
        self.context = context(self.source, self.workers)
        self.layers: list[VideoLayer] = []
        self.got: dict[Key, list[PackedUnit]] = {A: [], B: []}
        self.layer = self.open()

    def open(self, *, half: bool = False) -> VideoLayer:
        layer = VideoLayer("h264", self.context, self.encoder, MAX_BPS, half=half)
        self.layers.append(layer)
        return layer

    def subscribe(self, key: Key, *, packets: bool = True, takes: Callable[[], bool] = lambda: True) -> Subscriber:
        subscriber = Subscriber(key, self.sink(key, takes), packets=packets)
        self.layer.subscribe(subscriber)
        return subscriber

    def sink(self, key: Key, takes: Callable[[], bool]) -> Sink:
        def take(packed: PackedUnit) -> bool:
            if takes():
                self.got[key].append(packed)
                return True
            return False

        return take

    async def publish(self, number: int, pixels: np.ndarray | None = None) -> None:
        self.source.publish(number, pixels)
        self.context.frame_meter.published(number, round(now() * 1e6), now())
        self.layer.wake()
        await settle()

    async def play(self, frames: range, fps: float, pixels: np.ndarray | None = None) -> None:
        """Publish at this rate."""
        start = now()
        for index, number in enumerate(frames):
            await asyncio.sleep(max(start + index / fps - now(), 0))
            await self.publish(number, pixels)

    def numbers(self, key: Key) -> list[int]:
        return [packed.unit.number for packed in self.got[key]]

    def keyframes(self) -> list[int]:
        return [number for number, keyframe in self.encoder.asked if keyframe]


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    yield bench
    for layer in bench.layers:
        await layer.close()
    assert bench.source.leased == 0, "every lease was given back"


async def test_a_new_subscriber_starts_with_a_keyframe_and_follows_with_deltas(bench: Bench) -> None:
    await bench.publish(1)
    assert bench.encoder.asked == [], "nothing is encoded without subscribers"
    bench.subscribe(A)
    await settle()
    await bench.publish(2)
    assert bench.encoder.asked == [(1, True), (2, False)] and bench.numbers(A) == [1, 2]
    packed = bench.got[A][0]
    assert packed.rtp and packed.rtp.unit is packed.unit and not packed.messages
    marks = bench.layer.report(A, now()).marks
    assert [mark.number for mark in marks] in ([1, 2], [2])


async def test_a_unit_is_encoded_once_for_all_subscribers(bench: Bench) -> None:
    bench.subscribe(A)
    bench.subscribe(B, packets=False)
    await bench.publish(1)
    assert bench.got[A][0] is bench.got[B][0] and bench.got[B][0].messages and bench.got[A][0].rtp
    assert len(bench.encoder.asked) == bench.context.made["h264"] == 1


async def test_a_subscriber_that_fails_costs_the_others_nothing(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    def broken(packed: PackedUnit) -> bool:
        raise ValueError("a header that cannot be written")

    bench.layer.subscribe(Subscriber(A, broken, packets=True))
    bench.subscribe(B)
    await bench.publish(1)
    await bench.publish(2)
    assert bench.numbers(B) == [1, 2]
    assert [record.getMessage() for record in caplog.records] == ["a subscriber failed"], "it is paused by then"


async def test_bytes_sent_are_counted_for_each_subscriber(bench: Bench) -> None:
    bench.encoder.size_bytes = lambda frame: 10_000
    bench.subscribe(A)
    await bench.play(range(1, 31), 30)
    sent_bytes = sum(packed.size_bytes for packed in bench.got[A])
    report = bench.layer.report(A, now())
    assert report.sent_bps == bench.layer.sent_bps(A, now()) == bench.layer.spent_bps(now()) == sent_bytes * 8 / 2
    assert report.sent_fps == pytest.approx(30) and report.target_bps == MAX_BPS
    assert bench.layer.sent_bps(B, now()) == 0


async def test_a_keyframe_requested_on_a_still_scene_is_made_as_soon_as_allowed(bench: Bench) -> None:
    bench.subscribe(A)
    await bench.publish(1)
    await asyncio.sleep(2)
    bench.encoder.asked.clear()
    bench.layer.request_keyframe(A)
    await settle()
    assert bench.encoder.asked == [(1, True)]
    bench.layer.request_keyframe(A)
    await asyncio.sleep(MIN_KEYFRAME_INTERVAL_S - 0.01)
    assert bench.encoder.asked == [(1, True)]
    await asyncio.sleep(0.02)
    assert bench.encoder.asked == [(1, True)] * 2


async def test_keyframe_requests_of_a_second_are_answered_by_few_keyframes(bench: Bench) -> None:
    bench.subscribe(A)
    for number in range(1, 101):
        bench.layer.request_keyframe(A)
        await bench.publish(number)
        await asyncio.sleep(0.01)
    assert bench.keyframes() == [1, 31, 61, 91]
    assert len(bench.encoder.asked) == 4, "a delta does not help a subscriber that waits for a keyframe"


async def test_the_keyframe_interval_counts_from_the_end_of_encoding(bench: Bench) -> None:
    bench.encoder.on_encode = lambda: skip(0.1)
    bench.subscribe(A)
    await bench.publish(1)
    bench.layer.request_keyframe(A)
    await asyncio.sleep(0.29)
    assert bench.keyframes() == [1]
    await asyncio.sleep(0.02)
    assert bench.keyframes() == [1, 1]


async def test_publishing_faster_than_the_encoder_skips_frames(bench: Bench) -> None:
    bench.subscribe(A)
    await bench.publish(1)
    bench.workers.hanging = True
    for number in range(2, 100):
        await bench.publish(number)
    bench.workers.let_go()
    await settle()
    assert bench.numbers(A) == [1, 2, 99]


async def test_a_hidden_subscriber_costs_no_encoding_and_returns_with_a_keyframe(bench: Bench) -> None:
    subscriber = bench.subscribe(A)
    await bench.publish(1)
    subscriber.show(False)
    for number in range(2, 20):
        await bench.publish(number)
    await asyncio.sleep(5)
    assert len(bench.encoder.asked) == 1
    assert subscriber.show(True)
    bench.layer.restart(A)
    await settle()
    assert bench.encoder.asked[1:] == [(19, True)]


@pytest.mark.parametrize("stuck", ["hidden", "without credit"])
async def test_an_encoder_that_no_subscriber_can_follow_rests(bench: Bench, stuck: str) -> None:
    subscriber = bench.subscribe(A, packets=False)
    for number in (1, 2, 3):
        await bench.publish(number)
        if stuck == "hidden":
            subscriber.show(False)
    await asyncio.sleep(5)
    looks = bench.source.looks
    await asyncio.sleep(60)
    assert bench.source.looks == looks
    assert len(bench.encoder.asked) == (1 if stuck == "hidden" else 2)


async def test_a_still_scene_is_sharpened_and_then_left_alone(bench: Bench) -> None:
    bench.subscribe(A)
    await bench.publish(1)
    started = now()
    refreshed = []
    while now() < started + 5:
        made = len(bench.encoder.asked)
        await asyncio.sleep(0.01)
        if len(bench.encoder.asked) > made:
            refreshed.append(round(now() - started, 2))
    assert refreshed == pytest.approx(REFRESH_STILL_AFTER_S, abs=0.011)
    assert bench.encoder.asked == [(1, True), *[(1, False)] * 4]


async def test_a_frame_encoded_again_carries_the_time_of_its_encoding(bench: Bench) -> None:
    """Receivers drop a picture whose time stands still."""
    bench.subscribe(A)
    await bench.publish(1)
    await asyncio.sleep(2)
    first, *again = [packed.unit.time_us for packed in bench.got[A]]
    assert first == 1
    expected = [EPOCH_US + round(at * 1e6) for at in REFRESH_STILL_AFTER_S]
    assert again == pytest.approx(expected, abs=2000)


async def test_timestamps_grow_when_the_wall_clock_is_set_back(bench: Bench) -> None:
    wall = bench.context.wall_us
    assert isinstance(wall, Wall)
    bench.subscribe(A)
    bench.source.publish(1, time_us=EPOCH_US)
    bench.layer.wake()
    await settle()
    bench.source.publish(2, time_us=EPOCH_US - 60_000_000)
    wall.offset_us -= 60_000_000
    bench.layer.wake()
    await settle()
    bench.source.publish(3, time_us=EPOCH_US - 59_967_000)
    bench.layer.wake()
    await settle()
    units = [packed.unit for packed in bench.got[A]]
    assert [unit.time_us - EPOCH_US for unit in units] == [0, -60_000_000, -59_967_000], "as it was published"
    assert [unit.rtp_us - EPOCH_US for unit in units] == [0, RTP_TICK_US, 33_000]
    marks = bench.layer.report(A, now()).marks
    assert [(mark.rtp, mark.time_us) for mark in marks] == [
        (rtp_timestamp(unit.rtp_us), unit.time_us) for unit in units[1:]
    ]


async def test_a_layer_that_starts_after_the_wall_clock_was_set_back_goes_on_where_the_others_are(bench: Bench) -> None:
    bench.subscribe(A)
    for number, time_us in enumerate((EPOCH_US, EPOCH_US - 60_000_000)):
        bench.source.publish(number, time_us=time_us)
        bench.layer.wake()
        await settle()
    bench.layer = bench.open(half=True)
    bench.subscribe(B)
    bench.source.publish(2, time_us=EPOCH_US - 59_967_000)
    bench.layer.wake()
    await settle()
    unit = bench.got[B][-1].unit
    assert (unit.time_us, unit.rtp_us) == (EPOCH_US - 59_967_000, EPOCH_US + 33_000)


async def test_a_refused_unit_is_followed_by_a_keyframe_once_it_is_asked_for(bench: Bench) -> None:
    ready = False
    bench.subscribe(A, takes=lambda: ready)
    await bench.publish(1)
    await bench.publish(2)
    await asyncio.sleep(1)
    assert not bench.got[A] and bench.encoder.asked == [(1, True)]
    ready = True
    bench.layer.request_keyframe(A)
    await settle()
    assert bench.numbers(A) == [2] and bench.got[A][0].unit.keyframe, "tried again though nothing was published"


async def test_a_peer_that_refuses_is_paused_until_it_asks(bench: Bench) -> None:
    """No keyframe for a full link: it would be refused as well, and cost the others sharpness."""
    refused = 0

    def refuse() -> bool:
        nonlocal refused
        refused += 1
        return False

    bench.subscribe(A)
    bench.subscribe(B, takes=refuse)
    for number in range(1, 5):
        await bench.publish(number)
        await asyncio.sleep(MIN_KEYFRAME_INTERVAL_S)
    assert refused == 1 and bench.keyframes() == [1] and {1, 2, 3, 4} == set(bench.numbers(A))
    bench.layer.request_keyframe(B)
    await settle()
    assert refused == 2 and bench.keyframes() == [1, 4]


async def test_a_socket_that_refuses_is_not_paused(bench: Bench) -> None:
    answers = iter([False, True])
    bench.subscribe(A, packets=False, takes=lambda: next(answers))
    await bench.publish(1)
    await asyncio.sleep(MIN_KEYFRAME_INTERVAL_S + 0.01)
    assert bench.numbers(A) == [1] and bench.keyframes() == [1, 1]


async def test_a_subscriber_that_comes_during_a_job_of_the_other_form_gets_the_next_keyframe(bench: Bench) -> None:
    bench.workers.hanging = True
    bench.subscribe(A)
    await bench.publish(1)
    bench.subscribe(B, packets=False)
    bench.workers.let_go()
    await settle()
    assert bench.numbers(A) == [1] and bench.got[B] == []
    await asyncio.sleep(MIN_KEYFRAME_INTERVAL_S + 0.01)
    assert bench.numbers(B) == [1] and bench.got[B][0].messages


async def test_a_frame_that_cannot_be_encoded_is_tried_again_as_if_it_were_new(bench: Bench) -> None:
    bench.subscribe(A)
    bench.encoder.fails = REFUSED
    await bench.publish(1)
    bench.encoder.fails = None
    await asyncio.sleep(0.6)
    assert bench.numbers(A)[0] == 1 and bench.got[A][0].unit.time_us == 1, "it is encoded for the first time"


async def test_closing_closes_the_encoder_once_its_frame_is_done(bench: Bench) -> None:
    bench.subscribe(A)
    bench.workers.hanging = True
    await bench.publish(1)
    closing = asyncio.create_task(bench.layer.close())
    await settle()
    assert not bench.encoder.closed
    bench.workers.let_go()
    await closing
    assert bench.encoder.closed and not bench.got[A]


async def test_a_target_is_set_once_and_never_above_the_maximum(bench: Bench) -> None:
    for target in (MAX_BPS, 950_000, 950_000, 2 * MAX_BPS):
        bench.layer.set_target(target)
    assert bench.encoder.rates == [950_000, MAX_BPS] and bench.layer.target_bps == MAX_BPS


async def test_a_layer_of_half_size_encodes_frames_of_half_size(bench: Bench) -> None:
    bench.layer = bench.open(half=True)
    bench.subscribe(A)
    await bench.publish(1, np.zeros((90, 161, 3), np.uint8))
    assert (bench.got[A][0].unit.width, bench.got[A][0].unit.height) == (81, 45)


async def test_frames_are_halved_when_there_is_no_time_for_all_of_them(bench: Bench) -> None:
    pixels = np.zeros((64, 96, 3), np.uint8)
    bench.encoder.on_encode = lambda: skip(0.04)
    bench.subscribe(A)
    # Of 60 frames a second the encoder gets every third.
    await bench.play(range(1, 240, 3), 20, pixels)
    widths = [packed.unit.width for packed in bench.got[A]]
    assert widths[0] == 96 and widths[-1] == 48


async def test_a_still_picture_is_not_halved_however_long_it_takes(bench: Bench) -> None:
    bench.encoder.on_encode = lambda: skip(0.9)
    bench.subscribe(A)
    for number in range(1, 8):
        await bench.publish(number, np.zeros((64, 96, 3), np.uint8))
        await asyncio.sleep(2)
    assert {packed.unit.width for packed in bench.got[A]} == {96}


async def sent_after(bench: Bench, number: int) -> float:
    """Seconds from the publish of a frame until it is sent, on a stream of 60 frames a second."""
    published = now()
    bench.source.publish(number)
    bench.context.frame_meter.interval_s = 1 / 60
    bench.layer.wake()
    while number not in bench.numbers(A):
        await asyncio.sleep(0.0001)
        assert now() < published + 1
    return now() - published


async def test_frames_of_a_sole_viewer_keep_clear_of_its_screens_refresh(bench: Bench) -> None:
    bench.layer.vsync(A, 0.001, 1 / 60)
    bench.subscribe(A)
    assert await sent_after(bench, 61) < 0.001, "what a stranger reported counts for nothing"
    bench.layer.vsync(A, 0.001, 1 / 60)
    assert 0.004 < await sent_after(bench, 62) < 1 / 120
    bench.subscribe(B)
    bench.layer.vsync(A, 0.001, 1 / 60)
    assert await sent_after(bench, 63) < 0.001, "their screens differ"


async def test_no_frame_waits_at_the_cost_of_the_next(bench: Bench) -> None:
    bench.subscribe(A)
    bench.layer.vsync(A, 0.001, 1 / 60)
    wait = await sent_after(bench, 61)
    room = 0.9 / 60 - wait
    bench.encoder.on_encode = lambda: skip(room + 0.0005)
    assert await sent_after(bench, 62) < room + 0.001
    bench.encoder.on_encode = lambda: skip(room - 0.0005)
    assert await sent_after(bench, 63) > room + 0.004
