"""Eight viewers of one stream cost one encoding, and not much more than one viewer.

One of them is a Chromium. The others are the benchmarks' receivers, which decode nothing, since eight decoders would
take the processor time that the test measures.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import psutil
import pytest

import framewire as fw
from benchmarks import probe
from benchmarks.viewers import receivers
from tests.e2e.conftest import NewPage
from tests.e2e.stage import Publisher, address, say, showing, until, watch

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    # Several tries, where the machine is too busy for the first one.
    pytest.mark.timeout(300),
    pytest.mark.asyncio(loop_scope="session"),
]

SECONDS = 4
FPS = 30.0
TRIES = 3


def busy(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


async def engine_load(display: fw.Display, seconds: float = SECONDS) -> float:
    """The part of one core that the engine takes, in processor time."""
    assert display.server.engine_pid
    engine = psutil.Process(display.server.engine_pid)
    before = busy(engine)
    await asyncio.sleep(seconds)
    return (busy(engine) - before) / seconds


@dataclass(frozen=True)
class Measured:
    """A run: the engine's part of one core with one viewer and with eight, and what the eight received."""

    one: float
    eight: float
    encodings: list[str]
    encodes: int
    published: int
    page: probe.Report
    others: list[int]

    @property
    def fine(self) -> bool:
        # The engine reports once a second, so the two counts are of slightly different seconds.
        once = self.encodings == ["h264"] and self.encodes <= self.published + 1.5 * FPS
        served = len(self.others) == 7 and min(self.others) > 0.5 * self.encodes and self.page.backward == 0
        return once and served and self.page.frames > 0.5 * self.encodes and self.eight <= 2 * self.one


async def measure(new_page: NewPage) -> Measured:
    async with fw.serve(1280, 720, fps=FPS, port=0, codecs=["h264"]) as display:
        with Publisher(display, fps=FPS) as publisher:
            page = await new_page(address(display.url, mode="webrtc"))
            await showing(page, "webrtc")
            await asyncio.sleep(1)
            one = await engine_load(display)
            async with receivers(display, 7) as others:
                await until(lambda: display.client_count == 8)
                await asyncio.sleep(1)
                before = (await others.counts())["frames"]
                made, published = made_by(display), publisher.log.number
                seen, eight = await asyncio.gather(watch(page, SECONDS), engine_load(display))
                made, published = made_by(display) - made, publisher.log.number - published
                encodings = display.stats["encodings"]
                after = (await others.counts())["frames"]
                frames = [now - then for now, then in zip(after, before, strict=True)]
            await page.close()
    return Measured(one, eight, encodings, made, published, probe.report(seen, publisher.log), frames)


async def test_eight_viewers_of_720p_cost_one_encoding_and_at_most_twice_the_processor(new_page: NewPage):
    # On a busy machine the page falls back to the WebSocket, or little is encoded: then try again.
    for _ in range(TRIES):
        measured = await measure(new_page)
        say(measured)
        if measured.fine:
            break
    assert measured.fine


def made_by(display: fw.Display) -> int:
    return sum(display.stats["encodes"].values())
