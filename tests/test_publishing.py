"""Frame times without bursts; loops that go on whatever the render function does, and end when they are cancelled."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

import framewire as fw
from framewire import publishing
from framewire.link.spawn import environment
from framewire.publishing import FrameTimer, PublishLoop, publish_loop

TEST_TIMEOUT_S = 30.0
"""A test gives up on an end that is due at once."""


class FakeDisplay:
    """Keeps what is published."""

    def __init__(self) -> None:
        self.frames: list[Any] = []
        self.closed = False
        self.server = SimpleNamespace(failure=None)
        self.is_watched = True
        self.asked = 0
        self.asked_often = threading.Event()
        """A loop wanted to know several times whether it is watched."""
        self.enough = threading.Event()
        self.wanted = 3

    @property
    def watched(self) -> bool:
        self.asked += 1
        if self.asked == 5:
            self.asked_often.set()
        return self.is_watched

    def publish(self, frame: Any) -> None:
        if self.closed:
            raise fw.ClosedError("the display is closed")
        if self.server.failure:
            raise fw.EngineError(self.server.failure)
        self.frames.append(frame)
        if len(self.frames) >= self.wanted:
            self.enough.set()


@pytest.fixture
def display() -> FakeDisplay:
    return FakeDisplay()


def start(display: FakeDisplay, render: Callable[[], Any], fps: float = 500.0) -> PublishLoop:
    return publish_loop(display, render, fps=fps)  # type: ignore[arg-type]


# Frame times


def test_frames_are_due_at_equal_distances_however_long_rendering_takes() -> None:
    timer, now, taken = FrameTimer(10.0, 100.0), 100.0, []
    for work in (0.0, 0.05, 0.09, 0.01):
        taken.append(round(now, 6))
        now += work
        now += timer.wait(now)
    assert taken == [100.0, 100.1, 100.2, 100.3]


def test_frames_after_a_late_one_keep_their_distance() -> None:
    timer = FrameTimer(10.0, 0.0)
    assert timer.wait(5.0) == 0.0, "five seconds late: this one at once"
    assert [round(timer.wait(5.0 + 0.1 * n), 6) for n in range(3)] == [0.1, 0.1, 0.1]


def test_oversleeping_does_not_add_up() -> None:
    timer, now = FrameTimer(100.0, 0.0), 0.0
    for _ in range(100):
        now += timer.wait(now) + 0.002
    assert now == pytest.approx(1.002)


# On a thread


def test_a_function_is_called_and_published_until_cancelled(display: FakeDisplay) -> None:
    loop = start(display, iter(range(1 << 30)).__next__)
    assert display.enough.wait(TEST_TIMEOUT_S) and not loop.done() and not loop.cancelled()
    assert loop.cancel() and loop.join(TEST_TIMEOUT_S)
    assert loop.done() and loop.cancelled() and not loop.cancel()
    assert display.frames == list(range(loop.frames))


def test_a_signal_handler_may_cancel_in_the_middle_of_a_cancel(
    display: FakeDisplay, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = start(display, lambda: 1)
    notify, depth = loop._changed.notify, [0]

    def interrupted() -> None:
        depth[0] += 1
        if depth[0] == 1:  # the handler, before the waiting thread is told
            assert loop.cancel() in (True, False) and loop.join(TEST_TIMEOUT_S)
        notify()

    monkeypatch.setattr(loop._changed, "notify", interrupted)
    loop.cancel()
    assert loop.join(TEST_TIMEOUT_S)


def test_none_publishes_nothing(display: FakeDisplay) -> None:
    frames = iter([None, 1, None, None, 2, None, 3])
    loop = start(display, lambda: next(frames))
    assert loop.join(TEST_TIMEOUT_S), "and the end of an iterator is the end"
    assert display.frames == [1, 2, 3] and loop.errors == 0 and not loop.cancelled()


def test_a_render_function_that_fails_is_logged_and_the_loop_goes_on(
    display: FakeDisplay, caplog: pytest.LogCaptureFixture
) -> None:
    calls = iter(range(1 << 30))

    def render() -> int:
        number = next(calls)
        if number % 2:
            raise ZeroDivisionError("a bug of the user's")
        return number

    loop = start(display, render)
    assert display.enough.wait(TEST_TIMEOUT_S)
    loop.cancel()
    assert loop.join(TEST_TIMEOUT_S) and loop.errors >= 2
    (record,) = [each for each in caplog.records if each.levelno >= logging.ERROR]
    assert "the loop goes on" in record.getMessage() and "a bug of the user's" in record.getMessage()


def test_a_traceback_is_logged_again_after_an_interval(
    display: FakeDisplay, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "TRACEBACK_INTERVAL_S", 0.0)
    loop = start(display, lambda: 1 / 0)
    deadline = time.monotonic() + TEST_TIMEOUT_S
    while len(caplog.records) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    loop.cancel()
    assert loop.join(TEST_TIMEOUT_S) and len(caplog.records) >= 2


@pytest.mark.parametrize("coroutine", [False, True])
async def test_a_loop_renders_only_while_it_is_watched(display: FakeDisplay, coroutine: bool) -> None:
    display.is_watched, display.wanted = False, 1
    loop = publish_loop(display, frame_of_a_coroutine if coroutine else lambda: 1, fps=500.0, only_watched=True)  # type: ignore[arg-type]
    await asyncio.to_thread(display.enough.wait, TEST_TIMEOUT_S)
    assert await asyncio.to_thread(display.asked_often.wait, TEST_TIMEOUT_S)
    assert len(display.frames) == 1, "the first frame alone, for a viewer that joins"
    display.wanted = 3
    display.enough.clear()
    display.is_watched = True
    assert await asyncio.to_thread(display.enough.wait, TEST_TIMEOUT_S)
    display.is_watched = False
    display.closed = True
    await asyncio.wait_for(loop, TEST_TIMEOUT_S)


def test_the_loop_ends_with_the_display(display: FakeDisplay) -> None:
    loop = start(display, lambda: 1)
    assert display.enough.wait(TEST_TIMEOUT_S)
    display.closed = True
    assert loop.join(TEST_TIMEOUT_S) and loop.errors == 0 and not loop.cancelled()


@pytest.mark.parametrize("coroutine", [False, True])
@pytest.mark.parametrize("fails", [False, True], ids=["nothing", "failing"])
async def test_a_loop_that_publishes_nothing_ends_with_the_display_too(
    display: FakeDisplay, caplog: pytest.LogCaptureFixture, fails: bool, coroutine: bool
) -> None:
    called = threading.Event()

    def render() -> None:
        called.set()
        if fails:
            raise ZeroDivisionError

    async def render_async() -> None:
        render()

    loop = start(display, render_async if coroutine else render)
    assert await asyncio.to_thread(called.wait, TEST_TIMEOUT_S)
    display.closed = True
    await asyncio.wait_for(loop, TEST_TIMEOUT_S)
    assert loop.frames == 0 and not loop.cancelled()


@pytest.mark.parametrize("coroutine", [False, True])
async def test_cancelling_does_not_wait_for_the_next_frame(display: FakeDisplay, coroutine: bool) -> None:
    display.wanted = 1

    async def render() -> int:
        return 1

    loop = start(display, render if coroutine else lambda: 1, fps=0.001)
    await asyncio.to_thread(display.enough.wait, TEST_TIMEOUT_S)
    await asyncio.to_thread(loop.cancel)
    await asyncio.wait_for(loop, TEST_TIMEOUT_S)
    assert loop.frames == 1


def test_joining_ends_at_its_timeout(display: FakeDisplay) -> None:
    loop = start(display, lambda: 1)
    assert not loop.join(0.01)
    loop.cancel()
    assert loop.join(TEST_TIMEOUT_S)


# On an event loop


async def test_a_coroutine_function_runs_on_the_loop_that_runs(display: FakeDisplay) -> None:
    threads = set()

    async def render() -> int:
        threads.add(threading.current_thread())
        await asyncio.sleep(0)
        if len(display.frames) == 5:
            raise StopAsyncIteration
        return len(display.frames)

    loop = start(display, render)
    await asyncio.wait_for(loop, TEST_TIMEOUT_S)
    assert display.frames == [0, 1, 2, 3, 4] and threads == {threading.current_thread()}


async def test_a_coroutine_that_fails_costs_one_frame(display: FakeDisplay, caplog: pytest.LogCaptureFixture) -> None:
    calls = iter(range(1 << 30))

    async def render() -> int:
        number = next(calls)
        if number == 0:
            raise ZeroDivisionError
        return number

    loop = start(display, render)
    await asyncio.to_thread(display.enough.wait, TEST_TIMEOUT_S)
    display.closed = True
    await asyncio.wait_for(loop, TEST_TIMEOUT_S)
    assert loop.errors == 1 and len(caplog.records) == 1 and display.frames[:3] == [1, 2, 3]


async def test_a_coroutine_that_hangs_is_cancelled(display: FakeDisplay) -> None:
    hung, let_go = asyncio.Event(), asyncio.Event()

    async def render() -> None:
        hung.set()
        try:
            await asyncio.Event().wait()
        finally:
            let_go.set()

    loop = start(display, render)
    await hung.wait()
    loop.cancel()
    await asyncio.wait_for(loop, TEST_TIMEOUT_S)
    assert let_go.is_set() and loop.done()


def test_a_loop_on_an_event_loop_ends_with_it(display: FakeDisplay) -> None:
    async def main() -> PublishLoop:
        async def render() -> int:
            return 1

        loop = start(display, render)
        await asyncio.sleep(0)
        return loop

    loop = asyncio.run(main())
    assert loop.done()
    loop.cancel()


def test_a_caller_that_stops_waiting_ends_nothing_and_is_not_held_up(display: FakeDisplay) -> None:
    loops: list[PublishLoop] = []

    async def main() -> None:
        loops.append(start(display, lambda: 1))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(loops[0], 0.02)

    asyncio.run(main())
    assert not loops[0].done(), "it goes on; and the event loop could end"
    loops[0].cancel()
    assert loops[0].join(TEST_TIMEOUT_S)


# What is asked for


async def frame_of_a_coroutine() -> int:
    return 1


@pytest.mark.parametrize(
    ("render", "line"),
    [
        (7, "it got a value of type int$"),
        (
            np.zeros((4, 6, 3)),
            r"without \(\); it got an array of shape \(4, 6, 3\)",
        ),
        (None, "it got a value of type NoneType"),
        (frame_of_a_coroutine, "it got a value of type coroutine"),
        (iter([1]), r"of an iterator, write \(display, frames.__next__\)"),
    ],
)
def test_a_function_that_was_called_instead_of_passed_is_said_so(display: FakeDisplay, render: Any, line: str) -> None:
    with pytest.raises(TypeError, match=line):
        publish_loop(cast(Any, display), cast(Any, render() if render is frame_of_a_coroutine else render))


def test_a_display_comes_first(display: FakeDisplay) -> None:
    with pytest.raises(
        TypeError, match="takes a display and a function, in this order; a value of type function came first"
    ):
        publish_loop(cast(Any, lambda: 1), cast(Any, display))


def test_what_cannot_be_a_loop_is_refused(display: FakeDisplay) -> None:
    for fps in (0, -1, 1001, float("nan"), None, "30", True):
        with pytest.raises(ValueError, match="is out of range: a number above 0, at most 1000"):
            start(display, lambda: 1, fps=cast(Any, fps))

    async def render() -> int:
        return 1

    with pytest.raises(RuntimeError, match="event loop"):
        start(display, render)


# Where an asyncio.Task is expected


async def test_a_loop_stands_where_a_task_is_expected(display: FakeDisplay) -> None:
    task: Any = start(display, lambda: 1)
    other: Any = start(display, lambda: 1)
    with pytest.raises(asyncio.InvalidStateError):
        task.result()
    with pytest.raises(asyncio.InvalidStateError):
        task.exception()
    assert task.cancel("enough") and other.cancel()
    done, pending = await asyncio.wait([task, other], timeout=TEST_TIMEOUT_S)
    assert done == {task, other} and not pending
    assert task.result() is None and task.exception() is None
    await asyncio.gather(task, asyncio.shield(other))
    await asyncio.wait_for(task, TEST_TIMEOUT_S)


async def test_a_callback_at_the_end_runs_on_the_event_loop(display: FakeDisplay) -> None:
    task = start(display, lambda: 1)
    threads, ended = [], asyncio.Event()

    def callback(of: PublishLoop) -> None:
        assert of is task
        threads.append(threading.current_thread())
        ended.set()

    task.add_done_callback(callback)
    task.add_done_callback(threads.append)  # type: ignore[arg-type]
    assert task.remove_done_callback(threads.append) == 1  # type: ignore[arg-type]
    assert task.remove_done_callback(threads.append) == 0  # type: ignore[arg-type]
    task.cancel()
    await asyncio.wait_for(ended.wait(), TEST_TIMEOUT_S)
    ended.clear()
    task.add_done_callback(callback)
    await asyncio.wait_for(ended.wait(), TEST_TIMEOUT_S)
    assert threads == [threading.main_thread()] * 2


def test_a_callback_without_an_event_loop_runs_on_a_thread(
    display: FakeDisplay, caplog: pytest.LogCaptureFixture
) -> None:
    task, ended = start(display, lambda: 1), threading.Event()
    task.add_done_callback(lambda _: 1 / 0)
    task.add_done_callback(lambda _: ended.set())
    task.cancel()
    assert ended.wait(TEST_TIMEOUT_S)
    assert "a callback failed" in caplog.text


def test_a_callback_for_an_event_loop_that_is_closed_is_left_away(display: FakeDisplay) -> None:
    task = start(display, lambda: 1)
    calls: list[Any] = []

    async def add() -> None:
        task.add_done_callback(calls.append)

    asyncio.run(add())
    task.cancel()
    assert task.join(TEST_TIMEOUT_S) and not calls


PROGRAM = """
import os, threading, time, types
import framewire as fw
display = types.SimpleNamespace(publish=lambda frame: os.write(1, b"published"), closed=False)
started = threading.Event()
def draw():
    started.set()
    time.sleep(0.3)
    os.write(1, b"drawn")
