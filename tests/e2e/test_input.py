"""Input on a page arrives at the publisher, in pixels of the frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import framewire as fw
from tests.e2e.conftest import NewPage
from tests.e2e.stage import Publisher, address, showing, until

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


class Events:
    """All events of a display."""

    def __init__(self, display: fw.Display) -> None:
        self._display = display
        self._events: list[dict[str, Any]] = []

    async def wait(self, kind: str, **fields: Any) -> dict[str, Any]:
        def found() -> dict[str, Any] | None:
            self._events += [one.event for one in self._display.poll_events()]
            like = (one for one in self._events if one["type"] == kind and fields.items() <= one.items())
            return next(like, None)

        event: dict[str, Any] = await until(found, 5)
        return event


async def wide(new_page: NewPage, display: fw.Display, mode: str) -> Page:
    """A page twice as wide as its frame: 400x300 is shown at 400..1200 of 1600 across, twice its size."""
    page = await new_page(address(display.url, mode=mode, chrome="0"), width=1600, height=600)
    await showing(page, mode)
    return page


@pytest.mark.parametrize("mode", ["webrtc", "lossless"])
async def test_a_click_arrives_as_a_pixel_of_the_frame(new_page: NewPage, mode: str):
    async with fw.serve(400, 300, port=0) as display:
        with Publisher(display):
            page = await wide(new_page, display, mode)
            events = Events(display)
            await page.mouse.move(400 + 2 * 123, 2 * 45)
            await page.mouse.down(button="right")
            down = await events.wait("pointer_down")
            assert (down["x"], down["y"]) == pytest.approx((123, 45), abs=0.51)
            assert (down["button"], down["inside"]) == (2, True)
            await page.mouse.move(400 + 2 * 300, 2 * 200)
            await page.mouse.up(button="right")
            up = await events.wait("pointer_up")
            assert (up["x"], up["y"]) == pytest.approx((300, 200), abs=0.51)


async def test_a_click_is_in_frame_pixels_after_the_frame_changed_its_size(new_page: NewPage):
    async with fw.serve(400, 300, port=0) as display:
        with Publisher(display) as publisher:
            page = await wide(new_page, display, "webrtc")
            publisher.resize(800, 300)
            await until(lambda: page.evaluate("[...__framewire.views][0].status.size.width === 800"))
            events = Events(display)
            await page.mouse.click(2 * 700, 2 * 100)
            down = await events.wait("pointer_down")
            assert (down["x"], down["y"]) == pytest.approx((700, 100), abs=0.51)


async def test_wheel_and_keys_reach_the_publisher_and_not_the_page(new_page: NewPage):
    async with fw.serve(400, 300, port=0) as display:
        with Publisher(display):
            page = await wide(new_page, display, "lossless")
            # The page could scroll, if the event reached it.
            await page.evaluate("document.body.style.minHeight = '3000px'")
            assert await page.evaluate("document.documentElement.scrollHeight") >= 3000
            events = Events(display)
            await page.mouse.move(800, 300)
            await page.mouse.wheel(0, 120)
            assert (await events.wait("wheel"))["dy"] == 120
            await page.mouse.click(800, 300)
            for key in ("a", "ArrowDown", " "):
                await page.keyboard.press(key)
                await events.wait("key_down", key=key)
                await events.wait("key_up", key=key)
            await page.keyboard.press("Shift+B")
            assert (await events.wait("key_down", key="B"))["modifiers"] == ["Shift"]
            assert await page.evaluate("scrollY") == 0
