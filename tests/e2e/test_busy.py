"""The user's program computes, or sleeps: the picture does not notice. Ratios to the same picture unhindered."""

from __future__ import annotations

import pytest

from benchmarks import probe
from benchmarks.probe import Report
from tests.e2e.conftest import NewPage
from tests.e2e.program import running
from tests.e2e.stage import address, say, showing, watch

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

FPS = 30.0
TRIES = 3


async def seen_with(new_page: NewPage, hindrance: str) -> Report:
    async with running(640, 360, fps=FPS, hindrance=hindrance) as program:
        page = await new_page(address(program.url, mode="webrtc"))
        await showing(page, "webrtc")
        await watch(page, 0.5)
        seen = await watch(page, 3)
        await page.close()
        return probe.report(seen, await program.end())


@pytest.mark.parametrize("hindrance", ["spin", "sleep"])
async def test_a_busy_publisher_costs_neither_frames_nor_time(new_page: NewPage, hindrance: str):
    for again in range(TRIES):
        free = await seen_with(new_page, "still")
        held = await seen_with(new_page, hindrance)
        say("free:", free)
        say(f"{hindrance}:", held)
        # The display's own beat is 16.7 ms; a few of the difference are its chance.
        fine = held.fps >= 0.9 * free.fps and held.p50 <= 1.5 * free.p50 + 5
        if fine or again == TRIES - 1:
            break
    assert held.fps >= 0.9 * free.fps
    assert held.p50 <= 1.5 * free.p50 + 5
