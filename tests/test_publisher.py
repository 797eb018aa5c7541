"""The sending end of a stream: numbers, the end, and calls from a signal handler in the middle of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from framewire.errors import ClosedError, EngineError
from framewire.frame import Frame, Pixels
from framewire.options import StreamOptions
from framewire.publisher import Publisher
from framewire.reentrancy import inside
from tests.viewer import flat

TEST_TIMEOUT_S = 30.0


class FakeOutlet:
    """Keeps what is written; ``interrupt`` runs once, in the middle of the next call."""

    def __init__(self) -> None:
        self.written: list[tuple[int, int]] = []
        """Value and number of each frame."""
        self.described: list[tuple[str, str]] = []
        """Title and cursor of each description."""
        self.closed = 0
        self.interrupt: Callable[[], Any] | None = None

    def write(self, pixels: Pixels, number: int, time_us: int) -> None:
        assert not self.closed and time_us > 1_600_000_000_000_000
        value = int(pixels[0, 0, 0])
        self._interrupted()
        assert not self.closed, "an outlet is not closed while a frame is written"
        self.written.append((value, number))

    def newest(self, known: int | None = None) -> Frame | None:
        self._interrupted()
        assert not self.closed
        return Frame(flat(1, 1), 1, 1)

    def describe(self, options: StreamOptions) -> None:
        self.described.append((options.title, options.cursor))

    def close(self) -> None:
        self.closed += 1

    def _interrupted(self) -> None:
        interrupt, self.interrupt = self.interrupt, None
        if interrupt:
            interrupt()


class Stream:
    """A publisher and what it has."""

    def __init__(self) -> None:
        self.outlet = FakeOutlet()
        self.ends: list[Publisher] = []
        options = StreamOptions(id=3, name="a", width=8, height=6)
        self.publisher = Publisher(options, self.outlet, self.ends.append)


@pytest.fixture
def stream() -> Stream:
    return Stream()


def test_without_an_engine_nothing_is_published_and_the_error_says_why(stream: Stream) -> None:
    publisher = stream.publisher
    publisher.publish(flat(8, 6, 1))
    publisher.feedback.take_stats({"viewers": 3})
    woken = threading.Thread(target=publisher.changed.wait_for, args=(lambda: publisher.failed, TEST_TIMEOUT_S))
    woken.start()
    publisher.fail("it exited again and again")
    woken.join(TEST_TIMEOUT_S)
    for refused in (lambda: publisher.publish(flat(8, 6, 2)), lambda: publisher.describe(title="a"), publisher.check):
        with pytest.raises(EngineError, match=r"^it exited again and again$"):
            refused()
    assert stream.outlet.written == [(1, 1)] and publisher.newest() and publisher.options.title == ""
    assert publisher.feedback.stats["viewers"] == 0 and not woken.is_alive()
    publisher.end("the display is closed")
    with pytest.raises(ClosedError, match=r"^the display is closed$"):
        publisher.publish(flat(8, 6, 3))


def test_frames_are_numbered_and_their_size_is_known(stream: Stream) -> None:
    publisher = stream.publisher
    assert publisher.size == (8, 6)
    publisher.publish(flat(4, 2, 7))
    publisher.number = 0xFFFFFFFE
    publisher.publish(flat(4, 2, 8))
    publisher.publish(flat(4, 2, 9))
    assert stream.outlet.written == [(7, 1), (8, 0xFFFFFFFF), (9, 0)] and publisher.size == (4, 2)


def test_it_ends_once_and_says_why(stream: Stream) -> None:
    publisher = stream.publisher
    publisher.end("the reason")
    publisher.end("another one")
    assert publisher.ended == "the reason" and stream.outlet.closed == 1 and publisher in stream.ends
    assert publisher.changed.wait_for(lambda: publisher.ended, 0)
    for call in (lambda: publisher.publish(flat(4, 4)), publisher.newest):
        with pytest.raises(ClosedError, match="the reason"):
            call()


def test_a_frame_published_in_the_middle_of_another_follows_it(stream: Stream) -> None:
    pixels = flat(4, 4, 2)

    def handler() -> None:
        stream.publisher.publish(pixels)
        pixels[:] = 0  # as the caller of publish may
        assert stream.outlet.written == []

    stream.outlet.interrupt = handler
    stream.publisher.publish(flat(4, 4, 1))
    assert stream.outlet.written == [(1, 1), (2, 2)] and not inside()


def test_an_end_in_the_middle_of_a_frame_waits_for_nothing_and_is_finished_after_it(stream: Stream) -> None:
    publisher = stream.publisher

    def handler() -> None:
        publisher.end("the reason")
        with pytest.raises(ClosedError, match="the reason"):
            publisher.publish(flat(4, 4, 2))
        assert not stream.outlet.closed and stream.ends

    for call in (lambda: publisher.publish(flat(4, 4, 1)), publisher.newest):
        stream.outlet.interrupt = handler
        call()
        assert stream.outlet.closed == 1
        publisher.ended, publisher._open, stream.outlet.closed = None, True, 0
    assert stream.outlet.written == [(1, 1)]


def test_a_frame_that_was_put_off_is_dropped_by_an_end(stream: Stream) -> None:
    def handler() -> None:
        stream.publisher.publish(flat(4, 4, 2))
        stream.publisher.end("over")

    stream.outlet.interrupt = handler
    stream.publisher.publish(flat(4, 4, 1))
    assert stream.outlet.written == [(1, 1)] and stream.outlet.closed == 1


def test_the_newest_frame_cannot_be_had_in_the_middle_of_another(stream: Stream) -> None:
    found: list[Frame | None] = []
    stream.outlet.interrupt = lambda: found.append(stream.publisher.newest())
    stream.publisher.publish(flat(4, 4, 1))
    assert found == [None] and stream.publisher.newest() is not None


def test_an_interrupt_in_the_middle_of_a_frame_leaves_it_usable(stream: Stream) -> None:
    def handler() -> None:
        raise KeyboardInterrupt

    stream.outlet.interrupt = handler
    with pytest.raises(KeyboardInterrupt):
        stream.publisher.publish(flat(4, 4, 1))
    thread = threading.Thread(target=stream.publisher.publish, args=(flat(4, 4, 2),))
    thread.start()
    thread.join(TEST_TIMEOUT_S)
    assert stream.outlet.written == [(2, 2)]


def test_an_end_while_another_thread_writes_is_finished_by_that_one(stream: Stream) -> None:
    writing, go_on = threading.Event(), threading.Event()

    def pause() -> None:
        writing.set()
        go_on.wait(TEST_TIMEOUT_S)

    stream.outlet.interrupt = pause
    thread = threading.Thread(target=stream.publisher.publish, args=(flat(4, 4, 1),))
    thread.start()
    writing.wait(TEST_TIMEOUT_S)
    stream.publisher.end("over")
    assert not stream.outlet.closed, "and did not wait"
    go_on.set()
    thread.join(TEST_TIMEOUT_S)
    assert (stream.outlet.closed, stream.outlet.written) == (1, [(1, 1)])


def test_a_forked_childs_publisher_is_closed_and_closes_nothing(stream: Stream) -> None:
    with stream.publisher._section.lock:
        stream.publisher.after_fork_in_child()
    with pytest.raises(ClosedError, match="the parent of this forked process"):
        stream.publisher.publish(flat(4, 4))
    stream.publisher.end("closed")
    assert not stream.outlet.closed


# Title and cursor


def test_a_stream_is_described_until_it_ends(stream: Stream) -> None:
    publisher = stream.publisher
    publisher.describe(title="The pond")
    publisher.describe(cursor="crosshair")
    assert stream.outlet.described == [("The pond", "default"), ("The pond", "crosshair")]
    assert (publisher.options.title, publisher.options.cursor) == ("The pond", "crosshair")
    publisher.end("over")
    with pytest.raises(ClosedError, match="over"):
        publisher.describe(title="The sea")
    assert publisher.options.title == "The pond" and len(stream.outlet.described) == 2


@pytest.mark.parametrize("change", [{"cursor": "url(a.png)"}, {"title": "x" * 257}, {"title": None}])
def test_what_cannot_describe_a_stream_is_refused_and_changes_nothing(stream: Stream, change: dict[str, str]) -> None:
    (name,) = change
    with pytest.raises(ValueError, match=name):
        stream.publisher.describe(**change)
    assert (stream.publisher.options.title, stream.outlet.described) == ("", [])
