"""A viewer's channel through the program: order, reading, functions that block or fail, and its end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from framewire.authentication import ConnectionRequest
from framewire.errors import ClosedError
from framewire.host.channels import ViewerChannels
from tests.viewer import TEST_TIMEOUT_S

REQUEST = ConnectionRequest(remote="here")


class FakeUplink:
    """Records what goes to the engine."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.closed = False

    def open_viewer(self, viewer: int, request: ConnectionRequest) -> None:
        self._record("open", viewer, request)

    def send_viewer_text(self, viewer: int, text: str) -> None:
        self._record("text", viewer, text)

    def viewer_read(self, viewer: int, size: int) -> None:
        self._record("read", viewer, size)

    def close_viewer(self, viewer: int) -> None:
        self._record("close", viewer)

    def _record(self, *call: Any) -> None:
        if self.closed:
            raise ClosedError("the engine is closed")
        self.calls.append(call)


class Received:
    """The functions of a channel."""

    def __init__(self) -> None:
        self.all: list[Any] = []

    def text(self, text: str) -> None:
        self.all.append(text)

    def binary(self, data: bytes) -> None:
        self.all.append(data)

    def close(self, code: int, reason: str) -> None:
        self.all.append((code, reason))


def soon(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TEST_TIMEOUT_S
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def opened(channels: ViewerChannels, uplink: FakeUplink, received: Received) -> Any:
    return channels.open(uplink, received.text, received.binary, received.close, REQUEST)


def test_messages_are_delivered_in_order_and_reported_as_read() -> None:
    channels, uplink, received = ViewerChannels(), FakeUplink(), Received()
    channel = opened(channels, uplink, received)
    channels.on_viewer_text(0, "welcome")
    channels.on_viewer_binary(0, b"unit")
    channels.on_viewer_text(9, "for no viewer")
    channel.send_text("ack")
    channels.on_viewer_closed(0, 4408, "late")
    channels.on_viewer_closed(0, 1001, "again")
    soon(lambda: len(received.all) == 3)
    assert received.all == ["welcome", b"unit", (4408, "late")]
    assert sorted(uplink.calls, key=str) == sorted(
        [("open", 0, REQUEST), ("text", 0, "ack"), ("read", 0, 7), ("read", 0, 4)], key=str
    )
    with pytest.raises(ClosedError):
        channel.send_text("more")


def test_a_function_that_blocks_or_fails_holds_no_other_viewer_up() -> None:
    channels, uplink = ViewerChannels(), FakeUplink()
    released, other = threading.Event(), Received()

    def block(_: str) -> None:
        released.wait(TEST_TIMEOUT_S)
        raise ValueError("logged")

    ended = Received()
    channels.open(uplink, block, ended.binary, ended.close, REQUEST)
    opened(channels, uplink, other)
    for viewer in (0, 1):
        channels.on_viewer_text(viewer, "welcome")
    soon(lambda: other.all == ["welcome"])
    assert ("read", 0, 7) not in uplink.calls, "it has not read yet"
    channels.on_viewer_binary(0, b"unit")
    released.set()
    soon(lambda: ("read", 0, 4) in uplink.calls)
    assert ended.all == [b"unit"]


def test_a_channel_that_the_program_closes_calls_no_function_any_more() -> None:
    channels, uplink, received = ViewerChannels(), FakeUplink(), Received()
    threads = threading.active_count()
    channel = opened(channels, uplink, received)
    channel.close()
    channel.close()
    channels.on_viewer_text(0, "late")
    channels.on_viewer_closed(0, 1001, "late")
    soon(lambda: threading.active_count() == threads)
    assert received.all == [] and uplink.calls == [("open", 0, REQUEST), ("close", 0)]


def test_the_end_of_an_engine_closes_the_channels_so_far() -> None:
    channels, uplink = ViewerChannels(), FakeUplink()
    before, after = Received(), Received()
    opened(channels, uplink, before)
    channels.close_all()
    opened(channels, uplink, after).send_text("hello")
    channels.on_viewer_text(1, "welcome")
    soon(lambda: len(before.all) == 1 and len(after.all) == 1)
    assert before.all == [(1001, "the engine has ended")] and after.all == ["welcome"]


def test_a_closed_engine_opens_no_channel() -> None:
    channels, uplink, received = ViewerChannels(), FakeUplink(), Received()
    threads = threading.active_count()
    uplink.closed = True
    with pytest.raises(ClosedError):
        opened(channels, uplink, received)
    soon(lambda: threading.active_count() == threads)
    assert received.all == []
