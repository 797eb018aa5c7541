"""`FrameTrack` in programs that know nothing of framewire but that it is a track."""

from __future__ import annotations

import asyncio
import heapq
import random
from collections.abc import Callable
from functools import partial
from itertools import pairwise

import av
import numpy as np
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection
from aiortc.mediastreams import MediaStreamError

from framewire.errors import ClosedError
from framewire.rtc.track import REPEAT_S, FrameTrack
from tests.rtc.viewers import Viewer


class Source:
    def __init__(self) -> None:
        self.newest: tuple[int, int, av.VideoFrame] | None = None

    def publish(self, number: int, time_us: int, level: int = 100) -> None:
        frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), level, np.uint8), format="rgb24")
        self.newest = number, time_us, frame.reformat(format="yuv420p", threads=1)

    def latest(self, known: int | None) -> tuple[int, int, av.VideoFrame] | None:
        return None if self.newest is None or self.newest[0] == known else self.newest


class Timeline:
    """A clock that only sleeping moves, and what happens at which of its moments."""

    def __init__(self) -> None:
        self.time = 100.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []

    def at(self, seconds: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._events, (100.0 + seconds, len(self._events), act))

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        until = self.time + seconds
        while self._events and self._events[0][0] <= until:
            self.time, _, act = heapq.heappop(self._events)
            act()
        self.time = until


@pytest.fixture
def source():
    return Source()


@pytest.fixture
def clock():
    return Timeline()


@pytest.fixture
def track(source, clock):
    return FrameTrack(source.latest, fps=50, clock=clock)


def seconds(frame: av.VideoFrame) -> float:
    assert frame.pts is not None
    assert frame.time_base is not None
    return float(frame.pts * frame.time_base)


async def test_frames_carry_their_publish_times(source, track):
    times = []
    for number, time_us in enumerate([5_000_000, 5_040_000, 6_000_000]):
        source.publish(number, time_us)
        times.append(seconds(await track.recv()))
    assert times == pytest.approx([0, 0.04, 1.0])


async def test_only_the_newest_frame_is_given(source, track):
    source.publish(1, 5_000_000)
    await track.recv()
    for number in range(2, 9):
        source.publish(number, 5_000_000 + number)
    assert await track.recv() is source.newest[2]


async def test_it_waits_for_the_first_frame(source, track, clock):
    clock.at(1.234, lambda: source.publish(1, 5_000_000))
    assert await track.recv() is source.newest[2]
    assert 101.234 <= clock.time < 101.24


async def test_a_still_scene_is_given_again_every_half_second(source, track, clock):
    source.publish(1, 5_000_000)
    given = []
    for _ in range(4):
        frame = await track.recv()
        given.append((frame.pts, clock.time))
    points, times = zip(*given, strict=True)
    assert list(points) == sorted(set(points)), "a later frame to the viewer"
    gaps = [after - before for before, after in pairwise(times)]
    assert gaps == pytest.approx([REPEAT_S] * 3, abs=0.01)


async def test_after_a_clock_was_set_back_an_hour_frames_keep_their_distance(source, track):
    given = []
    for number, time_us in enumerate((0, 40_000, -3_600_000_000, -3_599_960_000, -3_599_920_000), 1):
        source.publish(number, 5_000_000_000 + time_us)
        given.append(seconds(await track.recv()))
    assert given == pytest.approx([0, 0.04, 0.04, 0.08, 0.12], abs=0.001)


async def test_a_clock_set_back_does_not_run_time_backwards(source, track):
    points = []
    for number, time_us in enumerate([5_000_000, 1_000_000, 1_100_000]):
        source.publish(number, time_us)
        points.append((await track.recv()).pts)
    assert points == sorted(set(points))


async def received(source: Source, clock: Timeline, published: list[float], until: float, fps: float = 60.0) -> int:
    """How many frames a track gives of those published at some moments, to a program that asks for one at a time."""
    track = FrameTrack(source.latest, fps=fps, clock=clock)
    for number, at in enumerate(published):
        clock.at(at, partial(source.publish, number, number))
    count = 0
    while clock.time < 100 + until:
        await track.recv()
        count += 1
        # The program encodes and sends it.
        await clock.sleep(0.003)
    return count


