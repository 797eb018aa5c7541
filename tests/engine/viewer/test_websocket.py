"""The WebSocket transport: what is sent in which order, and what happens when a viewer does not read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from framewire import wire
from framewire.codec.messages import MAX_BINARY_MESSAGE_BYTES, messages
from framewire.engine.stream.encoding import PackedUnit
from framewire.engine.viewer import websocket as module
from framewire.engine.viewer.websocket import MAX_QUEUED_MESSAGES, WebSocketTransport
from framewire.frame import AccessUnit
from tests.engine.fakes import FakeSocket, units
from tests.viewer import eventually

ENDED = wire.Ended(1, "limits")


class Link:
    """A transport, its socket, and whether the transport has reported that the viewer is lost."""

    def __init__(self) -> None:
        self.socket = FakeSocket()
        self.transport = WebSocketTransport(self.socket)
        self.lost = 0
        self.transport.start(self._on_lost)

    def _on_lost(self) -> None:
        self.lost += 1

    @property
    def order(self) -> str:
        """What was sent: m for a message, c for a chunk."""
        return "".join("m" if isinstance(each, str) else "c" for each in self.socket.sent)


@pytest.fixture
async def link() -> AsyncIterator[Link]:
    link = Link()
    yield link
    link.transport.close(1001, "")
    link.socket.open.set()
    await link.transport.wait_closed()


def unit(number: int, chunks: int = 1, stream: int = 0) -> PackedUnit:
    made = AccessUnit("h264", bytes(MAX_BINARY_MESSAGE_BYTES * (chunks - 1) + 1), number, number, 8, 8, True)
    return PackedUnit(made, None, tuple(messages(made, stream)))


async def test_a_unit_is_sent_in_messages_that_proxies_accept(link: Link) -> None:
    link.transport.send_unit(1, unit(7, chunks=3))
    await eventually(lambda: [each.number for each in units(link.socket.sent)] == [7])
    assert max(map(len, link.socket.chunks)) == MAX_BINARY_MESSAGE_BYTES


async def test_messages_overtake_units(link: Link) -> None:
    link.socket.open.clear()
    link.transport.send_unit(1, unit(1, chunks=3))
    await eventually(lambda: link.transport.queued_chunks == 2 or None)
    link.transport.send(ENDED)
    link.socket.open.set()
    await eventually(lambda: link.order == "cmcc" or None)


async def test_held_units_are_sent_after_they_are_released(link: Link, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_UNIT_HOLD_S", 60.0)
    link.transport.hold_units()
    link.transport.hold_units()
    link.transport.send_unit(1, unit(1))
    link.transport.send(ENDED)
    await eventually(lambda: link.order == "m")
    await asyncio.sleep(0)
    assert link.order == "m"
    link.transport.release_units()
    await eventually(lambda: link.order == "mc")


async def test_units_are_held_for_a_bounded_time(link: Link) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    link.transport.hold_units()
    link.transport.send_unit(1, unit(1))
    await eventually(lambda: link.order == "c")
    assert loop.time() - began >= 0.1
    assert 0.1 <= module.MAX_UNIT_HOLD_S < 0.3, "an offer takes 60 ms; for longer, a viewer sees the picture stop"


async def test_a_hold_that_was_released_does_not_end_the_next_one(link: Link, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_UNIT_HOLD_S", 0.02)
    link.transport.hold_units()
    link.transport.release_units()
    monkeypatch.setattr(module, "MAX_UNIT_HOLD_S", 60.0)
    link.transport.hold_units()
    link.transport.send_unit(1, unit(1))
    await asyncio.sleep(0.05)
    assert link.order == ""


async def test_a_partly_sent_unit_is_finished_and_no_further_unit_of_its_subscription_is_sent(link: Link) -> None:
    link.socket.open.clear()
    for number in (1, 2):
        link.transport.send_unit(1, unit(number, chunks=2))
        link.transport.send_unit(2, unit(number + 10, chunks=2, stream=1))
    await eventually(lambda: link.transport.queued_chunks == 7 or None)
    link.transport.drop_units(1)
    link.socket.open.set()
    await eventually(lambda: link.transport.queued_chunks == 0)
    await eventually(lambda: [(each.number, each.offset > 0) for each in link.socket.headers()] == [
        (1, False), (1, True), (11, False), (11, True), (12, False), (12, True)
    ])  # fmt: skip


async def test_dropping_units_leaves_those_of_other_subscriptions_as_they_are(link: Link) -> None:
    link.socket.open.clear()
    link.transport.send_unit(2, unit(1, chunks=3))
    link.transport.send_unit(1, unit(2))
    await eventually(lambda: link.transport.queued_chunks == 3 or None)
    link.transport.drop_units(1)
    assert link.transport.queued_chunks == 2
    link.socket.open.set()
    await eventually(lambda: [each.number for each in units(link.socket.sent)] == [1])


async def test_a_unit_that_is_not_begun_is_dropped_whole(link: Link) -> None:
    link.transport.hold_units()
    link.transport.send_unit(1, unit(1, chunks=2))
    link.transport.drop_units(1)
    assert link.transport.queued_chunks == 0


async def test_a_viewer_that_reads_nothing_is_refused_more_messages(link: Link) -> None:
    link.socket.open.clear()
    assert all(link.transport.send(ENDED) for _ in range(MAX_QUEUED_MESSAGES))
    assert not link.transport.send(ENDED)
    assert 256 < MAX_QUEUED_MESSAGES < 1024, "seconds of reports on 64 subscriptions fit, and memory is bounded"


async def test_queued_messages_are_sent_before_the_close_code_and_units_are_not(link: Link) -> None:
    link.transport.send(ENDED)
    link.transport.send_unit(1, unit(1))
    link.transport.close(4400, "bad")
    link.transport.close(1001, "a second close changes nothing")
    await link.transport.wait_closed()
    assert link.order == "m" and link.socket.closed_with == (4400, "bad") and link.lost == 0


async def test_an_idle_transport_closes_at_once_and_stays_closed(link: Link, monkeypatch: pytest.MonkeyPatch) -> None:
    await asyncio.sleep(0)
    monkeypatch.setattr(module, "CLOSE_TIMEOUT_S", 0.02)
    link.transport.close(1001, "")
    await link.transport.wait_closed()
    await asyncio.sleep(0.05)
    assert link.socket.closed_with == (1001, "") and not link.socket.gone, "its deadline is over as well"


async def test_units_that_are_held_do_not_delay_the_close(link: Link) -> None:
    link.transport.hold_units()
    link.transport.send_unit(1, unit(1))
    link.transport.close(1001, "")
    await link.transport.wait_closed()
    assert link.socket.closed_with == (1001, "")


async def test_a_viewer_that_does_not_read_its_close_code_is_cut_off(
    link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert 2.5 < module.CLOSE_TIMEOUT_S < 10, "long enough for a slow link, short enough for a port that is needed"
    monkeypatch.setattr(module, "CLOSE_TIMEOUT_S", 0.01)
    link.socket.open.clear()
    link.transport.close(1001, "")
    await link.transport.wait_closed()
    assert link.socket.gone and link.socket.closed_with is None


async def test_a_lost_viewer_is_reported_once(link: Link, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CLOSE_TIMEOUT_S", 0.01)
    link.socket.gone = True
    for number in range(3):
        link.transport.send_unit(1, unit(number))
    await eventually(lambda: link.lost)
    await link.transport.wait_closed()
    assert link.transport.queued_chunks == 0
    link.socket.gone = False
    link.transport.close(1001, "")
    await asyncio.sleep(0.03)
    assert link.lost == 1 and not link.socket.gone, "there is nothing left to close"


async def test_a_bug_of_the_socket_cuts_the_viewer_off(link: Link, caplog: pytest.LogCaptureFixture) -> None:
    link.socket.send_text = lambda text: 1 / 0  # type: ignore[assignment, return-value]
    link.transport.send(ENDED)
    await eventually(lambda: link.lost)
    assert link.socket.gone and "cannot write to a viewer" in caplog.text


async def test_abort_ends_a_writer_that_waits(link: Link) -> None:
    link.socket.open.clear()
    link.transport.send(ENDED)
    await asyncio.sleep(0)
    link.transport.abort()
    await link.transport.wait_closed()
    assert link.socket.gone and link.lost == 1


async def test_the_delivery_rate_is_that_of_the_socket(link: Link) -> None:
    assert link.transport.delivery_rate_bps() is None
    link.socket.rate_bps = 5e6
    assert link.transport.delivery_rate_bps() == 5e6
