"""`FrameTrack` in programs that know nothing of us but that it is a track."""

from __future__ import annotations

import asyncio

import av
import numpy as np
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection
from aiortc.mediastreams import MediaStreamError

from framewire.rtc import track as track_module
from framewire.rtc.track import FrameTrack
from tests.rtc.viewers import Viewer


class Source:
    def __init__(self) -> None:
        self.newest: tuple[int, int, av.VideoFrame] | None = None

    def publish(self, number: int, time_us: int, level: int = 100) -> None:
        frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), level, np.uint8), format="rgb24")
        self.newest = number, time_us, frame.reformat(format="yuv420p")

    def latest(self) -> tuple[int, int, av.VideoFrame] | None:
        return self.newest


@pytest.fixture
def source():
    return Source()


@pytest.fixture
def track(source):
    return FrameTrack(source.latest, fps=200)


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
    waiting = asyncio.create_task(track.recv())
    assert (await waiting) is source.newest[2]


async def test_it_waits_for_the_first_frame(source, track):
    waiting = asyncio.create_task(track.recv())
    await asyncio.sleep(0.03)
    assert not waiting.done()
    source.publish(1, 5_000_000)
    assert await waiting is source.newest[2]


async def test_a_still_scene_is_given_again_as_a_later_frame(source, track, monkeypatch):
    monkeypatch.setattr(track_module, "REPEAT", 0.02)
    source.publish(1, 5_000_000)
    points = [(await track.recv()).pts for _ in range(3)]
    assert points == sorted(set(points))


async def test_a_clock_set_back_does_not_run_time_backwards(source, track):
    points = []
    for number, time_us in enumerate([5_000_000, 1_000_000, 1_100_000]):
        source.publish(number, time_us)
        points.append((await track.recv()).pts)
    assert points == sorted(set(points))


async def test_it_takes_no_more_frames_than_asked_for(source):
    track = FrameTrack(source.latest, fps=20)
    loop = asyncio.get_running_loop()
    source.publish(0, 5_000_000)
    await track.recv()
    started = loop.time()
    for number in range(1, 5):
        source.publish(number, 5_000_000 + number)
        await track.recv()
    assert loop.time() - started > 0.15


async def test_a_source_that_fails_is_a_source_without_a_frame(source, track, caplog):
    def broken() -> tuple[int, int, av.VideoFrame] | None:
        raise OSError("gone")

    failing = FrameTrack(broken, fps=200)
    waiting = asyncio.create_task(failing.recv())
    await asyncio.sleep(0.02)
    assert not waiting.done()
    assert "gone" in caplog.text
    failing.stop()
    with pytest.raises(MediaStreamError):
        await waiting


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
