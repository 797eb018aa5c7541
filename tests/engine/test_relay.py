"""Viewers without a socket of their own: their messages, what they leave unread, and their end from both sides."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest

from framewire import wire
from framewire.authentication import ConnectionRequest
from framewire.codec.messages import MAX_BINARY_MESSAGE_BYTES
from framewire.engine import engine as engine_module
from framewire.engine import relay as relay_module
from framewire.engine.engine import Engine
from framewire.engine.relay import MAX_UNREAD_BYTES, MAX_UNTAKEN_MESSAGES, ViewerRelay
from framewire.engine.viewer import budget
from framewire.engine.viewer.admission import Admitted, Refused
from framewire.link.slot import LocalSlot
from framewire.options import EngineOptions, StreamOptions
from tests.engine.fakes import HELLO, TOKEN, units
from tests.engine.http.ports import NullListener
from tests.viewer import eventually, noise, same


class Desk:
    """An engine with a stream, and a `RelayOutlet` that keeps what viewers are sent."""

    def __init__(self) -> None:
        self.engine = Engine(EngineOptions(token=TOKEN), NullListener())
        self.slot = LocalSlot()
        self.engine.add_stream(StreamOptions(id=0, name="one", width=64, height=48), self.slot)
        self.relay = ViewerRelay(self.engine, self)
        self.sent: dict[int, list[str | bytes]] = {}
        self.closed: dict[int, tuple[int, str]] = {}
        self.number = 0

    def on_viewer_text(self, viewer: int, text: str) -> None:
        self.sent.setdefault(viewer, []).append(text)

    def on_viewer_binary(self, viewer: int, data: bytes) -> None:
        self.sent.setdefault(viewer, []).append(data)

    def on_viewer_closed(self, viewer: int, code: int, reason: str) -> None:
        assert viewer not in self.closed, "once"
        self.closed[viewer] = code, reason

    def send(self, viewer: int, *messages: wire.ViewerMessage) -> None:
        for message in messages:
            self.relay.receive(viewer, wire.encode(message))

    def publish(self, pixels: np.ndarray) -> None:
        self.number += 1
        self.slot.write(pixels, self.number, self.number)
        self.engine.frame_published(0)

    def binary_bytes(self, viewer: int) -> int:
        return sum(len(each) for each in self.sent.get(viewer, []) if isinstance(each, bytes))


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    desk = Desk()
    yield desk
    await desk.engine.close()


async def test_a_relayed_viewer_is_served_as_any_other(desk: Desk) -> None:
    desk.relay.open(7, ConnectionRequest())
    desk.send(7, HELLO, wire.Subscribe(1, "one", "lossless"))
    picture = noise(640, 480)
    desk.publish(picture)
    whole = await eventually(lambda: units(desk.sent.get(7, [])))
    assert same(whole[0], picture)
    first = desk.sent[7][0]
    assert isinstance(first, str) and isinstance(wire.decode_server(first), wire.Welcome)


async def test_its_request_reaches_the_authorization(desk: Desk) -> None:
    asked: list[tuple[str, ConnectionRequest]] = []

    def authorize(token: str, request: ConnectionRequest) -> Admitted | Refused:
        asked.append((token, request))
        return Admitted("ada")

    desk.engine.authorize = authorize
    desk.relay.open(7, ConnectionRequest(query={"user": "ada"}))
    desk.send(7, HELLO)
    await eventually(lambda: asked)
    assert asked == [(TOKEN, ConnectionRequest(query={"user": "ada"}))]


async def test_a_viewer_that_reads_nothing_is_sent_one_mebibyte(desk: Desk) -> None:
    assert MAX_UNREAD_BYTES == 1 << 20
    for viewer in (1, 2):
        desk.relay.open(viewer, ConnectionRequest())
        desk.send(viewer, HELLO, wire.Subscribe(1, "one", "lossless"))
    picture = noise(1600, 1200)  # 5.8 MB, which no codec makes smaller
    desk.publish(picture)
    read = 0

    def other_is_complete() -> bool:
        nonlocal read
        sent = sum(len(each) for each in desk.sent.get(2, []))
        desk.relay.read(2, sent - read)
        read = sent
        return bool(units(desk.sent.get(2, [])))

    await eventually(other_is_complete, "a viewer that reads is not held up")
    assert MAX_UNREAD_BYTES <= desk.binary_bytes(1) + 1000 <= MAX_UNREAD_BYTES + MAX_BINARY_MESSAGE_BYTES + 1000
    before = desk.binary_bytes(1)
    desk.relay.read(1, 2 * MAX_BINARY_MESSAGE_BYTES)
    await eventually(lambda: desk.binary_bytes(1) > before, "what it has read makes room")
    assert not desk.closed


async def test_a_viewer_that_reads_nothing_for_ten_seconds_is_closed_with_4429(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert relay_module.MAX_UNREAD_S == 10.0
    monkeypatch.setattr(relay_module, "MAX_UNREAD_S", 0.05)
    desk.relay.open(1, ConnectionRequest())
    desk.relay.open(2, ConnectionRequest())
    desk.send(1, HELLO, wire.Subscribe(1, "one", "lossless"))
    desk.publish(noise(1600, 1200))
    await eventually(lambda: desk.closed)
    assert desk.closed == {1: (4429, "the viewer does not read")}
    await eventually(lambda: desk.engine.viewers == 1, "nothing of it is left")
    sent = len(desk.sent[1])
    desk.publish(noise(64, 48))
    desk.send(1, wire.Ack(1, 1))
    desk.relay.read(1, 1)
    await asyncio.sleep(0)
    assert len(desk.sent[1]) == sent, "and nothing more is sent to it"


async def test_a_viewer_that_disconnects_is_removed_and_sent_nothing(desk: Desk) -> None:
    desk.relay.open(1, ConnectionRequest())
    desk.send(1, HELLO, wire.Subscribe(1, "one", "lossless"))
    desk.publish(noise(1600, 1200))
    await eventually(lambda: desk.binary_bytes(1) >= MAX_UNREAD_BYTES - 1000)
    desk.relay.close(1)
    desk.relay.close(1)
    await eventually(lambda: desk.engine.viewers == 0)
    assert not desk.closed


async def test_a_refused_viewer_is_sent_its_close_code(desk: Desk) -> None:
    desk.relay.open(1, ConnectionRequest())
    desk.relay.receive(1, "{")
    await eventually(lambda: desk.closed)
    assert desk.closed[1][0] == 4400
    await eventually(lambda: desk.engine.viewers == 0)


@pytest.mark.parametrize("length", [1, 60_000])
async def test_a_viewer_that_sends_more_than_the_loop_takes_is_closed_with_4429(desk: Desk, length: int) -> None:
    desk.relay.open(1, ConnectionRequest())
    desk.relay.open(2, ConnectionRequest())
    desk.send(1, HELLO)
    inbox, _ = desk.relay._viewers[1]
    most = 0
    for _ in range(2 * MAX_UNTAKEN_MESSAGES if length == 1 else 40):
        desk.relay.receive(1, wire.encode(wire.Unsubscribe(1)).ljust(length))
        most = max(most, len(inbox._texts))
    await eventually(lambda: 1 in desk.closed)
    assert desk.closed[1][0] == 4429 and most <= MAX_UNTAKEN_MESSAGES
    desk.send(2, HELLO)
    await eventually(lambda: desk.sent.get(2))


async def test_a_flood_of_a_relayed_viewer_is_taken_at_the_rate_of_its_budget(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget, "BURST_TOKENS", 100.0)
    desk.relay.open(1, ConnectionRequest())
    desk.send(1, HELLO, wire.Subscribe(1, "one", "lossless"))
    inbox, _ = desk.relay._viewers[1]
    desk.send(1, *[wire.Report(1, 0.0, True, 0, 0)] * 500)
    await eventually(lambda: len(inbox._texts) < 450)
    assert len(inbox._texts) > 100
    await eventually(lambda: not inbox._texts)
    assert 1 not in desk.closed


async def test_one_too_many_is_closed_as_over_a_socket(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "MAX_VIEWERS", 1)
    for viewer in (1, 2):
        desk.relay.open(viewer, ConnectionRequest())
        desk.send(viewer, HELLO)
    await eventually(lambda: desk.closed)
    assert desk.closed == {2: (4429, "1 viewers watch already")}


async def test_the_oldest_that_is_not_admitted_makes_way(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "MAX_UNADMITTED_VIEWERS", 2)
    desk.relay.open(0, ConnectionRequest())
    desk.send(0, HELLO)
    await eventually(lambda: desk.sent.get(0))
    for viewer in (1, 2, 3):
        desk.relay.open(viewer, ConnectionRequest())
    await eventually(lambda: desk.closed)
    assert desk.closed == {1: (4429, "others came, and it had not been admitted yet")}


async def test_the_end_of_the_engine_closes_every_viewer(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "SHUTDOWN_CLOSE_TIMEOUT_S", 0.05)
    desk.relay.open(1, ConnectionRequest())
    desk.relay.open(2, ConnectionRequest())
    desk.send(2, HELLO, wire.Subscribe(1, "one", "lossless"))
    desk.publish(noise(1600, 1200))
    await eventually(lambda: desk.binary_bytes(2) >= MAX_UNREAD_BYTES - 1000)
    await desk.engine.close()
    assert desk.closed == {1: (1001, "the server is closing"), 2: (1001, "")}, "the second one does not read"
