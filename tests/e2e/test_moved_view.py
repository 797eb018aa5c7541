"""A view whose element is moved in its page, as marimo does: it goes on showing the newest picture."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

import framewire as fw
from tests.e2e.conftest import NewPage
from tests.e2e.stage import address, painted, showing, until

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

COLOURS = {"red": (220, 30, 30), "green": (30, 180, 30), "blue": (30, 30, 220)}

MOVES = {
    "another place": "(view) => { const place = document.createElement('div'); document.body.append(place); "
    "place.style.cssText = 'position:fixed;inset:0'; place.append(view); }",
    "a shadow tree": "(view) => { const place = document.createElement('div'); document.body.append(place); "
    "place.style.cssText = 'position:fixed;inset:0'; const root = place.attachShadow({mode: 'open'}); "
    "for (const sheet of document.querySelectorAll('style, link')) root.append(sheet.cloneNode(true)); "
    "root.append(view); }",
}


@pytest.mark.parametrize("mode", ["lossless", "webrtc"])
@pytest.mark.parametrize("move", MOVES)
async def test_a_view_that_is_moved_shows_the_newest_picture(new_page: NewPage, mode: str, move: str):
    async with fw.serve(320, 240, port=0) as display:
        page = await new_page(address(display.url, mode=mode, chrome="0"))

        async def shows(colour: str) -> bool:
            display.publish(np.full((240, 320, 3), COLOURS[colour], np.uint8))
            await asyncio.sleep(0.1)
            shot = (await painted(page)).astype(int)
            return bool((np.abs(shot - COLOURS[colour]).max(axis=2) < 25).mean() > 0.2)

        await until(lambda: shows("red"))
        await showing(page, mode)
        view = await page.query_selector(".framewire")
        assert view
        await view.evaluate(MOVES[move])
        await until(lambda: shows("green"))
        await until(lambda: shows("blue"))
