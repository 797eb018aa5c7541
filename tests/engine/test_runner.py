"""A peer's commands: in order, one at a time, and none after the end."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from framewire.engine.runner import PeerRunner
from framewire.rtc.peer import Peer
from tests.viewer import eventually


class Closing:
    """A peer that notes when it is closed."""

    def __init__(self, done: list[str]) -> None:
        self.done = done

    async def close(self) -> None:
        self.done.append("closed")


def runner(done: list[str]) -> PeerRunner:
    return PeerRunner(1, cast(Peer, Closing(done)))


async def test_commands_are_carried_out_one_after_the_other() -> None:
    done: list[str] = []
    running, go_on = runner(done), asyncio.Event()

    async def slow() -> None:
        await go_on.wait()
        done.append("slow")

    async def quick() -> None:
        done.append("quick")

    running.do(slow())
    running.do(quick())
    await asyncio.sleep(0.01)
    assert done == []
    go_on.set()
    await eventually(lambda: done == ["slow", "quick"])
    await running.close()


async def test_what_waits_when_it_closes_is_never_begun() -> None:
    done: list[str] = []
    running = runner(done)

    async def command(*words: Any) -> None:
        done.extend(words)
        await asyncio.sleep(60)

    running.do(command("begun"))
    running.do(command("never"))
    await eventually(lambda: done == ["begun"])
    await running.close()
    assert done == ["begun", "closed"]
