"""Peers of one engine are opened one after another, first come first served."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import pytest

from framewire.engine.viewer.openings import PEERS_AT_ONCE, PEERS_PER_S, PeerOpenings
from tests.engine.stream.virtual import VirtualLoop


def run(test: Awaitable[None]) -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(test)  # type: ignore[arg-type]


class Opened:
    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.openings = PeerOpenings(self.loop.time)
        self.began = self.loop.time()
        self.at: list[tuple[int, float]] = []

    async def open(self, number: int) -> None:
        await self.openings.wait()
        self.at.append((number, self.loop.time() - self.began))


def test_many_peers_are_opened_one_after_another() -> None:
    async def test() -> None:
        opened = Opened()
        await asyncio.gather(*(opened.open(number) for number in range(PEERS_AT_ONCE + 40)))
        assert [number for number, _ in opened.at] == list(range(PEERS_AT_ONCE + 40))
        times = [at for _, at in opened.at]
        assert times[PEERS_AT_ONCE - 1] == 0.0
        assert times[PEERS_AT_ONCE:] == pytest.approx([each / PEERS_PER_S for each in range(1, 41)])

    run(test())


def test_a_viewer_that_leaves_takes_no_turn() -> None:
    async def test() -> None:
        opened = Opened()
        tasks = [asyncio.create_task(opened.open(number)) for number in range(PEERS_AT_ONCE + 20)]
        await asyncio.sleep(0)
        for task in tasks[PEERS_AT_ONCE : PEERS_AT_ONCE + 19]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        number, at = opened.at[-1]
        assert number == PEERS_AT_ONCE + 19 and at == pytest.approx(1 / PEERS_PER_S)

    run(test())
