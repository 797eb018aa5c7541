"""Plan, build, send: what happens when, and what failures cost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable

import pytest

from framewire.engine.stream.encoding import EncodingReport, Mark
from framewire.engine.stream.fanout import Subscriber
from framewire.engine.stream.loop import MAX_MARKS, REPORTED_MARKS_US, RETRY_FAILED_AFTER_S, EncodingLoop
from framewire.frame import AccessUnit, Frame, rtp_timestamp
from tests.engine.stills import REFUSED, Source
from tests.engine.stream.virtual import EPOCH_US, START_S, Wall, Workers, context, now, settle, skip

A = ("a", 1)


class Numbers(EncodingLoop[int, int]):
    """Plans a frame's number once, and sends what ``make`` returns for it."""

    def __init__(self, source: Source, workers: Workers) -> None:
        self.source = source
        self.workers = workers
        self.planned: list[tuple[int, float]] = []
        self.sent: list[tuple[int, float]] = []
        self.steps = 0
        self.make: Callable[[int], int] = lambda number: number
        self.again_at: float | None = None
        self.delay_s = 0.0
        super().__init__("numbers", context(source, workers), lambda job: self.make(job), after_step=self._stepped)

    def _stepped(self) -> None:
        self.steps += 1

    def _plan(self, frame: Frame, now: float) -> int | None:
        self.planned.append((frame.number, now))
        done = self.sent and self.sent[-1][0] == frame.number
        return None if done else frame.number

    def _send(self, built: int) -> None:
        self.sent.append((built, now()))

    def _look_again_at(self) -> float | None:
        return self.again_at if len(self.planned) < 5 else None

    def _send_delay_s(self, took_s: float, now: float) -> float:
        return self.delay_s

    def publish(self, number: int) -> None:
        self.source.publish(number)
        self.wake()

    @property
    def numbers(self) -> list[int]:
        return [number for number, _ in self.sent]


@pytest.fixture
async def loop() -> AsyncIterator[Numbers]:
    loop = Numbers(Source(), Workers())
    yield loop
    loop.workers.let_go()
    await loop.close()
    assert loop.source.leased == 0, "every lease was given back"


async def test_each_new_frame_is_planned_built_and_sent(loop: Numbers) -> None:
    loop.wake()
    await settle()
    assert loop.planned == [], "there is no frame yet"
    for number in (1, 2):
        loop.publish(number)
        await settle()
    assert loop.numbers == [1, 2] and loop.steps == 3
    assert loop.target_bps == 0


async def test_frames_published_during_a_job_are_skipped_except_the_newest(loop: Numbers) -> None:
    loop.workers.hanging = True
    for number in range(1, 100):
        loop.publish(number)
        await settle()
    loop.workers.let_go()
    await settle()
    assert loop.numbers == [1, 99]


async def test_a_time_to_look_again_is_kept(loop: Numbers) -> None:
    loop.again_at = START_S + 5
    loop.publish(1)
    await asyncio.sleep(4.9)
    assert len(loop.planned) == 1
    loop.again_at = None
    await asyncio.sleep(60)
    assert [round(at - START_S, 3) for _, at in loop.planned] == [0, 5]


async def test_a_time_to_look_again_is_kept_when_nothing_was_to_be_done(loop: Numbers) -> None:
    loop.publish(1)
    await settle()
    loop.again_at = START_S + 5
    loop.wake()
    await asyncio.sleep(4.9)
    assert len(loop.planned) == 2
    loop.again_at = START_S
    loop.publish(2)
    await settle()
    assert len(loop.planned) == 5, "a time that has passed is now"


async def test_what_was_woken_meanwhile_needs_no_timer(loop: Numbers) -> None:
    loop.again_at = START_S + 5
    loop.workers.hanging = True
    loop.publish(1)
    await settle()
    loop.publish(2)
    loop.again_at = None
    loop.workers.let_go()
    await asyncio.sleep(60)
    assert loop.numbers == [1, 2] and len(loop.planned) == 2


