"""Either end's clock is set while a page watches: the latency that the page shows is right again within seconds."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

import framewire as fw
from tests.e2e.conftest import NewPage
from tests.e2e.stage import Publisher, address, debug, say, showing, until

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

HOUR_S = 3600


async def painted(page: Page) -> int:
    return int(((await debug(page)).get("stats") or {}).get("painted", 0))


async def is_believable(page: Page) -> bool:
    latency = ((await debug(page)).get("stats") or {}).get("latency_ms")
    return latency is not None and -5 < latency < 1500


async def is_right_soon(page: Page, before: int) -> None:
    """It goes on painting, and shows a latency that can be."""

    async def has_gone_on() -> bool:
        return await painted(page) > before + 30

    await until(has_gone_on)
    await until(lambda: is_believable(page), 5)


@pytest.mark.parametrize("hours", [-1, 1])
@pytest.mark.parametrize("mode", ["webrtc", "webcodecs", "lossless"])
async def test_latency_is_right_soon_after_the_servers_clock_was_set(
    new_page: NewPage, monkeypatch: pytest.MonkeyPatch, mode: str, hours: int
):
    now, now_ns = time.time, time.time_ns
    async with fw.serve(400, 300, port=0, engine="inline") as display:
        with Publisher(display):
            page = await new_page(address(display.url, mode=mode))
            await showing(page, mode)
            await until(lambda: is_believable(page))
            before = await painted(page)
            monkeypatch.setattr(time, "time", lambda: now() + hours * HOUR_S)
            monkeypatch.setattr(time, "time_ns", lambda: now_ns() + hours * HOUR_S * 1_000_000_000)
            await is_right_soon(page, before)
            say(f"{mode}, set by {hours} h:", await page.inner_text(".framewire-badge"))
            assert (await debug(page))["status"]["showing"] == mode


# In the page and in its worker, which is made of a Blob: the wall clock is ahead by what the channel says.
SET_CLOCK = """
  const wall = Date.now.bind(Date), clock = new BroadcastChannel("clock");
  let ahead = 0;
  Date.now = () => wall() + ahead;
  clock.onmessage = ({ data }) => { ahead = data; };
"""
SET_CLOCKS = f"""
  const set_clock = {SET_CLOCK!r};
  (0, eval)(`{{${{set_clock}}}}`);
  const Plain = Blob;
  globalThis.Blob = function (parts, options) {{
    return new Plain(/javascript/.test(options?.type) ? [`{{${{set_clock}}}}`, ...parts] : parts, options);
  }};
"""


@pytest.mark.parametrize(("mode", "hours"), [("webrtc", 1), ("lossless", -1)])
async def test_latency_is_right_soon_after_the_viewers_clock_was_set(new_page: NewPage, mode: str, hours: int):
    async with fw.serve(400, 300, port=0, engine="inline") as display:
        with Publisher(display):
            page = await new_page("about:blank", bypass_csp=True)
            await page.add_init_script(SET_CLOCKS)
            await page.goto(address(display.url, mode=mode))
            await showing(page, mode)
            await until(lambda: is_believable(page))
            before, worker = await painted(page), page.workers[0]
            was = await worker.evaluate("Date.now()")
            await page.evaluate(f"new BroadcastChannel('clock').postMessage({hours * HOUR_S * 1000})")
            await is_right_soon(page, before)
            assert abs(await worker.evaluate("Date.now()") - was) > HOUR_S * 900, "the clock of the worker was set"
            say(f"{mode}, viewer's clock set by {hours} h:", await page.inner_text(".framewire-badge"))
            await showing(page, mode, timeout=10)
