"""A second browser: Firefox shows video over WebRTC, and exact frames over the WebSocket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

import framewire as fw
from benchmarks import probe
from tests.conftest import firefox
from tests.e2e.bidi import Tab, firefox_tab
from tests.e2e.stage import Publisher, address, advances, debug, say, showing, until, watch

pytestmark = [pytest.mark.firefox, pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def tab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Tab]:
    program = firefox()
    assert program
    profile: Path = tmp_path_factory.mktemp("firefox")
    async with firefox_tab(program, profile) as opened:
        yield opened


@pytest.mark.parametrize(
    ("codecs", "chroma"),
    [(("vp8",), "420"), (("h264", "vp8"), "420"), (("h264", "vp8"), "444")],
    ids=["vp8", "its choice", "whole chroma, which it cannot decode"],
)
async def test_video_moves_in_firefox(tab: Tab, codecs: tuple[str, ...], chroma: Any):
    async with fw.serve(320, 240, port=0, codecs=codecs, chroma=chroma) as display:
        with Publisher(display) as publisher:
            await tab.goto(display.url)
            status = await showing(tab, "webrtc")
            assert status["codec"] in codecs
            seen = await watch(tab, 2)
            say(status["codec"], probe.report(seen, publisher.log))
            assert {one.element for one in seen} == {"video"}
            assert advances(seen)
            assert len(seen) > 10


async def test_lossless_frames_arrive_exact_in_firefox(tab: Tab):
    async with fw.serve(320, 240, port=0) as display:
        with Publisher(display):
            await tab.goto(address(display.url, mode="lossless"))
            await showing(tab, "lossless")
            # Not with the probe: a headless Firefox stops for ten seconds when a page reads a worker's canvas.
            checked: list[list[int]] = []

            async def many() -> bool:
                checked[:] = (await debug(tab))["lossless"]
                return len(checked) > 30

            await until(many)
            numbers = [number for number, _ in checked]
            assert numbers == sorted(set(numbers))
            assert (await debug(tab))["stats"]["mismatched"] == 0


@pytest.mark.parametrize("zoom", [1, 1.25])
async def test_a_click_in_firefox_names_the_pixel_of_a_turned_view(tab: Tab, zoom: float):
    async with fw.serve(220, 150, port=0) as display:
        with Publisher(display):
            await tab.goto(address(display.url, mode="lossless", chrome="0"))
            await showing(tab, "lossless")
            place = "position: fixed; left: 300px; top: 50px; width: 440px; height: 300px"
            turn = "transform: rotate(90deg) scale(0.5); transform-origin: 0 0"
            await tab.evaluate(f"(document.querySelector('#framewire').style.cssText = '{place}; {turn}')")
            await tab.evaluate(f"(document.documentElement.style.zoom = '{zoom}')")
            await until(lambda: tab.evaluate("document.querySelector('.framewire-picture').clientWidth === 440"))
            display.poll_events()
            # Half the size, turned by 90 degrees: (200, 100) of the view is (-50, 100) from its corner.
            await tab.click(round(zoom * 250), round(zoom * 150))
            seen: list[dict[str, Any]] = []

            def downs() -> list[dict[str, Any]]:
                seen.extend(one.event for one in display.poll_events())  # type: ignore[misc]
                return [event for event in seen if event["type"] == "pointer_down"]

            try:
                (down,) = await until(downs, 5)
            except AssertionError:
                raise AssertionError(f"no pointer_down in {seen}") from None
            assert (down["x"], down["y"]) == pytest.approx((100, 50), abs=1.5)
            assert (down["width"], down["height"], down["pixel_ratio"]) == (220, 150, 0.5)
