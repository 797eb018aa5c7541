"""A display: publishing from anywhere, events that come back, tracks, the end. Most on an engine inside this loop."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import logging
import os
import pickle
import re
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection
from aiortc.mediastreams import MediaStreamError
from msgspec import UNSET

import framewire as fw
from framewire import wire
from framewire.events import InputEvent
from tests.viewer import TEST_TIMEOUT_S, connected, eventually, flat, noise, same


@pytest.fixture
async def display() -> AsyncIterator[fw.Display]:
    async with fw.serve(64, 48, port=0, engine="inline") as display:
        yield display


async def key(viewer: object, sub: int, name: str) -> None:
    await viewer.send(wire.Input(sub, wire.RenderviewEvent("key_down", 1.0, key=name)))  # type: ignore[attr-defined]


# Publishing


async def test_a_frame_may_be_changed_right_after_publish(display: fw.Display) -> None:
    async with connected(display.ws_url, display.server.token) as viewer:
        await viewer.subscribe("default")
        for seed in range(20):
            picture = noise(64, 48, seed=seed)
            sent = picture.copy()
            display.publish(picture)
            picture[:] = 0
            assert same(await viewer.unit(), sent)


async def test_an_array_that_is_no_picture_is_refused_and_the_stream_goes_on(display: fw.Display) -> None:
    async with connected(display.ws_url, display.server.token) as viewer:
        await viewer.subscribe("default")
        wrongs: list[Any] = [
            np.zeros((3, 4, 4, 3)),
            np.zeros((4, 4, 2), np.uint8),
            np.zeros((4, 4), np.int64),
            "picture",
            None,
        ]
        for wrong in wrongs:
            with pytest.raises(fw.PublishError) as caught:
                display.publish(wrong)
            assert "\n" not in str(caught.value)
        with pytest.raises(ValueError, match="bgr"):
            display.publish(flat(4, 4)[:, :, 0], format="bgr")
        display.publish(flat(64, 48, 7))
        assert same(await viewer.unit(), flat(64, 48, 7))


async def test_viewers_get_the_same_pixels_for_every_kind_of_array(display: fw.Display) -> None:
    picture = noise(64, 48)
    async with connected(display.ws_url, display.server.token) as viewer:
        await viewer.subscribe("default")
        for given, layout in ((picture, "rgb"), (picture[:, :, ::-1], "bgr"), (picture / 255.0, "rgb")):
            display.publish(given, format=layout)  # type: ignore[arg-type]
            assert same(await viewer.unit(), picture)
        display.publish(picture[::2, ::-2, :1])
        assert same(await viewer.unit(), np.ascontiguousarray(picture[::2, ::-2, :1]))
        assert (display.width, display.height) == (32, 24)


async def test_frames_published_from_many_threads_at_once_stay_whole(display: fw.Display) -> None:
    over = threading.Event()

    def publish(value: int) -> None:
        while not over.is_set():
            display.publish(flat(64, 48, value))

    threads = [threading.Thread(target=publish, args=(value,)) for value in (10, 20, 30)]
    async with connected(display.ws_url, display.server.token) as viewer:
        await viewer.subscribe("default")
        for thread in threads:
            thread.start()
        try:
            units = [await viewer.unit() for _ in range(20)]
        finally:
            over.set()
            for thread in threads:
                await asyncio.to_thread(thread.join)
    assert all(any(same(unit, flat(64, 48, value)) for value in (10, 20, 30)) for unit in units)
    numbers = [unit.number for unit in units]
    assert numbers == sorted(set(numbers)), "newer and newer"


async def test_a_viewer_that_comes_later_gets_the_newest_frame(display: fw.Display) -> None:
    for value in range(10):
        display.publish(flat(64, 48, value))
    async with connected(display.ws_url, display.server.token) as viewer:
        await viewer.subscribe("default")
        assert same(await viewer.unit(), flat(64, 48, 9))


async def test_a_publisher_that_is_faster_than_the_loop_fills_no_queue(
    display: fw.Display, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[int] = []
    monkeypatch.setattr(display.server._host._engine, "frame_published", told.append)  # type: ignore[attr-defined]

    def publish() -> None:
        for value in range(1000):
            display.publish(flat(8, 8, value % 256))

    thread = threading.Thread(target=publish)
    thread.start()
    thread.join()  # the loop stands still meanwhile
    await asyncio.sleep(0.05)
    assert told == [0]


# What comes back


async def test_input_arrives_by_poll_feed_and_callback_and_names_its_viewer(display: fw.Display) -> None:
    called: list[InputEvent] = []
    remove = display.on_event(called.append)
    async with (
        connected(display.ws_url, display.server.token) as one,
        connected(display.ws_url, display.server.token) as two,
    ):
        sub = await one.subscribe("default")
        await key(one, sub, "a")
        await key(two, await two.subscribe("default"), "b")
        await eventually(lambda: len(called) == 2)
        polled = display.poll_events()
        assert sorted(item.event["key"] for item in polled) == ["a", "b"]  # type: ignore[typeddict-item]
        assert len({item.client_id for item in polled}) == 2 and not display.poll_events()
        assert {(item.principal, item.event["type"]) for item in polled} == {(None, "key_down")}
        assert all(item.received_us > 1_600_000_000_000_000 for item in polled)

        remove()
        remove()
        stream = display.events()
        waiting = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        await key(one, sub, "c")
        assert (await asyncio.wait_for(waiting, TEST_TIMEOUT_S)).event["key"] == "c"  # type: ignore[typeddict-item]
        assert len(called) == 2
        await stream.aclose()


async def test_events_end_with_the_display_and_lose_none_that_came_before(display: fw.Display) -> None:
    seen: list[str] = []

    async def follow() -> None:
        async for item in display.events():
            seen.append(item.event["key"])  # type: ignore[typeddict-item]

    following = asyncio.create_task(follow())
    await asyncio.sleep(0)
    display._publisher.feedback.events.put(InputEvent("x", None, {"type": "key_down", "key": "last"}, 0))  # type: ignore[arg-type]
    await asyncio.to_thread(display.close)
    await asyncio.wait_for(following, TEST_TIMEOUT_S)
    assert seen == ["last"]
    assert [item async for item in display.events()] == []


async def test_a_callback_that_raises_stops_nothing(display: fw.Display, caplog: pytest.LogCaptureFixture) -> None:
    called: list[InputEvent] = []
    display.on_event(lambda _: 1 / 0)  # type: ignore[arg-type]
    display.on_event(called.append)
    async with connected(display.ws_url, display.server.token) as viewer:
        sub = await viewer.subscribe("default")
        await key(viewer, sub, "a")
        await eventually(lambda: called)
        display.publish(flat(64, 48, 3))
        assert same(await viewer.unit(), flat(64, 48, 3))
    assert len(display.poll_events()) == 1
    assert [record.exc_info is not None for record in caplog.records if record.levelno >= logging.ERROR] == [True]


async def test_a_display_keeps_as_many_events_as_asked_for(display: fw.Display) -> None:
    small = display.server.add_stream("small", 4, 4, event_queue_size=3)
    for number in range(10):
        small._publisher.feedback.events.put(InputEvent("x", None, {"type": "char", "n": number}, 0))  # type: ignore[arg-type]
    assert [item.event["n"] for item in small.poll_events()] == [7, 8, 9]  # type: ignore[typeddict-item]


async def test_viewers_are_counted_and_statistics_come(display: fw.Display) -> None:
    assert display.client_count == 0 and display.stats["viewers"] == 0 and display.stats["encodings"] == []
    names = set(display.stats)
    async with connected(display.ws_url, display.server.token) as viewer:
        await viewer.subscribe("default")
        await eventually(lambda: display.client_count == 1)
        display.publish(flat(64, 48))
        await viewer.unit()
        await eventually(lambda: display.stats.get("encodes") == {"lossless": 1})
        assert display.stats["viewers"] == 1 and display.stats["encodings"] == ["lossless"]
        assert set(display.stats) == names, "the same before the engine's first numbers"
    await eventually(lambda: display.client_count == 0)


async def test_title_and_cursor_reach_viewers_and_the_next_engine(display: fw.Display) -> None:
    display.title, display.cursor = "The pond", "crosshair"
    assert (display.title, display.cursor) == ("The pond", "crosshair")
    with pytest.raises(ValueError, match="cursor='hand' is unknown"):
        display.cursor = "hand"  # type: ignore[assignment]
    for engine in range(2):
        async with connected(display.ws_url, display.server.token) as viewer:
            await eventually(lambda: viewer.streams["default"].title == "The pond")
            assert viewer.streams["default"].cursor == "crosshair"
        if engine == 0 and display.server.engine_pid:
            os.kill(display.server.engine_pid, signal.SIGKILL)
    display.title, display.cursor = "", "default"
    async with connected(display.ws_url, display.server.token) as viewer:
        await eventually(lambda: viewer.streams["default"].title is UNSET)


async def test_a_display_knows_who_watches_and_whether_they_see_it(display: fw.Display) -> None:
    events: list[fw.ViewerEvent] = []
    last: list[fw.ViewerEvent] = []
    display.on_viewers(lambda event: 1 / 0)
    remove = display.on_viewers(events.append)
    assert not display.watched and not display.viewers
    async with connected(display.ws_url, display.server.token) as viewer:
        sub = await viewer.subscribe("default")
        await eventually(lambda: display.watched)
        await viewer.report(sub, visible=False)
        await eventually(lambda: not display.watched)
        (watching,) = display.viewers
        assert not watching.visible
        await viewer.report(sub, visible=True)
        await eventually(lambda: display.watched)
    await eventually(lambda: not display.viewers)
    await eventually(lambda: [event.type for event in events] == ["join", "hidden", "visible", "leave"])
    assert {event.viewer.client_id for event in events} == {watching.client_id}
    remove()
    remove()
    display._publisher.feedback.take_viewers((watching,))
    display.on_viewers(last.append)
    display._publisher.feedback.take_viewers(())
    await eventually(lambda: last)
    assert len(events) == 4


# Where it is


async def test_the_address_holds_the_token_in_its_fragment_and_nowhere_else(display: fw.Display) -> None:
    token = display.server.token
    assert display.url == f"http://127.0.0.1:{display.port}/#token={token}"
    assert token not in display.ws_url
    assert token not in repr(display) and token not in repr(display.server)
    other = display.server.add_stream("a b&c/é", 4, 4, fps=12)
    assert other.url.startswith(f"http://127.0.0.1:{display.port}/?stream=a%20b%26c%2F%C3%A9#token=")
    assert (other.name, other.fps, other.width, other.height) == ("a b&c/é", 12.0, 4, 4)


async def test_any_token_is_quoted_in_the_address() -> None:
    token = '& # + % = ? / \\ ; : @ \n " < > é 🖼 %26 \0'
    async with fw.serve(4, 4, token=token, port=0, engine="inline") as display:
        quoted = display.url.partition("#token=")[2]
        assert re.fullmatch(r"([\w.~-]|%[0-9A-F]{2})+", quoted, re.ASCII) and unquote(quoted) == token
        async with connected(display.ws_url, unquote(quoted)) as viewer:
            assert viewer.streams


# The end


async def test_closing_happens_once_and_publishing_says_so(display: fw.Display) -> None:
    assert not display.closed and "64x48" in repr(display)
    await display.aclose()
    await display.aclose()
    display.close()
    assert display.closed and "closed" in repr(display)
    with pytest.raises(fw.ClosedError, match="the display is closed"):
        display.publish(flat(64, 48))
    assert display.server.closed, "the engine ends with its last display"


async def test_waiting_ends_when_it_is_closed(display: fw.Display) -> None:
    assert not display.wait(0.01)
    threading.Timer(0.02, display.close).start()
    assert await asyncio.to_thread(display.wait, TEST_TIMEOUT_S) and display.wait()


async def test_ctrl_c_ends_the_waiting_and_the_display(display: fw.Display, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(display._publisher.changed, "wait_for", interrupted)
    assert display.wait() and display.closed


async def test_waiting_says_that_the_engine_failed(display: fw.Display) -> None:
    display.server.failure = "it exited again and again"
    with pytest.raises(fw.EngineError, match="again and again"):
        display.wait()


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps], ids=["copy", "deepcopy", "pickle"])
async def test_it_cannot_be_copied_and_says_what_to_do(display: fw.Display, copied: Callable[[object], object]) -> None:
    with pytest.raises(TypeError, match=r"^a Display belongs to its process and cannot be pickled or copied: send"):
        copied(display)
    with pytest.raises(TypeError, match=r"^a Server belongs to its process and cannot be pickled or copied: call"):
        copied(display.server)


async def test_viewers_of_a_closed_stream_get_its_end(display: fw.Display) -> None:
    other = display.server.add_stream("other", 4, 4)
    async with connected(display.ws_url, display.server.token) as viewer:
        sub = await viewer.subscribe("other")
        await eventually(lambda: other.client_count)
        other.close()
        ended = await viewer.message(wire.Ended)
        assert (ended.sub, ended.reason) == (sub, "stream_closed")
        assert not display.server.closed, "another stream is left"


# Tracks


async def test_a_track_gives_the_newest_frame_that_was_published_before(display: fw.Display) -> None:
    display.publish(flat(64, 48, 90))
    first = await display.track().recv()
    assert (first.width, first.height, first.format.name) == (64, 48, "yuv420p")
    assert abs(float(first.to_ndarray(format="rgb24", threads=1).mean()) - 90) < 4
    assert (await display.track(fps=5).recv()).pts == 0, "each track has its own time"


async def test_a_track_follows_publishing_threads_and_ends_with_the_display(display: fw.Display) -> None:
    track = display.track(fps=500)
    display.publish(flat(64, 48, 50))
    await track.recv()
    await asyncio.to_thread(display.publish, flat(32, 24, 150))
    second = await asyncio.wait_for(track.recv(), TEST_TIMEOUT_S)
    assert second.width == 32 and (second.pts or 0) > 0
    await display.aclose()
    with pytest.raises(MediaStreamError):
        await asyncio.wait_for(track.recv(), TEST_TIMEOUT_S)
    with pytest.raises(MediaStreamError):
        await display.track().recv()


def test_a_track_aims_at_the_rate_of_its_display() -> None:
    async def rates() -> list[float]:
        async with fw.serve(64, 48, port=0, engine="inline", fps=25) as display:
            return [1 / track._interval_s for track in (display.track(), display.track(fps=50))]

    assert asyncio.run(rates()) == [25, 50]


async def test_a_stock_program_sends_sixty_frames_a_second_of_a_display(display: fw.Display) -> None:
    """A ratio of frames, not a time: a slow machine publishes fewer, and sends as many of them."""
    sender, receiver = (RTCPeerConnection(RTCConfiguration(iceServers=[])) for _ in range(2))
    sender.addTrack(display.track())
    received: list[int] = []

    @receiver.on("track")
    def receive(track: MediaStreamTrack) -> None:
        async def count() -> None:
            with contextlib.suppress(MediaStreamError):
                while True:
                    received.append((await track.recv()).pts or 0)

        counting.append(asyncio.ensure_future(count()))

    counting: list[asyncio.Future[None]] = []
    await sender.setLocalDescription()
    await receiver.setRemoteDescription(sender.localDescription)
    await receiver.setLocalDescription()
    await sender.setRemoteDescription(receiver.localDescription)
    published = 0
    async with asyncio.timeout(TEST_TIMEOUT_S):
        while not received:
            display.publish(flat(64, 48, 100))
            await asyncio.sleep(0.02)
        received.clear()
        due = asyncio.get_running_loop().time()
        for published in range(1, 181):
            display.publish(flat(64, 48, published))
            due += 1 / 60
            await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
        await asyncio.sleep(0.2)
    assert len(received) >= 0.9 * published, "and not the two thirds of a track that waits for whole intervals"
    await sender.close()
    await receiver.close()
    await asyncio.gather(*counting)


# Where it is shown


def test_a_display_shows_itself_at_once_or_prints_its_address(
    display: fw.Display, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    display.show()
    assert capsys.readouterr() == ("", f"framewire: {display.url}\n")
    display.widget()  # its libraries import the true IPython
    shown: list[Any] = []
    ipython = SimpleNamespace(
        get_ipython=lambda: SimpleNamespace(kernel=1), display=SimpleNamespace(display=shown.append)
    )
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    display.show(mode="lossless")
    (widget,) = shown
    assert (widget.display.name, widget.mode) == (display.name, "lossless") and capsys.readouterr() == ("", "")
