"""A peer's commands: in order, one at a time, and none after its end."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from framewire.engine.viewer import peer_runner as runner_module
from framewire.engine.viewer.peer_runner import PeerRunner
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


async def test_while_the_video_comes_up_credits_wait_and_are_paid_at_its_end() -> None:
    made, _ = runner()
    paid: list[int] = []
    assert not made.later(lambda: paid.append(0)), "it is not connected"
    made.begin()
    assert made.connected
    assert made.later(lambda: paid.append(1)) and made.later(lambda: paid.append(2))
    assert not paid
    await made.close()
    assert paid == [1, 2]
    assert not made.later(lambda: paid.append(3))


async def test_the_video_has_its_time_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_module, "FIRST_FRAMES", 0.02)
    made, _ = runner()
    paid: list[int] = []
    made.begin()
    made.later(lambda: paid.append(1))
    await eventually(lambda: paid == [1], "it is paid when the time is over")
    await made.close()
    assert paid == [1]
