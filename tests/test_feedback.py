"""What comes back from viewers waits for no function of the program's. Those get it in order, on their own thread."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import pytest

import framewire as fw
from framewire import feedback as module
from framewire import wire
from framewire.errors import EngineError
from framewire.events import InputEvent
from framewire.feedback import Feedback
from framewire.viewers import ViewerEvent, WatchingViewer
from tests.viewer import TEST_TIMEOUT_S, connected, flat, same
from tests.viewer import eventually as soon

ADA, BOB = WatchingViewer("a"), WatchingViewer("b")


def event(number: int, kind: str = "char", client_id: str = "v") -> InputEvent:
    return InputEvent(client_id, None, {"type": kind, "timestamp": number, "n": number}, number)  # type: ignore[arg-type]


def numbers(events: list[InputEvent]) -> list[int]:
    return [each.received_us for each in events]


class Slow:
    """A function that takes as long as the test likes, and records its calls."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.threads: set[threading.Thread] = set()
        self.busy, self.go_on = threading.Event(), threading.Event()

    def __call__(self, value: Any) -> None:
        self.threads.add(threading.current_thread())
        self.calls.append(value)
        self.busy.set()
        assert self.go_on.wait(TEST_TIMEOUT_S)

    def is_busy(self) -> bool:
        return self.busy.wait(TEST_TIMEOUT_S)


