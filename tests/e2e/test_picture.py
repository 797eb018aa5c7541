"""A picture on a page in a real Chromium: it moves, in each codec, at any size, in the right colours."""

from __future__ import annotations

import pytest

import framewire as fw
from benchmarks import probe
from tests.e2e.conftest import NewPage
from tests.e2e.stage import Publisher, address, advances, showing, watch

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


@pytest.mark.parametrize("codec", ["h264", "vp8"])
async def test_frames_move_over_webrtc(new_page: NewPage, codec: str):
    async with fw.serve(640, 480, port=0, codecs=[codec]) as display:
        with Publisher(display) as publisher:
            page = await new_page(display.url)
            status = await showing(page, "webrtc")
            assert status["codec"] == codec
            seen = await watch(page, 2)
            print(codec, probe.report(seen, publisher.log))
            assert {one.element for one in seen} == {"video"}
            assert advances(seen)
            assert len(seen) > 15
