"""A peer's commands: in order, one at a time, and none after its end."""

from __future__ import annotations

import asyncio
from typing import cast

from framewire.engine.runner import PeerRunner
from framewire.rtc.peer import Peer
from tests.viewer import eventually


class Hanging:
    """A peer that only notes its end."""

    closed = False

    async def close(self) -> None:
        self.closed = True


def runner() -> tuple[PeerRunner, Hanging]:
    peer = Hanging()
    return PeerRunner(1, cast("Peer", peer)), peer


async def test_commands_are_carried_out_one_by_one_in_order() -> None:
    made, _ = runner()
    done: list[str] = []

    async def command(name: str, turns: int) -> None:
        done.append(f"{name} begins")
        for _ in range(turns):
            await asyncio.sleep(0)
        done.append(f"{name} ends")

    made.do(command("long", 5))
    made.do(command("short", 0))
    await eventually(lambda: len(done) == 4, "both are carried out")
    assert done == ["long begins", "long ends", "short begins", "short ends"]
    await made.close()


async def test_at_its_end_one_is_cut_short_and_the_others_never_begin() -> None:
    made, peer = runner()
    began: list[str] = []

    async def command(name: str) -> None:
        began.append(name)
        await asyncio.Event().wait()

    made.do(command("first"))
    made.do(command("second"))
    await eventually(lambda: began == ["first"], "the first begins")
    await made.close()
    assert began == ["first"] and peer.closed