async def test_a_failed_frame_costs_that_frame_and_is_logged_once(
    loop: Numbers, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(number: int) -> int:
        raise REFUSED

    works, loop.make = loop.make, refuse
    for number in range(1, 5):
        loop.publish(number)
        await settle()
    assert [record.getMessage() for record in caplog.records] == [str(REFUSED)]
    assert loop.steps == 4, "others are woken after a failure too"
    loop.make = works
    loop.publish(5)
    await settle()
    assert loop.numbers == [5], "a newer frame is tried at once"
    loop.make = refuse
    loop.publish(6)
    await settle()
    assert len(caplog.records) == 2, "it had worked again"


@pytest.mark.parametrize("error", [REFUSED, ZeroDivisionError("a bug")])
async def test_a_still_picture_that_failed_is_tried_again(
    loop: Numbers, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    def refuse(number: int) -> int:
        raise error

    works, loop.make = loop.make, refuse
    loop.publish(1)
    await settle()
    loop.make = works
    await asyncio.sleep(0.49)
    assert RETRY_FAILED_AFTER_S == 0.5 and not loop.sent
    await asyncio.sleep(0.02)
    assert loop.numbers == [1]
    assert caplog.records[0].levelno == logging.WARNING
    assert bool(caplog.records[0].exc_info) == isinstance(error, ZeroDivisionError), "a bug is logged with its trace"


async def test_a_source_that_raises_does_not_end_the_loop(loop: Numbers, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(loop.source, "latest", lambda: 1 / 0)
        loop.publish(1)
        await settle()
    loop.publish(2)
    await settle()
    assert loop.numbers == [2]


async def test_closing_waits_for_the_job_that_reads_the_frame(loop: Numbers) -> None:
    loop.workers.hanging = True
    loop.publish(1)
    await settle()
    closing = asyncio.create_task(loop.close())
    await settle()
    assert not closing.done() and loop.source.leased == 1
    loop.workers.let_go()
    await closing
    assert loop.source.leased == 0 and not loop.sent


async def test_closing_waits_for_a_job_that_fails(loop: Numbers) -> None:
    loop.make = lambda number: number // 0
    loop.workers.hanging = True
    loop.publish(1)
    await settle()
    closing = asyncio.create_task(loop.close())
    await settle()
    loop.workers.let_go()
    await closing


async def test_a_closed_loop_looks_at_nothing_any_more(loop: Numbers) -> None:
    loop.again_at = START_S + 5
    loop.publish(1)
    await settle()
    await loop.close()
    await asyncio.sleep(60)
    assert len(loop.planned) == 1


async def test_a_unit_that_waits_holds_neither_a_thread_nor_its_frame(loop: Numbers) -> None:
    loop.delay_s = 30.0

    def slowly(number: int) -> int:
        skip(0.25)
        return number

    loop.make = slowly
    loop.publish(1)
    await settle()
    assert loop.source.leased == 0 and not loop.workers.busy and not loop.sent
    assert loop.cost_ms(now()) == pytest.approx(250), "what it took is known already"
    await asyncio.sleep(31)
    assert loop.numbers == [1] and loop.sent[0][1] == pytest.approx(START_S + 30.25)


async def test_a_unit_that_waits_when_the_loop_closes_is_not_sent(loop: Numbers) -> None:
    loop.delay_s = 30.0
    loop.publish(1)
    await settle()
    await loop.close()
    await asyncio.sleep(60)
    assert not loop.sent


async def test_a_report_names_the_recent_frames(loop: Numbers) -> None:
    wall = loop._context.wall_us
    assert isinstance(wall, Wall) and REPORTED_MARKS_US == 1_500_000
    assert loop.report(A, now()) == EncodingReport()
    loop.subscribe(Subscriber(A, lambda _: True, packets=True))
    assert loop.report(A, now()).marks == []

    def marked(*ages_us: int) -> list[int]:
        loop._marks.clear()
        for number, age_us in enumerate(ages_us):
            loop._mark(AccessUnit("h264", b"", number, EPOCH_US - age_us, 6, 4))
        return [mark.number for mark in loop.report(A, START_S).marks]

    wall.offset_us -= wall() - EPOCH_US
    assert marked(9_000_000, 1_500_001, 1_499_990, 100_000, 0) == [2, 3, 4]
    assert marked(90_000_000, 60_000_000) == [1], "the newest in any case"
    assert marked(*[0] * 1000) == list(range(1000 - MAX_MARKS, 1000)), "no more than the contract allows"
    assert MAX_MARKS == 256
    loop._mark(AccessUnit("h264", b"", 1, 1_000_000, 6, 4))
    assert loop._marks[-1] == Mark(1, 90_000, 1_000_000), "RTP timestamps count 90000 a second"
    loop._mark(AccessUnit("h264", b"", 2, 1_000_000, 6, 4, rtp_ahead_us=500_000))
    assert loop._marks[-1] == Mark(2, 135_000, 1_000_000), "the RTP clock does not go back with the wall clock"


async def test_a_report_names_each_frame_that_could_not_be_encoded_once(loop: Numbers) -> None:
    def refuse(number: int) -> int:
        raise REFUSED

    loop.make = refuse
    loop.publish(1)
    await asyncio.sleep(3 * RETRY_FAILED_AFTER_S)
    loop.publish(2)
    await settle()
    times = [mark.time_us for mark in loop._marks]
    assert list(loop._marks) == [Mark(number, rtp_timestamp(at), at) for number, at in enumerate(times, 1)]
    assert times and loop.sent == []


async def test_marks_from_before_the_wall_clock_was_set_back_are_of_no_use(loop: Numbers) -> None:
    for number, time_us in enumerate((EPOCH_US, EPOCH_US - 1_000_000)):
        loop._mark(AccessUnit("h264", b"", number, time_us, 6, 4))
    assert [mark.number for mark in loop._marks] == [0, 1], "out of order"
    loop._mark(AccessUnit("h264", b"", 2, EPOCH_US - 2_000_001, 6, 4))
    assert [mark.number for mark in loop._marks] == [2]


async def test_a_loop_counts_from_the_start(loop: Numbers) -> None:
    assert loop._context.made == {"numbers": 0}, "it is in use, though nothing was made"