@pytest.mark.parametrize("phase", [0.0, 0.001, 0.008, 0.015])
async def test_every_frame_of_a_jittery_source_is_given(source, clock, phase):
    jitter = random.Random(1)
    published = [phase + index / 60 + jitter.uniform(0, 0.006) for index in range(300)]
    assert await received(source, clock, published, 5.0) >= 299


async def test_a_faster_source_gives_no_more_frames_than_asked_for(source, clock):
    assert await received(source, clock, [index / 1000 for index in range(2000)], 2.0, fps=20) <= 42


async def test_a_source_that_stood_still_gives_no_burst_afterwards(source, clock):
    published = [0.0, *(1 + index / 1000 for index in range(1000))]
    assert await received(source, clock, published, 2.0, fps=20) <= 2 + 22


async def test_a_slower_source_is_given_whole(source, clock):
    assert await received(source, clock, [index / 25 for index in range(50)], 2.0) >= 50


async def test_a_source_that_fails_is_a_source_without_a_frame(source, clock, caplog):
    def broken(known: int | None) -> tuple[int, int, av.VideoFrame] | None:
        raise OSError("gone")

    failing = FrameTrack(broken, clock=clock)
    clock.at(0.1, failing.stop)
    with pytest.raises(MediaStreamError):
        await failing.recv()
    assert "gone" in caplog.text
    assert clock.time >= 100.1


async def test_it_ends_when_its_source_is_closed(source, clock, caplog):
    def closed(known: int | None) -> tuple[int, int, av.VideoFrame] | None:
        raise ClosedError("the stream is closed")

    ended: list[bool] = []
    track = FrameTrack(closed, clock=clock)
    track.on("ended", lambda: ended.append(True))
    for _ in range(2):
        with pytest.raises(MediaStreamError):
            await track.recv()
    assert track.readyState == "ended" and ended == [True] and caplog.text == ""


async def test_it_ends_when_it_is_stopped(source, track):
    source.publish(1, 5_000_000)
    await track.recv()
    track.stop()
    with pytest.raises(MediaStreamError):
        await track.recv()


@pytest.mark.parametrize("level", [60, 200])
async def test_a_stock_program_sends_it_to_a_stock_viewer(loopback, source, track, level):
    server, viewer = RTCPeerConnection(RTCConfiguration(iceServers=[])), Viewer()
    server.addTrack(track)
    await server.setLocalDescription()
    answer = await viewer.answer(server.localDescription.sdp)
    await server.setRemoteDescription(type(server.localDescription)(answer, "answer"))
    async with asyncio.timeout(15):
        number = 0
        while not viewer.pictures.get("0"):
            number += 1
            source.publish(number, number * 20_000, level)
            await asyncio.sleep(0.02)
    assert abs(float(viewer.pictures["0"][-1].mean()) - level) < 4
    await server.close()
    await viewer.close()


async def test_a_failing_source_is_logged_once_per_frame(clock, caplog):
    source = Source()
    source.publish(1, 0)

    def failing(known: int | None) -> tuple[int, int, av.VideoFrame] | None:
        if clock.time < 101:
            raise OSError("no camera")
        return source.latest(known)

    await FrameTrack(failing, fps=50, clock=clock).recv()

    assert len(caplog.records) == pytest.approx(50, abs=1)


# What cannot be a track


@pytest.mark.parametrize("latest", [lambda: None, lambda a, b: None, lambda *, known: None])
def test_a_function_that_does_not_take_the_known_number_is_refused(latest):
    with pytest.raises(TypeError, match=r"the number of the known frame: write def latest\(known\)"):
        FrameTrack(latest)


@pytest.mark.parametrize("latest", [None, np.zeros((4, 4, 3)), "latest"])
def test_what_is_no_function_is_refused(latest):
    with pytest.raises(TypeError, match=r"^latest is a function of the known frame's number, not "):
        FrameTrack(latest)


@pytest.mark.parametrize("latest", [lambda known: None, lambda known, more=1: None, lambda *all_: None, {}.get])
def test_every_function_of_one_argument_is_taken(latest):
    assert FrameTrack(latest).readyState == "live"


@pytest.mark.parametrize("fps", [0, -1, None, "60", float("nan"), float("inf"), True])
def test_a_rate_that_is_none_is_refused(fps):
    with pytest.raises(ValueError, match="is out of range: a number above 0"):
        FrameTrack(lambda known: None, fps=fps)
