"""One video encoder: when a unit is made, of what, for whom; and what failures cost."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from framewire.engine.stream import loop as lane_module
from framewire.engine.stream import overload as effort
from framewire.engine.stream import rate
from framewire.engine.stream.encoding import Key, Mark, PackedUnit, Sink
from framewire.engine.stream.loop import EncodingLoop
from framewire.engine.stream.video import VideoLayer
from framewire.frame import AccessUnit, Frame
from tests.engine.stills import REFUSED, Encoder, Source
from tests.viewer import eventually

A, B = ("a", 1), ("b", 1)
CEILING = 8_000_000


class Bench:
    """Lanes with hands: publish into them, look at what each subscriber got."""

    def __init__(self) -> None:
        self.source = Source()
        self.encoder = Encoder()
        self.pool = ThreadPoolExecutor(2)
        self.lanes: list[EncodingLoop] = []
        self.got: dict[Key, list[PackedUnit]] = {A: [], B: []}

    def video(self) -> VideoLayer:
        lane = VideoLayer(7, self.source, self.pool, self.encoder, CEILING)
        self.lanes.append(lane)
        return lane

    def sink(self, key: Key, takes: Callable[[], bool] = lambda: True) -> Sink:
        def take(packed: PackedUnit) -> bool:
            if takes():
                self.got[key].append(packed)
                return True
            return False

        return take

    def publish(self, number: int) -> None:
        self.source.publish(number)
        for lane in self.lanes:
            lane.wake()

    def numbers(self, key: Key) -> list[int]:
        return [packed.unit.number for packed in self.got[key]]

    async def reached(self, key: Key, number: int) -> None:
        await eventually(lambda: number in self.numbers(key), f"{key} got {self.numbers(key)}, not {number}")

    async def settled(self, lane: EncodingLoop) -> None:
        """Until the lane has had its turn and waits again."""
        made = -1
        while made != lane.made or lane._wake.is_set():
            made = lane.made
            await asyncio.sleep(0.05)


@pytest.fixture
async def bench(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    # The refreshes of a still scene would be among the units that these tests count.
    monkeypatch.setattr(rate, "SETTLE", ())
    bench = Bench()
    yield bench
    bench.encoder.gate.set()
    for lane in bench.lanes:
        await lane.close()
    assert bench.source.leased == 0, "every lease was given back"
    bench.pool.shutdown()


async def test_the_marks_told_are_those_of_late_and_the_newest(bench: Bench) -> None:
    lane = bench.video()
    now = time.time_ns() // 1000
    lane.marks.extend(Mark(number, 0, now - ago) for number, ago in ((1, 9_000_000), (3, 4_000_000), (3, 100_000)))
    assert [(mark.number, now - mark.time_us) for mark in lane.recent()] == [(3, 100_000)]
    lane.marks.append(Mark(4, 0, now))
    assert [mark.number for mark in lane.recent()] == [3, 4]
    lane.marks.clear()
    assert lane.recent() == []
    lane.marks.append(Mark(4, 0, now - 60_000_000))
    assert [mark.number for mark in lane.recent()] == [4]


async def test_a_newcomer_starts_with_a_keyframe_and_follows_with_deltas(bench: Bench) -> None:
    lane = bench.video()
    bench.publish(1)
    lane.add(A, bench.sink(A), packets=True)
    await bench.reached(A, 1)
    bench.publish(2)
    await bench.reached(A, 2)
    assert bench.encoder.asked == [(1, True), (2, False)]
    packed = bench.got[A][0]
    assert packed.rtp and packed.rtp.unit is packed.unit and not packed.messages
    assert [(mark.number, mark.time_us) for mark in lane.marks] == [
        (p.unit.number, p.unit.time_us) for p in bench.got[A]
    ]


async def test_a_subscriber_that_fails_costs_the_others_nothing(bench: Bench) -> None:
    def broken(packed: PackedUnit) -> bool:
        raise ValueError("a header that cannot be written")

    lane = bench.video()
    bench.publish(1)
    lane.add(A, broken, packets=True)
    lane.add(B, bench.sink(B), packets=True)
    await bench.reached(B, 1)
    bench.publish(2)
    await bench.reached(B, 2)


async def test_who_moves_to_another_encoding_is_counted_on(bench: Bench) -> None:
    before, after = bench.video(), bench.video()
    bench.publish(1)
    before.add(A, bench.sink(A), packets=True)
    await bench.reached(A, 1)
    bits = before.sent_bps(A, time.monotonic())
    assert bits > 0
    after.add(A, bench.sink(A), packets=True)
    after.take_over(A, before)
    assert after.sent_bps(A, time.monotonic()) >= bits / 2
    after.take_over(B, before)
    assert after.sent_bps(B, time.monotonic()) == after.sent_fps(B, time.monotonic()) == 0


async def test_a_unit_is_made_once_for_all(bench: Bench) -> None:
    lane = bench.video()
    bench.publish(1)
    lane.add(A, bench.sink(A), packets=True)
    lane.add(B, bench.sink(B), packets=False)
    await bench.reached(A, 1)
    await bench.reached(B, 1)
    assert len(bench.encoder.asked) == lane.made == 1
    assert bench.got[A][0] is bench.got[B][0] and bench.got[B][0].messages


async def test_a_keyframe_wanted_on_a_still_scene_is_made_at_once_and_later_in_time(bench: Bench) -> None:
    lane = bench.video()
    bench.publish(1)
    lane.add(A, bench.sink(A), packets=True)
    await bench.reached(A, 1)
    for _ in range(2):
        made = lane.made
        lane.request_keyframe(A)
        await eventually(lambda m=made: lane.made > m)  # type: ignore[misc]
    assert bench.encoder.asked == [(1, True)] * 3
    times = [packed.unit.time_us for packed in bench.got[A]]
    assert times == sorted(set(times)), "receivers drop a picture whose time stood still"
    assert times[1] > 1_600_000_000_000_000, "it carries the time of its sending"


async def test_requests_for_keyframes_meet_in_one(bench: Bench) -> None:
    lane = bench.video()
    bench.publish(1)
    lane.add(A, bench.sink(A), packets=True)
    await bench.reached(A, 1)
    started = time.monotonic()
    for number in range(2, 60):
        lane.request_keyframe(A)
        bench.publish(number)
        await asyncio.sleep(0.01)
    keyframes = sum(keyframe for _, keyframe in bench.encoder.asked)
    assert keyframes <= 2 + (time.monotonic() - started) / rate.KEYFRAME_GAP


async def test_publishing_faster_than_the_encoder_skips_frames(bench: Bench) -> None:
    lane = bench.video()
    bench.publish(1)
    lane.add(A, bench.sink(A), packets=True)
    await bench.reached(A, 1)
    bench.encoder.gate.clear()
    for number in range(2, 100):
        bench.publish(number)
        await asyncio.sleep(0)
    bench.encoder.gate.set()
    await bench.reached(A, 99)
    assert len(bench.numbers(A)) <= 4 and bench.numbers(A) == sorted(bench.numbers(A))


async def test_a_hidden_view_costs_no_encode_and_comes_back_with_a_keyframe(bench: Bench) -> None:
    lane = bench.video()
    bench.publish(1)
    lane.add(A, bench.sink(A), packets=True)
    await bench.reached(A, 1)
    lane.show(A, False)
    for number in range(2, 20):
        bench.publish(number)
        await asyncio.sleep(0)
    await bench.settled(lane)
    assert len(bench.encoder.asked) == 1
    lane.show(A, True)
    await bench.reached(A, 19)
    assert bench.encoder.asked[1:] == [(19, True)]


@pytest.mark.parametrize("stuck", ["hidden", "without credit"])
async def test_a_lane_that_nobody_can_follow_rests(bench: Bench, monkeypatch: pytest.MonkeyPatch, stuck: str) -> None:
    monkeypatch.setattr(rate, "SETTLE", (0.01, 0.02))
    lane = bench.video()
    bench.publish(1)
    lane.add(A, bench.sink(A), packets=False)
    await bench.reached(A, 1)
    if stuck == "hidden":
        lane.show(A, False)
    bench.publish(2)
    bench.publish(3)
    await asyncio.sleep(0.2)
    looks = bench.source.looks
    await asyncio.sleep(0.2)
    assert bench.source.looks - looks < 5, "it looks when something changes, not all the time"


async def test_a_still_scene_is_sharpened_and_then_left_alone(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate, "SETTLE", (0.02, 0.04))
    lane = bench.video()
    lane.add(A, bench.sink(A), packets=True)
    bench.publish(1)
    await eventually(lambda: len(bench.got[A]) == 3)
    await asyncio.sleep(0.1)
    assert bench.encoder.asked == [(1, True), (1, False), (1, False)]
    times = [packed.unit.time_us for packed in bench.got[A]]
    assert times == sorted(set(times))


async def test_a_sink_that_refuses_waits_for_a_keyframe(bench: Bench) -> None:
    lane = bench.video()
    ready = False
    lane.add(A, bench.sink(A, lambda: ready), packets=True)
    bench.publish(1)
    await eventually(lambda: lane.made)
    bench.publish(2)
    await bench.settled(lane)
    assert not bench.got[A]
    ready = True
    lane.request_keyframe(A)
    await bench.reached(A, 2)
    assert bench.got[A][0].unit.keyframe, "tried again though nothing was published"


async def test_a_frame_that_cannot_be_encoded_costs_that_frame(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    lane = bench.video()
    lane.add(A, bench.sink(A), packets=True)
    bench.encoder.fails = REFUSED
    for number in range(1, 5):
        bench.publish(number)
        await asyncio.sleep(0.02)
    assert [record.getMessage() for record in caplog.records] == [str(REFUSED)], "said once, not for every frame"
    bench.encoder.fails = None
    bench.publish(5)
    await bench.reached(A, 5)


@pytest.mark.parametrize("error", [REFUSED, ZeroDivisionError("a bug")])
async def test_a_still_picture_that_failed_once_is_tried_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    monkeypatch.setattr(lane_module, "RETRY", 0.01)
    lane = bench.video()
    lane.add(A, bench.sink(A), packets=True)
    bench.encoder.fails = error
    bench.publish(1)
    await eventually(lambda: caplog.records)
    bench.encoder.fails = None
    await bench.reached(A, 1)
    assert caplog.records[0].levelno == logging.WARNING
    assert bool(caplog.records[0].exc_info) == isinstance(error, ZeroDivisionError), "a bug is told with its trace"


async def test_a_source_that_raises_does_not_end_the_lane(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    lane = bench.video()
    with monkeypatch.context() as patch:
        patch.setattr(bench.source, "latest", lambda: 1 / 0)
        lane.add(A, bench.sink(A), packets=True)
        bench.publish(1)
        await eventually(lambda: lane._complained)
    bench.publish(2)
    await bench.reached(A, 2)


async def test_closing_waits_for_the_frame_in_the_encoders_hands(bench: Bench) -> None:
    lane = bench.video()
    lane.add(A, bench.sink(A), packets=True)
    bench.encoder.gate.clear()
    bench.publish(1)
    await eventually(lambda: bench.source.leased)
    closing = asyncio.create_task(lane.close())
    await asyncio.sleep(0.05)
    assert not closing.done() and bench.source.leased == 1, "the thread still reads the leased pixels"
    bench.encoder.gate.set()
    await closing
    assert bench.encoder.closed and bench.source.leased == 0 and not bench.got[A]


async def test_a_target_is_said_once_and_never_above_the_ceiling(bench: Bench) -> None:
    lane = bench.video()
    for target in (CEILING, 950_000, 950_000, 2 * CEILING):
        lane.aim(target)
    assert bench.encoder.rates == [950_000, CEILING] and lane.target_bps == CEILING


async def test_a_lane_of_half_size_encodes_frames_of_half_size(bench: Bench) -> None:
    lane = VideoLayer(7, bench.source, bench.pool, bench.encoder, CEILING, half=True)
    bench.lanes.append(lane)
    lane.add(A, bench.sink(A), packets=True)
    bench.source.publish(1, np.zeros((90, 161, 3), np.uint8))
    lane.wake()
    await bench.reached(A, 1)
    assert (bench.got[A][0].unit.width, bench.got[A][0].unit.height) == (81, 45)
    assert lane.output.per_second(time.monotonic()) > 0


async def test_a_peer_that_refuses_is_left_alone_until_it_asks(bench: Bench) -> None:
    """No keyframe for one whose way is full: it would cost the others, and be refused as well."""
    lane = bench.video()
    lane.add(A, bench.sink(A), packets=True)
    refused: list[int] = []

    def refuse(packed: PackedUnit) -> bool:
        refused.append(packed.unit.number)
        return False

    lane.add(B, refuse, packets=True)
    for number in range(1, 5):
        bench.publish(number)
        await bench.reached(A, number)
        await asyncio.sleep(rate.KEYFRAME_GAP / 2)
    assert refused == [1] and [key for _, key in bench.encoder.asked] == [True, False, False, False]
    lane.request_keyframe(B)
    await eventually(lambda: len(refused) == 2)
    assert bench.encoder.asked[-1][1]


async def test_frames_of_a_sole_viewer_keep_clear_of_its_screens_refresh(bench: Bench) -> None:
    lane = bench.video()
    lane._interval.seconds = 1 / 60
    lane.vsync(A, 0.001, 1 / 60)
    assert lane._wait(0.003, time.monotonic()) == 0, "it is nobody's"
    lane.add(A, bench.sink(A), packets=True)
    lane.vsync(A, 0.001, 1 / 60)
    wait = lane._wait(0.003, time.monotonic())
    assert 0.004 < wait < 1 / 120
    assert lane._wait(0.014, time.monotonic()) == 0, "no frame is worth the one after it"
    lane.add(B, bench.sink(B), packets=True)
    lane.vsync(A, 0.001, 1 / 60)
    assert lane._wait(0.003, time.monotonic()) == 0, "their screens differ"


async def test_a_unit_that_waits_holds_neither_a_thread_nor_its_frame_and_is_not_sent(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    lane = bench.video()
    monkeypatch.setattr(lane, "_wait", lambda took, now: 30.0)
    lane.add(A, bench.sink(A), packets=True)
    bench.publish(1)
    await eventually(lambda: bench.encoder.asked and not bench.source.leased, "it is made and the frame given back")
    threads = [bench.pool.submit(lambda: None) for _ in range(2)]
    for thread in threads:
        thread.result(timeout=5)
    assert not bench.got[A] and lane.made == 0
    assert 0 < lane.cost.mean(time.monotonic()), "what it took is known already"
    await lane.close()


async def test_frames_that_there_is_no_time_for_are_halved(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(effort, "PATIENCE", 0.1)
    at_once = bench.encoder.encode

    def slowly(frame: Frame, *, keyframe: bool = False) -> AccessUnit:
        time.sleep(0.02)
        return at_once(frame, keyframe=keyframe)

    monkeypatch.setattr(bench.encoder, "encode", slowly)
    lane = bench.video()
    lane.add(A, bench.sink(A), packets=True)
    for number in range(1, 400):
        bench.source.publish(number, np.zeros((64, 96, 3), np.uint8), time_us=number * 5000)
        lane.wake()
        await asyncio.sleep(0.005)
        if bench.got[A] and bench.got[A][-1].unit.width == 48:
            break
    assert bench.got[A][0].unit.width == 96
    assert bench.got[A][-1].unit.width == 48