def eventually(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + TEST_TIMEOUT_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def until(feedback: Feedback) -> None:
    """Wait until all functions have been called with what has come so far."""
    done = threading.Event()
    remove = feedback.callbacks.on_viewers(lambda _: done.set())
    feedback.callbacks.take_viewers((), (ADA,))
    assert done.wait(TEST_TIMEOUT_S)
    remove()


def test_functions_get_everything_in_order_on_one_thread_of_their_own() -> None:
    feedback = Feedback(0)
    seen: list[tuple[Any, threading.Thread]] = []
    remove = feedback.callbacks.on_event(lambda each: seen.append((each.received_us, threading.current_thread())))
    for number in range(500):
        feedback.take_event(event(number))
    until(feedback)
    remove()
    feedback.take_event(event(500))
    until(feedback)
    assert [each for each, _ in seen] == list(range(500)), "whatever the queue itself keeps"
    (thread,) = {thread for _, thread in seen}
    assert (thread.name, thread.daemon) == ("framewire-callbacks", True) and thread is not threading.current_thread()
    feedback.close()
    thread.join(TEST_TIMEOUT_S)
    assert not thread.is_alive()


def test_while_a_function_runs_nothing_waits_for_it() -> None:
    feedback, slow = Feedback(10), Slow()
    feedback.callbacks.on_event(slow)
    feedback.take_event(event(1))
    assert slow.is_busy()
    feedback.take_event(event(2))
    feedback.take_viewers((ADA,))
    feedback.take_stats({"viewers": 1})
    assert numbers(feedback.events.poll()) == [1, 2] and feedback.viewers == (ADA,) and feedback.stats["viewers"] == 1
    assert len(slow.calls) == 1
    slow.go_on.set()
    until(feedback)
    assert numbers(slow.calls) == [1, 2]
    feedback.close()


def test_moves_that_wait_become_one_and_all_else_keeps_its_place() -> None:
    feedback, slow = Feedback(0), Slow()
    feedback.callbacks.on_event(slow)
    feedback.take_event(event(0))
    assert slow.is_busy()
    for number in range(1, 50):
        feedback.take_event(event(number, "pointer_move"))
    feedback.take_event(event(50, "pointer_down"))
    for number in range(51, 99):
        feedback.take_event(event(number, "pointer_move"))
    slow.go_on.set()
    until(feedback)
    assert numbers(slow.calls) == [0, 49, 50, 98] and feedback.stats["dropped_events"]["on_event"] == 0
    feedback.close()


def test_what_waits_for_a_callback_is_bounded() -> None:
    assert module.MAX_WAITING_EVENTS == 1024
    feedback, slow = Feedback(4), Slow()
    feedback.callbacks.on_event(slow)
    feedback.take_event(event(0))
    assert slow.is_busy()
    for number in range(1, 3000):
        feedback.take_event(event(number))
    slow.go_on.set()
    until(feedback)
    called = numbers(slow.calls)
    assert len(called) <= 1025 and called == [0, *range(3001 - len(called), 3000)], "the newest, in order"
    assert feedback.stats["dropped_events"] == {"poll_events": 2996, "on_event": 3000 - len(called)}
    feedback.close()


def test_reports_of_viewers_that_wait_become_one() -> None:
    assert module.MAX_WAITING_REPORTS == 64
    feedback, slow = Feedback(0), Slow()
    changes: list[ViewerEvent] = []
    feedback.callbacks.on_event(slow)
    feedback.callbacks.on_viewers(changes.append)
    feedback.take_event(event(0))
    assert slow.is_busy()
    for number in range(1000):
        feedback.take_viewers((ADA, BOB) if number % 2 else (ADA,))
    last = WatchingViewer("last")
    feedback.take_viewers((BOB, last))
    assert len(feedback.callbacks._mail._viewers) == 64
    slow.go_on.set()
    eventually(lambda: changes and changes[-1] == ViewerEvent("join", last))
    there = set[WatchingViewer]()
    for change in changes:
        assert (change.viewer in there) == (change.type == "leave"), "each comes, and then leaves"
        there ^= {change.viewer}
    assert there == {BOB, last} and len(changes) <= 2 * 64
    feedback.close()


def test_events_come_before_the_change_that_came_after_them() -> None:
    feedback, slow, seen = Feedback(0), Slow(), list[str]()
    feedback.callbacks.on_event(lambda each: seen.append(each.event["type"]))
    feedback.callbacks.on_viewers(lambda each: seen.append(each.type))
    feedback.callbacks.on_event(slow)
    feedback.take_event(event(0))
    assert slow.is_busy()
    feedback.take_event(event(1, "close"))
    feedback.callbacks.take_viewers((ADA,), ())
    slow.go_on.set()
    until(feedback)
    assert seen[:3] == ["char", "close", "leave"]
    feedback.close()


def test_a_function_that_raises_stops_nothing_and_is_logged_a_few_times(caplog: pytest.LogCaptureFixture) -> None:
    feedback, seen = Feedback(0), list[InputEvent]()
    feedback.callbacks.on_event(lambda _: sys.exit("stop"))
    feedback.callbacks.on_event(lambda _: 1 / 0)
    feedback.callbacks.on_event(seen.append)
    for number in range(100):
        feedback.take_event(event(number))
    until(feedback)
    feedback.close()
    assert numbers(seen) == list(range(100))
    assert 1 <= len([record for record in caplog.records if record.levelno >= logging.ERROR]) <= 5


def test_no_call_begins_after_the_end_and_the_end_waits_for_none() -> None:
    feedback, slow = Feedback(10), Slow()
    feedback.callbacks.on_event(slow)
    feedback.callbacks.on_viewers(slow)
    feedback.take_event(event(1))
    assert slow.is_busy()
    (thread,) = slow.threads
    feedback.take_event(event(2))
    feedback.take_viewers((ADA,))
    feedback.close()
    feedback.close()
    feedback.take_event(event(3))
    assert thread.is_alive(), "it is in the function still"
    slow.go_on.set()
    thread.join(TEST_TIMEOUT_S)
    assert not thread.is_alive() and numbers(slow.calls) == [1]
    assert numbers(feedback.events.poll()) == [1, 2, 3]
    feedback.callbacks.on_event(slow)


def test_a_function_may_end_the_stream_that_it_is_called_for() -> None:
    feedback, calls, threads = Feedback(0), list[int](), list[threading.Thread]()

    def end(each: InputEvent) -> None:
        calls.append(each.received_us)
        threads.append(threading.current_thread())
        feedback.close()

    feedback.callbacks.on_event(end)
    feedback.take_event(event(1))
    feedback.take_event(event(2))
    eventually(lambda: threads)
    threads[0].join(TEST_TIMEOUT_S)
    assert calls == [1] and not threads[0].is_alive()


def test_there_is_no_thread_without_a_function(monkeypatch: pytest.MonkeyPatch) -> None:
    feedback = Feedback(3)
    monkeypatch.setattr(threading, "Thread", None)
    feedback.take_event(event(1))
    feedback.take_viewers((ADA,))
    feedback.close()
    assert not feedback.callbacks._mail.events, "and nothing waits for one"


def test_the_thread_ends_with_what_it_was_for_even_where_a_function_holds_that() -> None:
    feedback = Feedback(0)
    own: list[Any] = [feedback]
    threads: list[threading.Thread] = []
    feedback.callbacks.on_event(lambda _, own=own: threads.append(threading.current_thread()))  # type: ignore[misc]
    feedback.take_event(event(1))
    until(feedback)
    found = weakref.ref(feedback)
    del feedback, own
    gc.collect()
    assert found() is None
    threads[0].join(TEST_TIMEOUT_S)
    assert not threads[0].is_alive()


def test_where_there_is_no_thread_to_be_had_the_program_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    feedback, seen = Feedback(0), list[InputEvent]()

    class Refused(threading.Thread):
        def start(self) -> None:
            raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading, "Thread", Refused)
    with pytest.raises(EngineError, match=r"^the callback gets no thread: can't start new thread; raise .*ulimit -u"):
        feedback.callbacks.on_event(seen.append)
    monkeypatch.undo()
    feedback.callbacks.on_viewers(lambda _: None)
    feedback.take_event(event(1))
    until(feedback)
    assert seen == [], "it was not taken"
    feedback.close()


