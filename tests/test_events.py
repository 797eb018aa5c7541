"""The queue of input events: polled, awaited and given to callbacks, from any thread."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NotRequired, get_args, get_origin, get_type_hints

import pytest

from framewire import events as events_module
from framewire import wire
from framewire.events import Callbacks, EventQueue, InputEvent, run_callback
from framewire.waiting_events import size_of

TEST_TIMEOUT_S = 10.0


def event(number: int) -> InputEvent:
    return InputEvent("viewer", None, {"type": "char", "n": number}, 1_000_000 + number)  # type: ignore[arg-type]


def numbers(events: list[InputEvent]) -> list[int]:
    return [each.event["n"] for each in events]  # type: ignore[typeddict-item]


def test_an_event_holds_still():
    with pytest.raises(dataclasses.FrozenInstanceError):
        event(1).client_id = "another"  # type: ignore[misc]


def test_polling_empties_the_queue_oldest_first():
    queue = EventQueue(10)
    for number in range(3):
        queue.put(event(number))
    assert numbers(queue.poll()) == [0, 1, 2] and queue.poll() == []


def test_a_full_queue_drops_its_oldest_events_and_counts_them():
    queue = EventQueue(3)
    for number in range(10):
        queue.put(event(number))
    assert numbers(queue.poll()) == [7, 8, 9] and queue.dropped == 7


def test_a_queue_has_no_more_than_two_kibibytes_an_event_however_large_they_are():
    queue = EventQueue(64)
    touches = {str(number): {"x": 0.5, "y": 0.5, "pressure": 0.5} for number in range(32)}
    for number in range(200):
        queue.put(InputEvent("v", None, {"type": "double_click", "touches": touches, "n": number}, 0))  # type: ignore[arg-type]
    kept = queue.poll()
    assert sum(size_of(each.event) for each in kept) <= 64 * 2048 and numbers(kept)[-1] == 199
    assert queue.dropped == 200 - len(kept)


def test_moves_are_all_kept_while_there_is_room():
    """A program that polls now and then may draw the whole line."""
    queue = EventQueue(100)
    for x in range(100):
        queue.put(InputEvent("v", None, {"type": "pointer_move", "timestamp": x, "x": x, "y": 0}, 0))
    assert [each.event["x"] for each in queue.poll()] == list(range(100))  # type: ignore[typeddict-item]


def test_what_went_down_before_a_poll_and_was_dropped_does_not_come_up_after_it():
    queue = EventQueue(1)
    for key in "ab":
        queue.put(InputEvent("v", None, {"type": "key_down", "timestamp": 0, "key": key}, 0))
    assert [each.event["key"] for each in queue.poll()] == ["b"]  # type: ignore[typeddict-item]
    for key in "ab":
        queue.put(InputEvent("v", None, {"type": "key_up", "timestamp": 0, "key": key}, 0))
    assert [each.event["key"] for each in queue.poll()] == ["b"]  # type: ignore[typeddict-item]


def test_events_are_put_while_whoever_takes_them_is_interrupted():
    """By a signal handler that takes its time: the thread that puts them watches the engine."""
    queue = EventQueue(10)
    queue.put(event(1))
    waiting = queue._arrived._waiting[0]
    take = waiting.take

    def interrupted() -> list[InputEvent]:
        thread = threading.Thread(target=queue.put, args=(event(2),))
        thread.start()
        thread.join(TEST_TIMEOUT_S)
        assert not thread.is_alive()
        return take()

    waiting.take = interrupted  # type: ignore[assignment, method-assign]
    assert numbers(queue.poll()) == [1, 2]


def test_every_callback_gets_every_value_until_it_is_removed():
    callbacks: Callbacks[int] = Callbacks()
    first: list[int] = []
    second: list[int] = []
    assert not callbacks
    remove = callbacks.add(first.append)
    callbacks.add(second.append)
    callbacks.call(1)
    remove()
    remove()
    callbacks.call(2)
    assert (first, second) == ([1], [1, 2]) and callbacks


def test_a_callback_may_remove_itself_and_the_next_one_is_called():
    callbacks: Callbacks[int] = Callbacks()
    seen: list[int] = []

    def once(each: int) -> None:
        seen.append(each)
        remove()

    remove = callbacks.add(once)
    callbacks.add(seen.append)
    callbacks.call(1)
    callbacks.call(2)
    assert seen == [1, 1, 2]


@pytest.mark.parametrize("raised", [ZeroDivisionError(), SystemExit(), KeyboardInterrupt()])
def test_a_callback_that_raises_is_logged_a_few_times_and_stops_nothing(
    caplog: pytest.LogCaptureFixture, raised: BaseException
):
    callbacks: Callbacks[int] = Callbacks()
    seen: list[int] = []

    def fail(_: int) -> None:
        raise raised

    callbacks.add(fail)
    callbacks.add(seen.append)
    for number in range(100):
        callbacks.call(number)
    assert seen == list(range(100)) and 1 <= len(caplog.records) <= 5
    record = caplog.records[0]
    assert (record.name, record.levelno) == ("framewire", logging.ERROR) and record.exc_info
    assert record.getMessage() == "framewire: a callback failed"


def test_a_callback_gets_its_arguments_and_interrupts_pass():
    got: list[tuple[int, int]] = []
    run_callback(lambda one, two: got.append((one, two)), 1, 2)
    assert got == [(1, 2)]

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_callback(interrupt)


async def test_a_feed_gives_what_is_there_and_then_what_comes():
    queue = EventQueue(10)
    queue.put(event(1))
    feed = queue.feed()
    assert (await anext(feed)).event["n"] == 1  # type: ignore[typeddict-item]
    for number in (2, 3):
        waiting = asyncio.ensure_future(anext(feed))
        await asyncio.sleep(0)
        assert not waiting.done()
        await asyncio.to_thread(queue.put, event(number))
        assert (await asyncio.wait_for(waiting, TEST_TIMEOUT_S)).event["n"] == number  # type: ignore[typeddict-item]
    await feed.aclose()


async def test_a_feed_that_waits_wakes_for_events_only():
    """Nothing of an earlier event is left that would make it spin."""
    queue = EventQueue(10)
    polls = 0
    poll = queue.poll

    def counted() -> list[InputEvent]:
        nonlocal polls
        polls += 1
        return poll()

    queue.poll = counted  # type: ignore[method-assign]
    feed = queue.feed()
    queue.put(event(1))
    await anext(feed)
    waiting = asyncio.ensure_future(anext(feed))
    for _ in range(20):
        await asyncio.sleep(0)
    assert polls <= 3
    queue.put(event(2))
    assert (await asyncio.wait_for(waiting, TEST_TIMEOUT_S)).event["n"] == 2  # type: ignore[typeddict-item]
    await feed.aclose()


async def test_closing_ends_every_feed_and_loses_nothing_that_came_before():
    queue = EventQueue(10)

    async def follow() -> list[int]:
        return numbers([each async for each in queue.feed()])

    following = [asyncio.create_task(follow()) for _ in range(2)]
    await asyncio.sleep(0)
    queue.put(event(1))
    await asyncio.to_thread(queue.close)
    queue.close()
    first, second = await asyncio.wait_for(asyncio.gather(*following), TEST_TIMEOUT_S)
    assert sorted(first + second) == [1]
    queue.put(event(2))
    assert await asyncio.wait_for(follow(), TEST_TIMEOUT_S) == [2], "a feed that starts late ends as well"


async def test_closing_ends_a_feed_that_waits():
    queue = EventQueue(10)
    waiting = asyncio.ensure_future(anext(queue.feed(), None))
    await asyncio.sleep(0)
    await asyncio.to_thread(queue.close)
    assert await asyncio.wait_for(waiting, TEST_TIMEOUT_S) is None


def test_an_event_wakes_no_loop_that_has_ended():
    queue = EventQueue(10)

    async def begin() -> None:
        feed = queue.feed()
        feeds.append(feed)
        waiting = asyncio.ensure_future(anext(feed))
        await asyncio.sleep(0)
        waiting.cancel()

    feeds: list[object] = []
    loop = asyncio.new_event_loop()
    loop.run_until_complete(begin())
    loop.close()
    queue.put(event(1))
    assert numbers(queue.poll()) == [1]


async def test_a_feed_that_is_closed_is_woken_no_more(monkeypatch: pytest.MonkeyPatch):
    queue = EventQueue(10)
    woken: list[object] = []
    feed = queue.feed()
    waiting = asyncio.ensure_future(anext(feed))
    await asyncio.sleep(0)
    monkeypatch.setattr(asyncio.get_running_loop(), "call_soon_threadsafe", woken.append)
    queue.put(event(1))
    assert len(woken) == 1
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    queue.put(event(2))
    assert len(woken) == 1


async def test_a_loop_that_stands_still_is_woken_once(monkeypatch: pytest.MonkeyPatch):
    queue = EventQueue(10)
    loop = asyncio.get_running_loop()
    soon, woken = loop.call_soon_threadsafe, list[object]()

    def counted(callback: Callable[[], object]) -> None:
        woken.append(callback)
        soon(callback)

    feed = queue.feed()
    waiting = asyncio.ensure_future(anext(feed))
    await asyncio.sleep(0)
    monkeypatch.setattr(loop, "call_soon_threadsafe", counted)
    for number in range(1000):
        queue.put(event(number))
    assert len(woken) == 1
    await asyncio.wait_for(waiting, TEST_TIMEOUT_S)
    waiting = asyncio.ensure_future(anext(feed))
    await asyncio.wait_for(waiting, TEST_TIMEOUT_S)
    queue.put(event(1000))
    assert len(woken) == 2
    await feed.aclose()


def test_many_threads_may_poll():
    queue = EventQueue(10_000)
    got: list[InputEvent] = []
    errors: list[BaseException] = []

    def poll() -> None:
        try:
            for _ in range(2000):
                got.extend(queue.poll())
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=poll) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(2000):
        queue.put(event(number))
    for thread in threads:
        thread.join()
    got.extend(queue.poll())
    assert not errors and sorted(numbers(got)) == list(range(2000))


# Types


def test_the_types_of_events_are_those_of_the_contract() -> None:
    kinds = get_args(events_module.RenderviewInput)
    hints = [get_type_hints(kind) for kind in kinds]
    types = [name for hint in hints for name in get_args(hint["type"])]
    assert sorted(types) == sorted(get_args(wire.EventType)), "each type has one"
    fields = {name for hint in hints for name in hint}
    assert fields == set(wire.RenderviewEvent.__struct_fields__)
    assert get_type_hints(events_module.Touch).keys() == set(wire.Touch.__struct_fields__)


def test_each_type_of_event_has_the_fields_of_its_row_in_the_contract() -> None:
    text = (Path(__file__).parent.parent / "signaling" / "README.md").read_text()
    table = text.split("\n## Input events\n")[1].split("\n\n`x`")[0]
    rows = [
        [re.findall(r"`(\w+)`", cell) for cell in row.split("|")[1:3]] for row in re.findall(r"^\| `.*$", table, re.M)
    ]
    of_type = {type_: {"type", "timestamp", *fields} for types, fields in rows for type_ in types}
    hints = [get_type_hints(kind) for kind in get_args(events_module.RenderviewInput)]
    assert {type_: set(hint) for hint in hints for type_ in get_args(hint["type"])} == of_type


def test_what_the_engine_lets_through_is_what_the_types_say() -> None:
    for kind in get_args(events_module.RenderviewInput):
        for type_ in get_args(get_type_hints(kind)["type"]):
            needed, possible = wire.EVENT_FIELDS[type_]
            hints = get_type_hints(kind, include_extras=True)
            optional = {name for name, hint in hints.items() if get_origin(hint) is NotRequired}
            assert needed | {"type", "timestamp"} == hints.keys() - optional and possible == optional