fw.publish_loop(display, draw)
started.wait()
"""


def test_a_program_that_ends_lets_the_function_that_draws_end_first() -> None:
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment(), capture_output=True, timeout=TEST_TIMEOUT_S, check=False
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, b"drawn", b"")


def test_a_program_ends_though_its_function_waits_for_ever() -> None:
    program = PROGRAM.replace("time.sleep(0.3)", "time.sleep(100)")
    run = subprocess.run(
        [sys.executable, "-c", program], env=environment(), capture_output=True, timeout=TEST_TIMEOUT_S, check=False
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, b"", b"")


@pytest.mark.parametrize("kind", ["publishes", "renders nothing", "is not watched", "fails"])
def test_a_loop_ends_with_its_engine_and_says_so(
    display: FakeDisplay, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    begun = threading.Event()

    def render() -> Any:
        begun.set()
        if kind == "fails" and display.server.failure:
            raise ZeroDivisionError
        return None if kind == "renders nothing" else 1

    loop = publish_loop(display, render, fps=500, only_watched=kind == "is not watched")  # type: ignore[arg-type]
    display.is_watched = False
    assert begun.wait(TEST_TIMEOUT_S)
    display.server.failure = "it exited again and again"
    assert loop.join(TEST_TIMEOUT_S) and not loop.cancelled()
    assert isinstance(loop.exception(), fw.EngineError)
    with pytest.raises(fw.EngineError, match=r"^it exited again and again$"):
        loop.result()
    logged = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert logged == ["framewire: publish_loop has ended: there is no engine any more"]


async def test_awaiting_a_loop_raises_what_ended_its_engine(display: FakeDisplay) -> None:
    async def render() -> int:
        display.server.failure = "it exited again and again"
        return 1

    with pytest.raises(fw.EngineError, match=r"^it exited again and again$"):
        await asyncio.wait_for(start(display, render), TEST_TIMEOUT_S)


def test_a_loop_without_memory_for_a_frame_goes_on(display: FakeDisplay) -> None:
    answers = iter([fw.EngineError("3 MB of shared memory for frames cannot be had")])

    def render() -> int:
        for error in answers:
            raise error
        return 1

    loop = start(display, render)
    assert display.enough.wait(TEST_TIMEOUT_S) and loop.errors == 1
    loop.cancel()
    assert loop.join(TEST_TIMEOUT_S) and loop.exception() is None
