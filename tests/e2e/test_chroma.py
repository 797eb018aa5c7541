"""Whole chroma in a real Chromium: coloured text stays sharp, and viewers that cannot decode it get halved chroma."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import numpy as np
import pytest

import framewire as fw
from benchmarks import probe
from benchmarks.contents import FRAMES, _text, position
from benchmarks.numbers import coloured, psnr
from framewire.display import Display
from tests.e2e.conftest import NewPage
from tests.e2e.stage import Publisher, address, debug, painted, say, showing, until

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

WIDTH, HEIGHT, FPS = 1280, 720, 30

HIDE_WHOLE_CHROMA = """
const all = RTCRtpReceiver.getCapabilities.bind(RTCRtpReceiver);
RTCRtpReceiver.getCapabilities = (kind) => {
  const known = all(kind);
  return { ...known, codecs: known.codecs.filter(({ sdpFmtpLine }) => !/profile-level-id=f4/.test(sdpFmtpLine)) };
};
"""
# The name of a codec that does not exist makes the browser refuse what it announced.
REFUSE_WHOLE_CHROMA = """
const take = RTCPeerConnection.prototype.setRemoteDescription;
RTCPeerConnection.prototype.setRemoteDescription = function ({ type, sdp }) {
  return take.call(this, { type, sdp: sdp.includes("=f40034") ? sdp.replaceAll("H264/", "H269/") : sdp });
};
"""


class Scroll(threading.Thread):
    """A page of small text in three colours that scrolls; each frame holds its number."""

    def __init__(self, display: Display) -> None:
        super().__init__(daemon=True)
        self.display = display
        self.log = probe.Log()
        page = _text(WIDTH, HEIGHT)
        self.pages = [page(number).copy() for number in range(FRAMES)]
        self.over = threading.Event()

    def frame(self, number: int) -> np.ndarray:
        return probe.stamp(self.pages[position(number)].copy(), number)

    def run(self) -> None:
        due = time.monotonic()
        while not self.over.wait(max(0.0, due - time.monotonic())):
            due += 1 / FPS
            self.display.publish(self.log.next(self.pages[position(self.log.number + 1)].copy()))


async def judged(page: Any, scroll: Scroll) -> tuple[float, float] | None:
    """PSNR of the painted picture: of all of it, and of what is coloured. None where its number cannot be read."""
    seen = await painted(page)
    number = probe.read(seen)
    if number is None or not 0 < number <= scroll.log.number:
        return None
    wanted = scroll.frame(number)
    colours = coloured(wanted)
    return psnr(seen, wanted)[0], psnr(seen[colours], wanted[colours])[0]


async def quality(new_page: NewPage, mode: str, chroma: Any) -> tuple[float, float]:
    """PSNR of scrolling text at 8 Mbps as painted: of all of it, and of what is coloured."""
    async with fw.serve(
        WIDTH, HEIGHT, fps=FPS, port=0, max_bitrate=8_000_000, codecs=["h264"], chroma=chroma
    ) as display:
        scroll = Scroll(display)
        scroll.start()
        try:
            page = await new_page(address(display.url, mode=mode, chrome="0"), width=WIDTH, height=HEIGHT)
            await showing(page, mode)
            await asyncio.sleep(2)
            # The codec is known from the first report.
            status = await showing(page, mode)
            assert status["codec"] == ("h264_444" if chroma == "444" else "h264")
            await probe.start(page)
            await asyncio.sleep(3)
            say(mode, chroma, probe.report(await probe.take(page), scroll.log), display.stats)
            good = [one for one in [await judged(page, scroll) for _ in range(7)] if one]
            assert good, "no number could be read"
        finally:
            scroll.over.set()
            scroll.join(5)
    # A busy machine makes some of them worse, and none better.
    whole, colour = np.max(good, axis=0)
    say(mode, chroma, f"{whole:.1f} dB, {colour:.1f} dB of what is coloured")
    return float(whole), float(colour)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["webrtc", "webcodecs"])
async def test_coloured_text_in_motion_is_painted_6_db_better_at_the_same_bitrate(new_page: NewPage, mode: str):
    halved, whole = await quality(new_page, mode, "420"), await quality(new_page, mode, "444")
    assert whole[1] >= halved[1] + 6
    assert whole[0] >= halved[0] + 3


async def moves_in(page: Any, codec: str) -> None:
    """Wait until the page shows WebRTC with this codec."""

    async def status() -> bool:
        now = (await debug(page)).get("status") or {}
        return (now.get("showing"), now.get("reason"), now.get("codec")) == ("webrtc", {"code": "webrtc"}, codec)

    await until(status)


async def opened(new_page: NewPage, display: Display, script: str = "") -> Any:
    """A page on which ``script`` runs before all others."""
    page = await new_page("about:blank")
    if script:
        await page.add_init_script(script)
    await page.goto(address(display.url, mode="webrtc"))
    return page


async def test_a_viewer_that_cannot_decode_whole_chroma_gets_halved_beside_one_that_can(new_page: NewPage):
    async with fw.serve(640, 480, port=0, chroma="444") as display:
        with Publisher(display):
            able = await opened(new_page, display)
            unable = await opened(new_page, display, HIDE_WHOLE_CHROMA)
            await moves_in(able, "h264_444")
            await moves_in(unable, "h264")
            await until(lambda: display.stats.get("encodings") == ["h264", "h264_444"])
            assert "H.264 4:4:4" in await able.inner_text("body")
            await able.close()
            await until(lambda: display.stats.get("encodings") == ["h264"])


async def test_a_viewer_that_fails_to_decode_whole_chroma_goes_on_with_halved(new_page: NewPage):
    async with fw.serve(640, 480, port=0, chroma="444") as display:
        with Publisher(display):
            page = await opened(new_page, display, REFUSE_WHOLE_CHROMA)
            await moves_in(page, "h264")
            said = (await debug(page))["transitions"]
            refused = next(
                index for index, one in enumerate(said) if one["reason"].get("fallback", {}).get("codec") == "h264"
            )
            assert not any(one["showing"] == "webrtc" for one in said[: refused + 1]), "black is no picture"
