"""Where UDP is blocked there is a picture over the WebSocket, and video returns when UDP does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import framewire as fw
from benchmarks import probe
from tests.conftest import CHROMIUM_FLAGS, chromium
from tests.e2e import namespaces
from tests.e2e.conftest import NewPage
from tests.e2e.namespaces import Namespace
from tests.e2e.program import running
from tests.e2e.stage import SLACK, Publisher, advances, debug, say, showing, until, watch

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page, Playwright

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

# Time from navigation to a picture, measured in the page, so that the time of the driver does not count.
SHOWN = """new Promise((done) => {
  const look = () => {
    const [view] = globalThis.__framewire?.views ?? [];
    const first = view?.debug().transitions.find((one) => one.showing !== "none");
    if (first) done(first.at - performance.timeOrigin); else setTimeout(look, 5);
  };
  look();
})"""


@contextlib.asynccontextmanager
async def chrome_in(playwright: Playwright, there: Namespace, folder: Path) -> AsyncIterator[Browser]:
    found = chromium()
    assert found
    script = there.wrapped(found, folder)
    browser = await playwright.chromium.launch(executable_path=script, args=list(CHROMIUM_FLAGS))
    try:
        yield browser
    finally:
        await browser.close()


async def moves_without_udp(page: Page) -> None:
    took = await page.evaluate(SHOWN)
    say(f"a picture {took:.0f} ms after navigation")
    assert took < 1000 * SLACK

    async def blocked() -> Any:
        reason = (await debug(page))["status"]["reason"]
        return reason if reason["code"] == "udp_blocked" else None

    reason = await until(blocked, 5)
    assert reason["fallback"] == {"mode": "lossless"}
    assert "UDP may be blocked" in await page.inner_text("body")
    # WebRTC is still being tried; the picture must not wait for it.
    seen = await watch(page, 3)
    assert advances(seen)
    assert {one.element for one in seen} == {"canvas"}


async def elsewhere(page: Page) -> bool:
    return bool((await debug(page))["status"]["showing"] != "webrtc")


async def test_a_browser_that_may_not_use_udp_shows_a_picture_and_the_reason(playwright: Playwright, new_page: NewPage):
    # Some release removed the first word of the switch.
    policy = "webrtc-ip-handling-policy=disable_non_proxied_udp"
    flags = [*CHROMIUM_FLAGS, f"--{policy}", f"--force-{policy}"]
    browser = await playwright.chromium.launch(executable_path=chromium(), args=flags)
    async with running(320, 240) as program:
        page = await new_page(program.url, browser)
        await moves_without_udp(page)
    await browser.close()


async def test_a_page_on_this_machine_has_video_from_an_engine_that_uses_loopback_alone(new_page: NewPage):
    async with fw.serve(320, 240, port=0, udp_host="127.0.0.1") as display:
        with Publisher(display):
            page = await new_page(display.url)
            await showing(page, "webrtc")
            assert advances(await watch(page, 0.5))


@pytest.mark.netns
async def test_a_firewall_that_drops_udp_delays_the_picture_by_less_than_a_second(
    playwright: Playwright, new_page: NewPage, tmp_path: Path
):
    with namespaces.two() as (here, there):
        here.drop_udp()
        there.drop_udp()
        async with (
            running(320, 240, host=here.address, inside=here.inside) as program,
            chrome_in(playwright, there, tmp_path) as browser,
        ):
            page = await new_page(program.url, browser)
            await moves_without_udp(page)


@pytest.mark.netns
async def test_video_falls_back_when_udp_is_lost_and_returns_with_it(
    playwright: Playwright, new_page: NewPage, tmp_path: Path
):
    with namespaces.two() as (here, there):
        async with (
            running(320, 240, host=here.address, inside=here.inside) as program,
            chrome_in(playwright, there, tmp_path) as browser,
        ):
            page = await new_page(program.url, browser)
            await showing(page, "webrtc")
            assert advances(await watch(page, 0.5))
            await probe.start(page)
            here.drop_udp()
            there.drop_udp()
            await until(lambda: elsewhere(page), 2 * SLACK)
            await asyncio.sleep(0.3)
            seen = await probe.take(page)
            assert seen[-1].element == "canvas"
            gap = probe.report(seen, {}).gap
            reason = (await debug(page))["status"]["reason"]
            say(f"UDP gone: moving again after {gap:.0f} ms: {reason}")
            assert gap < 2000 * SLACK
            assert advances(await watch(page, 2))
            here.allow_udp()
            there.allow_udp()
            await probe.start(page)
            before = await page.evaluate("Date.now()")
            await showing(page, "webrtc", timeout=30 * SLACK)
            took = (await page.evaluate("Date.now()") - before) / 1000
            seen = await probe.take(page)
            say(f"UDP back: webrtc again after {took:.1f} s; {probe.report(seen, {})}")
            # The change loses no picture.
            assert advances(seen)
            assert probe.report(seen, {}).gap < 1000 * SLACK


@pytest.mark.netns
async def test_a_machine_without_a_network_has_video(playwright: Playwright, new_page: NewPage, tmp_path: Path):
    with namespaces.alone(bridge=True) as here:
        async with (
            running(320, 240, inside=here.inside) as program,
            chrome_in(playwright, here, tmp_path) as browser,
        ):
            page = await new_page(program.url, browser)
            await showing(page, "webrtc")
            assert advances(await watch(page, 1))


@pytest.mark.netns
async def test_a_machine_with_nothing_but_loopback_shows_a_picture(
    playwright: Playwright, new_page: NewPage, tmp_path: Path
):
    """No browser gathers candidates there, not even for two connections of one page, so UDP counts as blocked."""
    with namespaces.alone() as here:
        async with (
            running(320, 240, inside=here.inside) as program,
            chrome_in(playwright, here, tmp_path) as browser,
        ):
            page = await new_page(program.url, browser)
            await moves_without_udp(page)
