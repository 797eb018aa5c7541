"""Eight viewers of one stream cost one encoding, and not much more than one viewer.

One of them is a Chromium. The others are aiortc connections that decode nothing: eight decoders on the
machine that also encodes would measure its cores.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import psutil
import pytest

import framewire as fw
from benchmarks import probe
from tests.e2e.conftest import NewPage
from tests.e2e.stage import Publisher, address, advances, say, showing, until, watch

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

VIEWERS = Path(__file__).with_name("viewers_program.py")
SECONDS = 4


def busy(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


async def engine_load(display: fw.Display, seconds: float = SECONDS) -> float:
    """The part of one core that the engine takes, by the processor's own count."""
    assert display.server.engine_pid
    engine = psutil.Process(display.server.engine_pid)
    before = busy(engine)
    await asyncio.sleep(seconds)
    return (busy(engine) - before) / seconds


async def test_eight_viewers_of_720p_cost_one_encoding_and_at_most_twice_the_processor(new_page: NewPage):
    async with fw.serve(1280, 720, fps=30, port=0, codecs=["h264"]) as display:
        with Publisher(display) as publisher:
            page = await new_page(address(display.url, mode="webrtc"))
            await showing(page, "webrtc")
            await asyncio.sleep(1)
            one = await engine_load(display)
            token = display.url.split("token=")[1]
            pipe = asyncio.subprocess.PIPE
            others = await asyncio.create_subprocess_exec(
                sys.executable, str(VIEWERS), "7", display.ws_url, token, stdin=pipe, stdout=pipe
            )
            assert others.stdin and others.stdout
            try:
                assert json.loads(await asyncio.wait_for(others.stdout.readline(), 30)) == {"connected": 7}
                await until(lambda: display.client_count == 8)
                await asyncio.sleep(1)
                made, published = made_by(display), publisher.log.number
                seen, eight = await asyncio.gather(watch(page, SECONDS), engine_load(display))
                made, published = made_by(display) - made, publisher.log.number - published
                assert display.stats["encodings"] == ["h264"]
                others.stdin.close()
                frames = json.loads(await others.stdout.readline())["frames"]
                await others.wait()
            finally:
                if others.returncode is None:
                    others.kill()
                    await others.wait()
                others._transport.close()  # type: ignore[attr-defined]
            say(f"engine: {one:.2f} of a core with one viewer, {eight:.2f} with eight ({eight / one:.2f} times)")
            say(
                f"{made} encodes of {published} frames; the page: {probe.report(seen, publisher.log)}; others: {frames}"
            )
            # The engine speaks once a second, so the two counts are of slightly different seconds.
            assert made <= published + 1.5 * publisher.fps
            assert eight <= 2 * one
            assert advances(seen)
            assert len(frames) == 7
            assert min(frames) > SECONDS * 5


def made_by(display: fw.Display) -> int:
    return sum(display.stats["encodes"].values())
