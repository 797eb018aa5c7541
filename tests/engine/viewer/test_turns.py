"""The loop's time for messages: a little of each turn, and whoever waited longest goes first."""

from __future__ import annotations

import asyncio

from framewire.engine.viewer.turns import TURN_S, Turns


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def viewer(name: str, turns: Turns, clock: Clock, messages: int, taken: list[str], cost_s: float) -> None:
    for _ in range(messages):
        await turns.wait()
        with turns.taken():
            taken.append(name)
            clock.now += cost_s


async def test_messages_have_a_little_of_each_turn() -> None:
    clock, taken = Clock(), list[str]()
    turns = Turns(clock)
    task = asyncio.create_task(viewer("a", turns, clock, 40, taken, TURN_S / 4))
    most, before = 0, 0
    while not task.done():
        await asyncio.sleep(0)
        most, before = max(most, len(taken) - before), len(taken)
    assert len(taken) == 40 and most <= 5, "a turn ends after four messages"


async def test_short_messages_that_wait_share_a_turn() -> None:
    clock, taken = Clock(), list[str]()
    turns = Turns(clock)
    long = asyncio.create_task(viewer("long", turns, clock, 1, taken, TURN_S))
    short = [asyncio.create_task(viewer(str(n), turns, clock, 1, taken, TURN_S / 100)) for n in range(100)]
    loops = 0
    while len(taken) < 101:
        await asyncio.sleep(0)
        loops += 1
    assert loops <= 20, "a hundred viewers do not wait a hundred turns of a busy loop"
    assert taken == ["long", *(str(n) for n in range(100))]
    await asyncio.gather(long, *short)


async def test_long_messages_that_wait_have_a_turn_each() -> None:
    clock, taken = Clock(), list[str]()
    turns = Turns(clock)
    tasks = [asyncio.create_task(viewer(str(n), turns, clock, 1, taken, TURN_S)) for n in range(40)]
    before = 0
    while len(taken) < 40:
        await asyncio.sleep(0)
        assert len(taken) - before <= 1
        before = len(taken)
    assert taken == [str(n) for n in range(40)], "in order"
    await asyncio.gather(*tasks)


async def test_a_message_alone_does_not_wait() -> None:
    turns = Turns(Clock())
    for _ in range(100):
        waiting = turns.wait()
        try:
            waiting.send(None)
        except StopIteration:
            continue
        raise AssertionError("it waited, and no other viewer did")


async def test_whoever_waits_longest_goes_first_and_no_viewer_takes_all() -> None:
    clock, taken = Clock(), list[str]()
    turns = Turns(clock)
    floods = [viewer(name, turns, clock, 20, taken, TURN_S) for name in "abc"]
    tasks = [asyncio.create_task(flood) for flood in floods]
    await asyncio.sleep(0)
    await asyncio.wait_for(viewer("quiet", turns, clock, 1, taken, 0.0), 5)
    assert taken.index("quiet") <= 4
    await asyncio.gather(*tasks)
    assert all(10 <= taken[:40].count(name) <= 16 for name in "abc")


async def test_a_viewer_that_leaves_while_it_waits_keeps_no_other() -> None:
    clock, taken = Clock(), list[str]()
    turns = Turns(clock)
    tasks = [asyncio.create_task(viewer(name, turns, clock, 2, taken, TURN_S)) for name in "abcd"]
    await asyncio.sleep(0)
    for task in tasks[1:3]:
        task.cancel()
    await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)
    assert taken.count("a") == taken.count("d") == 2
