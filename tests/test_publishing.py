"""A beat without bursts, and loops that go on whatever the render function does, and end when they are told."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

import framewire as fw
from framewire import publishing
from framewire.publishing import FrameTimer, PublishLoop, publish_loop

FOREVER = 30.0
"""Seconds until a test gives up on an end that is due at once."""


class Stage:
    """Stands for a display: keeps what is published."""

    def __init__(self) -> None:
        self.frames: list[Any] = []
        self.closed = False
        self.enough = threading.Event()
        self.wanted = 3

    def publish(self, frame: Any) -> None:
        if self.closed:
            raise fw.ClosedError("the display is closed")
        self.frames.append(frame)
        if len(self.frames) >= self.wanted:
            self.enough.set()


@pytest.fixture
def stage() -> Stage:
    return Stage()


def start(stage: Stage, render: Callable[[], Any], fps: float = 500.0) -> PublishLoop:
    return publish_loop(stage, render, fps=fps)  # type: ignore[arg-type]


# The beat


def test_frames_are_due_at_equal_distances_however_long_they_take_to_make() -> None:
    beat, now, taken = FrameTimer(10.0, 100.0), 100.0, []
    for work in (0.0, 0.05, 0.09, 0.01):
        taken.append(round(now, 6))
        now += work
        now += beat.wait(now)
    assert taken == [100.0, 100.1, 100.2, 100.3]


def test_a_late_frame_hurries_none_of_those_after_it() -> None:
    beat = FrameTimer(10.0, 0.0)
    assert beat.wait(5.0) == 0.0, "five seconds late: this one at once"
    assert [round(beat.wait(5.0 + 0.1 * n), 6) for n in range(3)] == [0.1, 0.1, 0.1]


def test_oversleeping_does_not_add_up() -> None:
    beat, now = FrameTimer(100.0, 0.0), 0.0
    for _ in range(100):
        now += beat.wait(now) + 0.002
    assert now == pytest.approx(1.002)


# On a thread


def test_a_function_is_called_and_published_until_cancelled(stage: Stage) -> None:
    loop = start(stage, iter(range(1 << 30)).__next__)
    assert stage.enough.wait(FOREVER) and not loop.done() and not loop.cancelled()
    assert loop.cancel() and loop.join(FOREVER)
    assert loop.done() and loop.cancelled() and not loop.cancel()
    assert stage.frames == list(range(loop.frames))


def test_none_is_no_frame(stage: Stage) -> None:
    frames = iter([None, 1, None, None, 2, None, 3])
    loop = start(stage, lambda: next(frames))
    assert loop.join(FOREVER), "and the end of an iterator is the end"
    assert stage.frames == [1, 2, 3] and loop.errors == 0 and not loop.cancelled()


def test_a_failing_render_is_told_once_and_the_loop_goes_on(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    calls = iter(range(1 << 30))

    def render() -> int:
        number = next(calls)
        if number % 2:
            raise ZeroDivisionError("a bug of the user's")
        return number

    loop = start(stage, render)
    assert stage.enough.wait(FOREVER)
    loop.cancel()
    assert loop.join(FOREVER) and loop.errors >= 2
    (record,) = [each for each in caplog.records if each.levelno >= logging.ERROR]
    assert "the loop goes on" in record.getMessage() and "a bug of the user's" in record.getMessage()


def test_a_trace_is_told_again_after_a_while(
    stage: Stage, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "COMPLAIN_EVERY", 0.0)
    loop = start(stage, lambda: 1 / 0)
    deadline = time.monotonic() + FOREVER
    while len(caplog.records) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    loop.cancel()
    assert loop.join(FOREVER) and len(caplog.records) >= 2


def test_the_end_of_the_display_is_the_end_of_the_loop(stage: Stage) -> None:
    loop = start(stage, lambda: 1)
    assert stage.enough.wait(FOREVER)
    stage.closed = True
    assert loop.join(FOREVER) and loop.errors == 0 and not loop.cancelled()


@pytest.mark.parametrize("coroutine", [False, True])
async def test_cancelling_does_not_wait_for_the_next_frame(stage: Stage, coroutine: bool) -> None:
    stage.wanted = 1

    async def render() -> int:
        return 1

    loop = start(stage, render if coroutine else lambda: 1, fps=0.001)
    await asyncio.to_thread(stage.enough.wait, FOREVER)
    await asyncio.to_thread(loop.cancel)
    await asyncio.wait_for(loop, FOREVER)
    assert loop.frames == 1


def test_joining_gives_up_in_time(stage: Stage) -> None:
    loop = start(stage, lambda: 1)
    assert not loop.join(0.01)
    loop.cancel()
    assert loop.join(FOREVER)


# On an event loop


async def test_a_coroutine_function_runs_on_the_loop_that_runs(stage: Stage) -> None:
    threads = set()

    async def render() -> int:
        threads.add(threading.current_thread())
        await asyncio.sleep(0)
        if len(stage.frames) == 5:
            raise StopAsyncIteration
        return len(stage.frames)

    loop = start(stage, render)
    await asyncio.wait_for(loop, FOREVER)
    assert stage.frames == [0, 1, 2, 3, 4] and threads == {threading.current_thread()}


async def test_a_coroutine_that_fails_costs_one_frame(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    calls = iter(range(1 << 30))

    async def render() -> int:
        number = next(calls)
        if number == 0:
            raise ZeroDivisionError
        return number

    loop = start(stage, render)
    await asyncio.to_thread(stage.enough.wait, FOREVER)
    stage.closed = True
    await asyncio.wait_for(loop, FOREVER)
    assert loop.errors == 1 and len(caplog.records) == 1 and stage.frames[:3] == [1, 2, 3]


async def test_a_coroutine_that_hangs_is_cancelled(stage: Stage) -> None:
    hung, let_go = asyncio.Event(), asyncio.Event()

    async def render() -> None:
        hung.set()
        try:
            await asyncio.Event().wait()
        finally:
            let_go.set()

    loop = start(stage, render)
    await hung.wait()
    loop.cancel()
    await asyncio.wait_for(loop, FOREVER)
    assert let_go.is_set() and loop.done()


def test_an_event_loop_that_ends_takes_its_loops_with_it(stage: Stage) -> None:
    async def main() -> PublishLoop:
        async def render() -> int:
            return 1

        loop = start(stage, render)
        await asyncio.sleep(0)
        return loop

    loop = asyncio.run(main())
    assert loop.done()
    loop.cancel()


def test_who_stops_waiting_ends_nothing_and_is_not_held_up(stage: Stage) -> None:
    loops: list[PublishLoop] = []

    async def main() -> None:
        loops.append(start(stage, lambda: 1))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(loops[0], 0.02)

    asyncio.run(main())
    assert not loops[0].done(), "it goes on; and the event loop could end"
    loops[0].cancel()
    assert loops[0].join(FOREVER)


# What is asked for


def test_what_cannot_be_a_loop_is_refused(stage: Stage) -> None:
    with pytest.raises(TypeError, match="callable, not int"):
        start(stage, 7)  # type: ignore[arg-type]
    for fps in (0, -1, 1001, float("nan")):
        with pytest.raises(ValueError, match="makes no sense"):
            start(stage, lambda: 1, fps=fps)

    async def render() -> int:
        return 1

    with pytest.raises(RuntimeError, match="event loop"):
        start(stage, render)
