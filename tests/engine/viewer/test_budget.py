"""The budget of one viewer: what a page does is free, what a flood does is slowed down and then refused."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from framewire import wire
from framewire.engine.viewer import budget
from framewire.engine.viewer.budget import (
    BURST_TOKENS,
    BYTES_PER_TOKEN,
    CLOSED_WAIT_S,
    MAX_EXCESS_S,
    RECOVERED_TOKENS,
    REPORT_TOKENS,
    TOKENS_PER_S,
    WORK_TOKENS,
    Budget,
    cost,
)
from framewire.errors import RemoteProtocolError
from tests.engine.served import TOKEN, ServedEngine
from tests.viewer import connected

MOVE = wire.RenderviewEvent("pointer_move", 1.0, x=1.0, y=2.0, buttons=[], modifiers=[])
EVENTS = (wire.RenderviewEvent("show", 1.0), wire.RenderviewEvent("focus_in", 1.0), wire.RenderviewEvent("resize", 1.0))


def send(budget: Budget, messages: Iterable[wire.ViewerMessage], now: float) -> float:
    """The seconds that these messages must wait altogether."""
    waited = 0.0
    for message in messages:
        budget.spend_bytes(now + waited, len(wire.encode(message)) + 8)
        budget.spend(now + waited, cost(message))
        waited += budget.wait_s(now + waited)
    return waited


def report(sub: int, **more: bool) -> wire.Report:
    return wire.Report(sub, 1234567890123.4, True, 100_000, 100_000, **more)


def opens_with(views: int) -> list[wire.ViewerMessage]:
    """What a page sends when it opens with so many views."""
    sent: list[wire.ViewerMessage] = []
    for view in range(1, 2 * views, 2):
        sent += [wire.Subscribe(view, "default", "lossless"), wire.Subscribe(view + 1, "default", "webrtc")]
        sent += [report(view), report(view + 1), *(wire.Input(view, event) for event in EVENTS)]
    return sent


def test_a_page_that_opens_with_64_views_is_never_slowed_down() -> None:
    assert send(Budget(), opens_with(64), 0.0) == 0.0


def test_a_page_of_64_views_is_never_slowed_down() -> None:
    budget, now = Budget(), 100.0
    for _ in range(300):
        for _ in range(30):  # half a second: 60 acks a second of each view; moves, wheel and keys
            now += 1 / 60
            moves = [wire.Input(1, MOVE), wire.Input(1, wire.RenderviewEvent("wheel", 1.0, dx=0.0, dy=1.0))]
            assert send(budget, [*(wire.Ack(view, 1_000_000) for view in range(1, 65)), *moves], now) == 0.0
        assert send(budget, [report(view) for view in range(1, 65)], now) == 0.0


def test_scrolling_past_50_views_is_never_slowed_down() -> None:
    """Each view goes out of sight and comes back, twice in 5 s, beside all reports."""
    budget, now = Budget(), 0.0
    for turn in range(20):
        now += 2.5
        shown = turn % 2 == 0
        for view in range(1, 51):
            budget.spend(now, WORK_TOKENS * shown)  # it is sent a keyframe
            assert send(budget, [report(view), wire.Input(view, EVENTS[0])], now) == 0.0
        assert send(budget, [report(view) for view in [*range(1, 65)] * 5], now) == 0.0


def test_a_flood_is_slowed_down_to_the_rate() -> None:
    budget = Budget()
    waited = send(budget, [wire.Unsubscribe(1)] * 10_000, 0.0)
    free = BURST_TOKENS + TOKENS_PER_S * waited
    assert 10_000 <= free <= 10_000 * (1 + 40 / BYTES_PER_TOKEN) + 2


def test_a_flood_that_goes_on_is_refused() -> None:
    budget, now = Budget(), 0.0
    while now < MAX_EXCESS_S - 0.2:
        budget.spend(now, 100)
        now += budget.wait_s(now)
        budget.check(now)
    with pytest.raises(RemoteProtocolError, match="4429 limits: the viewer sends too much"):
        for _ in range(10):
            budget.spend(now, 100)
            now += budget.wait_s(now)
            budget.check(now)


def test_a_pause_ends_an_excess() -> None:
    budget, now = Budget(), 0.0
    for _ in range(10):
        budget.spend(now, BURST_TOKENS + 4000)
        assert budget.wait_s(now) > 0
        now += budget.wait_s(now)
        budget.check(now)
        now += RECOVERED_TOKENS / TOKENS_PER_S
        assert budget.wait_s(now) == 0.0
    budget.check(now)


def test_a_short_pause_does_not_end_an_excess() -> None:
    budget, now = Budget(), 0.0
    budget.spend(now, BURST_TOKENS)
    for _ in range(30):
        budget.spend(now, 700)
        now += budget.wait_s(now) + 0.9 * RECOVERED_TOKENS / TOKENS_PER_S
        assert budget.wait_s(now) == 0.0
    with pytest.raises(RemoteProtocolError):
        budget.check(now)


def test_a_viewer_that_spends_all_and_no_more_exceeds_nothing() -> None:
    budget = Budget()
    budget.spend(0.0, BURST_TOKENS)
    for now in range(1, 4 * int(MAX_EXCESS_S)):
        budget.spend(now, TOKENS_PER_S)
        assert budget.wait_s(now) == 0.0
        budget.check(now)
    budget.spend(now, 1.0)
    assert budget.wait_s(now) > 0.0
    budget.check(now + MAX_EXCESS_S)


def test_bytes_cost_as_well() -> None:
    budget = Budget()
    budget.spend_bytes(0.0, int(BURST_TOKENS) * BYTES_PER_TOKEN)
    assert budget.wait_s(0.0) == 0.0
    budget.spend_bytes(0.0, 1000 * BYTES_PER_TOKEN)
    assert budget.wait_s(0.0) == pytest.approx(1000 / TOKENS_PER_S)


def test_what_makes_work_costs_more() -> None:
    assert cost(wire.Subscribe(1, "default", "webrtc")) == cost(wire.Answer(1, 1, "x")) == WORK_TOKENS
    assert cost(report(1, keyframe=True)) == WORK_TOKENS
    assert cost(report(1, keyframe=False)) == cost(report(1)) == REPORT_TOKENS
    assert cost(wire.Unsubscribe(1)) == cost(wire.Candidate(1, "c", "0")) == cost(wire.Input(1, MOVE)) == 1.0
    assert cost(wire.Ack(1, 1)) == 0.0, "one that returns a credit answers a unit that was sent"


def test_the_contract_says_what_a_viewer_may_send() -> None:
    text = " ".join((Path(__file__).parents[3] / "signaling" / "README.md").read_text().split())
    assert f"a budget of {BURST_TOKENS:.0f} tokens, to which {TOKENS_PER_S:.0f} come back each second" in text
    assert f"exceeds its budget for {MAX_EXCESS_S:.0f} s, without half a second of pause, is closed with 4429" in text
    assert RECOVERED_TOKENS / TOKENS_PER_S == 0.5 and BYTES_PER_TOKEN == 1024
    rows = {
        int(row[1]): row[2] for row in re.finditer(r"\| (\d+) \| (an `ack`|any other|a `report`|a `subscribe`)", text)
    }
    said = {0.0: "an `ack`", 1.0: "any other", REPORT_TOKENS: "a `report`", WORK_TOKENS: "a `subscribe`"}
    assert {float(tokens): what for tokens, what in rows.items()} == said
    assert CLOSED_WAIT_S == 0.2


# The same of a real viewer


async def test_a_viewer_that_sends_too_much_is_read_slowly_and_then_closed_with_4429(
    engine: ServedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget, "MAX_EXCESS_S", 0.2)
    monkeypatch.setattr(budget, "BURST_TOKENS", 100.0)
    async with connected(engine.url, TOKEN) as viewer:
        sub = await viewer.subscribe("default")
        events = 0
        while not viewer._reader.done():
            with contextlib.suppress(ConnectionError):
                await viewer.send(wire.Input(sub, wire.RenderviewEvent("show", 1.0)))
                events += 1
            await asyncio.sleep(0)
        assert await viewer.closed() == 4429
    assert len(engine.listener.inputs) < events, "those that were not read yet"


@pytest.mark.parametrize(
    "what", [b"\x89\x80\0\0\0\0", b"\x8a\x80\0\0\0\0", b"\0\x80\0\0\0\0"], ids=["ping", "pong", "part"]
)
async def test_a_flood_that_brings_no_message_counts_as_well(
    engine: ServedEngine, monkeypatch: pytest.MonkeyPatch, what: bytes
) -> None:
    monkeypatch.setattr(budget, "MAX_EXCESS_S", 0.2)
    monkeypatch.setattr(budget, "BURST_TOKENS", 100.0)
    async with connected(engine.url, TOKEN) as viewer:
        connection = viewer.ws._response.connection
        assert connection and connection.transport
        socket = connection.transport
        socket.write(b"\x01\x80\0\0\0\0" if what[0] == 0 else b"")
        while not viewer._reader.done():
            socket.write(what * 1000)
            await asyncio.sleep(0.001)
        assert await viewer.closed() == 4429
