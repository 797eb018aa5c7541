"""A layer of half size fills the same place on a real screen, and a change of layers loses no picture."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

import framewire as fw
from benchmarks import probe
from framewire.engine.stream.layer_policy import Layer, LayerPolicy, PolicyViewer
from tests.e2e.conftest import NewPage
from tests.e2e.stage import SLACK, Publisher, address, advances, debug, painted, say, showing, until
from tests.e2e.test_picture import framed, on_show, psnr

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


class FixedLayer:
    """Puts every viewer on one layer, whatever its bandwidth."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.layer: Layer = Layer.FULL
        monkeypatch.setattr(LayerPolicy, "review", lambda policy, spent, half_below, now: self.review(policy))

    def review(self, policy: LayerPolicy[PolicyViewer]) -> dict[PolicyViewer, Layer]:
        moves = {viewer: self.layer for viewer, state in policy._states.items() if state.layer != self.layer}
        for viewer in moves:
            policy._states[viewer].layer = self.layer
        return moves


@pytest.mark.parametrize("codec", ["h264", "vp8"])
@pytest.mark.parametrize(("width", "height"), [(1280, 720), (641, 481)])
async def test_half_size_fills_the_same_place(
    new_page: NewPage, monkeypatch: pytest.MonkeyPatch, codec: str, width: int, height: int
):
    fixed = FixedLayer(monkeypatch)
    picture = framed(width, height, "rgb")
    async with fw.serve(width, height, port=0, codecs=[codec], engine="inline") as display:
        async with on_show(display, [picture]):
            page = await new_page(address(display.url, mode="webrtc", chrome="0"), width=width, height=height)
            await showing(page, "webrtc")
            fixed.layer = Layer.HALF

            async def halved() -> bool:
                return bool((await debug(page))["video"]["width"] < width)

            await until(halved)
            await until(lambda: display.stats["encodings"] == [f"{codec}-half"])

            async def close() -> bool:
                quality[:] = [psnr(await painted(page), picture)]
                return quality[0] > 28

            quality: list[float] = []
            await until(close)
            seen = (await painted(page)).astype(int)
            for y, x in ((8, 8), (8, -8), (-8, 8), (-8, -8)):
                assert np.abs(seen[y, x] - picture[y, x].astype(int)).max() < 24
            say(f"{codec} {width}x{height} at half size: {quality[0]:.1f} dB")


async def test_a_change_of_layers_and_back_loses_no_picture(new_page: NewPage, monkeypatch: pytest.MonkeyPatch):
    fixed = FixedLayer(monkeypatch)
    async with fw.serve(640, 480, port=0, codecs=["h264"], engine="inline") as display:
        with Publisher(display):
            page = await new_page(display.url)
            await showing(page, "webrtc")
            await probe.start(page)
            sizes = set()
            for layer in (Layer.HALF, Layer.FULL, Layer.HALF, Layer.FULL):
                fixed.layer = layer
                await asyncio.sleep(1.5)
                sizes.add((await debug(page))["video"]["width"])
            seen = await probe.take(page)
            report = probe.report(seen, {})
            say(f"four changes: {report}")
            assert sizes == {320, 640}
            assert advances(seen)
            assert report.gap < 400 * SLACK