def test_a_failed_engine_is_told_to_the_functions() -> None:
    feedback, changes = Feedback(0), list[ViewerEvent]()
    feedback.callbacks.on_viewers(changes.append)
    feedback.take_viewers((ADA,))
    feedback.take_stats({"viewers": 1})
    feedback.fail()
    until(feedback)
    assert [change.type for change in changes[:2]] == ["join", "leave"] and feedback.stats["viewers"] == 0
    feedback.close()


def test_a_function_that_never_returns_keeps_no_program_from_its_end() -> None:
    program = textwrap.dedent("""
        import threading
        from framewire.events import InputEvent
        from framewire.feedback import Feedback
        busy = threading.Event()
        def hang(_):
            busy.set()
            threading.Event().wait()
        feedback = Feedback(0)
        feedback.callbacks.on_event(hang)
        feedback.take_event(InputEvent("v", None, {"type": "show", "timestamp": 0}, 0))
        assert busy.wait(30)
        feedback.close()
        print("over")
    """)
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=TEST_TIMEOUT_S, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "over\n", "")


# With an engine


def test_a_callback_that_never_returns_delays_nothing() -> None:
    """The engine is watched, started again and closed meanwhile, and who watches is known."""
    busy, released, ended = threading.Event(), threading.Event(), list[str]()

    def hang(item: InputEvent) -> None:
        busy.set()
        released.wait(4 * TEST_TIMEOUT_S)

    slow = fw.serve(16, 16, name="slow", port=0)
    slow.on_event(hang)
    slow.on_viewers(lambda change: ended.append(change.type))
    slow.publish(flat(16, 16, 5))

    async def click() -> None:
        async with connected(slow.ws_url, slow.server.token) as viewer:
            sub = await viewer.subscribe("slow")
            await soon(lambda: slow.client_count == 1)
            await viewer.send(wire.Input(sub, wire.RenderviewEvent("pointer_down", 1.0, x=3.0, y=4.0, button=1)))
            assert await asyncio.to_thread(busy.wait, TEST_TIMEOUT_S)
            old = slow.server.engine_pid
            assert old
            os.kill(old, signal.SIGKILL)
            async with connected(slow.ws_url, slow.server.token) as other:
                await soon(lambda: "slow" in other.streams)
                await other.subscribe("slow")
                assert same(await other.unit(), flat(16, 16, 5))
                await soon(lambda: slow.client_count == 1)
            await soon(lambda: slow.client_count == 0)

    try:
        asyncio.run(click())
        assert ended in ([], ["join"]), "the rest waits for the callback"
        slow.close()
        assert slow.closed and not released.is_set()
    finally:
        released.set()
        slow.close()
