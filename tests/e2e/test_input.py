"""Input on a page arrives at the publisher, in pixels of the frame."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import framewire as fw
from tests.e2e.conftest import NewPage
from tests.e2e.stage import Publisher, address, painted, showing, until

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
            like = (one for one in self.seen if one["type"] == kind and fields.items() <= one.items())
            return next(like, None)

        try:
            event: dict[str, Any] = await until(found, 5)
        except AssertionError:
            raise AssertionError(f"no {kind} {fields} in {self.seen}") from None
        return event

    @property
    def seen(self) -> list[dict[str, Any]]:
        """All so far, oldest first."""
        self._events += [one.event for one in self._display.poll_events()]  # type: ignore[misc]
        return self._events

    def clear(self) -> None:
        self.seen.clear()


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


STYLES = {
    "plain": "#framewire { margin: 0 }",
    "scaled down": "#framewire { transform: scale(0.6) }",
    "scaled up, from a corner": "#framewire { width: 300px; height: 200px; transform: scale(2.25); "
    "transform-origin: 0 0 }",
    "turned": "#framewire { transform: rotate(33deg) scale(0.7) }",
    "upside down and mirrored": "#framewire { transform: scale(-1, -0.8) }",
    "by a matrix": "#framewire { transform: matrix(0.8, 0.2, -0.15, 0.7, 12, 7) }",
    "in perspective": "body { perspective: 700px } #framewire { transform: rotateY(35deg) rotateX(10deg) }",
    "zoomed": "#framewire { zoom: 1.5; width: 400px; height: 250px }",
    "zoomed, scaled and turned, one in the other": "html { zoom: 0.8 } body { transform: scale(0.9) } "
    "#framewire { transform: rotate(-8deg); zoom: 1.2; width: 500px; height: 300px }",
    "translated by fractions": "#framewire { transform: translate(13.37px, 7.3px) rotate(1deg) }",
    "with borders and padding": ".framewire { border: 7px solid red; padding: 11px } #framewire { padding: 9px 3px }"
    ".framewire-stage { border: 5px solid blue; padding: 3px }",
    "of a fractional size": "#framewire { width: 333.3px; height: 251.7px; margin: 10.4px 20.7px }",
    "scrolled": "#framewire { margin: 700px 0 900px 500px; width: 700px; height: 500px }",
    "in a scrolled box": "body { overflow: auto; height: 500px } "
    "#framewire { margin: 300px; width: 900px; height: 700px }",
}


def pixel_map(width: int, height: int) -> np.ndarray:
    """A frame whose pixels say where they are: red is x, green is y, blue marks the frame."""
    frame = np.full((height, width, 3), 200, np.uint8)
    frame[..., 0] = np.arange(width)[None, :]
    frame[..., 1] = np.arange(height)[:, None]
    return frame


async def under_the_pointer(page: Page, events: Events, count: int, ratio: float) -> None:
    """At so many places on the page, the event names the pixel that is painted there."""
    await page.evaluate("document.querySelector('.framewire').scrollIntoView({block: 'center', inline: 'center'})")
    await asyncio.sleep(0.2)
    shot = (await painted(page)).astype(int)
    marked = np.argwhere(np.abs(shot[..., 2] - 200) <= 2)
    assert len(marked) > 5000, "the picture is on the page"
    checked = 0
    for row, column in marked[np.random.default_rng(1).permutation(len(marked))]:
        around = shot[row - 2 : row + 3, column - 2 : column + 3]
        if around.shape != (5, 5, 3) or (np.abs(around[..., 2] - 200) > 2).any():
            continue  # at the edge, where colours are mixed
        await page.mouse.move((column + 0.5) / ratio, (row + 0.5) / ratio)
        await page.mouse.down()
        seen = await events.wait("pointer_down")
        await page.mouse.wheel(0, 1)
        wheel = await events.wait("wheel")
        await page.mouse.up()
        await events.wait("pointer_up")
        events.clear()
        x, y, _ = shot[row, column]
        assert (seen["x"], seen["y"]) == pytest.approx((x + 0.5, y + 0.5), abs=1.5), (row, column)
        assert (wheel["x"], wheel["y"]) == pytest.approx((x + 0.5, y + 0.5), abs=1.5), (row, column)
        assert (seen["inside"], seen["width"], seen["height"]) == (True, 220, 150)
        checked += 1
        if checked == count:
            return
    raise AssertionError(f"only {checked} places")


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
async def test_an_event_names_the_pixel_that_is_painted_under_the_pointer(new_page: NewPage, style: str):
    async with fw.serve(220, 150, port=0) as display:
        display.publish(pixel_map(220, 150))
        page = await new_page(address(display.url, mode="lossless", chrome="0"), width=1000, height=700)
        await page.add_style_tag(content=style)
        await showing(page, "lossless")
        await under_the_pointer(page, Events(display), 8, 1)


@pytest.mark.parametrize("ratio", [1.25, 2])
@pytest.mark.parametrize("fit", ["contain", "cover", "fill"])
async def test_on_screens_with_smaller_pixels_and_in_each_fit(new_page: NewPage, ratio: float, fit: str):
    async with fw.serve(220, 150, port=0) as display:
        display.publish(pixel_map(220, 150))
        page = await new_page(
            address(display.url, mode="lossless", chrome="0"), width=701, height=350, device_scale_factor=ratio
        )
        await showing(page, "lossless")
        await page.evaluate(f"[...__framewire.views][0].setFit('{fit}')")
        await page.add_style_tag(content="#framewire { transform: rotate(4deg) scale(0.8) }")
        events = Events(display)
        await under_the_pointer(page, events, 8, ratio)
        await page.mouse.move(350, 170)
        across = {"contain": 350 * 220 / 150, "cover": 701, "fill": 701}[fit]
        assert (await events.wait("pointer_move"))["pixel_ratio"] == pytest.approx(220 / across, rel=0.01)


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


async def still_page(new_page: NewPage, display: fw.Display) -> Page:
    """A page that shows one exact frame, with the focus on it."""
    display.publish(pixel_map(220, 150))
    page = await new_page(address(display.url, mode="lossless", chrome="0"))
    await showing(page, "lossless")
    await page.mouse.click(400, 300)
    return page


async def test_what_is_held_comes_up_when_its_end_will_not_be_seen(new_page: NewPage):
    async with fw.serve(220, 150, port=0) as display:
        page = await still_page(new_page, display)
        events = Events(display)
        for leave in (
            "document.activeElement.blur()",
            "document.querySelector('.framewire').style.display = 'none'",
            "Object.defineProperty(document, 'visibilityState', {value: 'hidden', configurable: true});"
            "document.dispatchEvent(new Event('visibilitychange'))",
            "[...__framewire.views][0].dispose()",
        ):
            await events.wait("focus_in")
            events.clear()
            for key in ("Shift", "W", "ArrowLeft"):
                await page.keyboard.down(key)
                await events.wait("key_down", key=key)
            await page.evaluate(leave)
            for key in ("W", "ArrowLeft", "Shift"):
                await events.wait("key_up", key=key)
            for key in ("Shift", "W", "ArrowLeft"):
                await page.keyboard.up(key)
            events.clear()
            await page.evaluate("document.querySelector('.framewire')?.style.removeProperty('display')")
            await page.evaluate(
                "delete document.visibilityState; document.dispatchEvent(new Event('visibilitychange'));"
                "document.activeElement.blur(); document.querySelector('.framewire-stage')?.focus()"
            )


async def test_a_button_comes_up_once_whatever_ends_its_drag(new_page: NewPage):
    async with fw.serve(220, 150, port=0) as display:
        page = await still_page(new_page, display)
        events = Events(display)
        for lose in (
            "window.dispatchEvent(new Event('blur'))",
            "document.querySelector('.framewire-stage').releasePointerCapture(1)",
            "document.querySelector('.framewire').style.display = 'none'",
        ):
            await page.mouse.move(400, 300)
            await events.wait("pointer_move")
            events.clear()
            await page.mouse.down(button="right")
            await events.wait("pointer_down", button=2)
            await page.mouse.move(500, 400)
            await page.evaluate(lose)
            await page.mouse.move(502, 400)  # a lost capture is reported with the next event
            up = await events.wait("pointer_up", button=2)
            assert (up["buttons"], up["ntouches"]) == ([], 0)
            below_the_bar = 400 - (600 - 800 * 150 / 220) / 2
            assert (up["x"], up["y"]) == pytest.approx((500 * 220 / 800, below_the_bar * 220 / 800), abs=1)
            await page.mouse.up(button="right")
            await page.evaluate("document.querySelector('.framewire').style.removeProperty('display')")
            await page.mouse.move(5, 5)
            await events.wait("pointer_move", buttons=[])
            assert len([event for event in events.seen if event["type"] == "pointer_up"]) == 1


async def test_each_of_two_buttons_goes_down_and_comes_up(new_page: NewPage):
    async with fw.serve(220, 150, port=0) as display:
        page = await still_page(new_page, display)
        events = Events(display)
        await events.wait("pointer_up")
        events.clear()
        for act, button in (("down", "left"), ("down", "right"), ("up", "left"), ("up", "right")):
            await getattr(page.mouse, act)(button=button)
        await events.wait("pointer_up", buttons=[])
        kinds = [(event["type"], event["button"], event["buttons"]) for event in events.seen]
        assert kinds == [
            ("pointer_down", 1, [1]),
            ("pointer_down", 2, [1, 2]),
            ("pointer_up", 1, [2]),
            ("pointer_up", 2, []),
        ]


async def test_typed_text_arrives_as_characters_composed_or_not(new_page: NewPage):
    async with fw.serve(220, 150, port=0) as display:
        page = await still_page(new_page, display)
        events = Events(display)
        await page.keyboard.press("a")
        char = await events.wait("char")
        assert char["data"] == "a" and char["input_type"] == "insertText"
        assert (char["is_composing"], char["repeat"]) == (False, False)
        await page.keyboard.press("Shift+B")
        await events.wait("char", data="B")
        for key in ("Enter", "Control+c", "Alt+f", "Escape"):
            await page.keyboard.press(key)
        await page.keyboard.insert_text("漢字 🙂")
        await events.wait("char", data="漢字 🙂", is_composing=False)
        keyboard = await page.context.new_cdp_session(page)
        for text in ("に", "にほ"):
            await keyboard.send("Input.imeSetComposition", {"text": text, "selectionStart": 1, "selectionEnd": 1})
            await events.wait("char", data=text, is_composing=True, input_type="insertCompositionText")
        await keyboard.send("Input.insertText", {"text": "日本"})
        await events.wait("char", data="日本", is_composing=False)
        await page.keyboard.press("z")
        await events.wait("char", data="z")
        final = [event["data"] for event in events.seen if event["type"] == "char" and not event["is_composing"]]
        assert final == ["a", "B", "漢字 🙂", "日本", "z"]
        assert await page.evaluate("document.activeElement.className") == "framewire-stage", "it kept the focus"


async def test_a_view_says_how_it_is_seen_and_when_it_ends(new_page: NewPage):
    async with fw.serve(220, 150, port=0) as display:
        page = await still_page(new_page, display)
        events = Events(display)
        resize = await events.wait("resize")
        assert (resize["width"], resize["height"], resize["pwidth"], resize["ratio"]) == (800, 600, 800, 1)
        await events.wait("show")
        await events.wait("focus_in")
        await page.evaluate("document.querySelector('.framewire').style.display = 'none'")
        await events.wait("hide")
        await page.set_viewport_size({"width": 700, "height": 600})
        await page.evaluate("document.querySelector('.framewire').style.removeProperty('display')")
        await events.wait("resize", width=700)
        await until(
            lambda: [one["type"] for one in events.seen if one["type"] in ("show", "hide")][-2:] == ["hide", "show"]
        )
        await page.evaluate("[...__framewire.views][0].setStream('default')")
        await page.evaluate("[...__framewire.views][0].dispose()")
        await events.wait("close")
        sizes = [event["width"] for event in events.seen if event["type"] == "resize"]
        assert 0 not in sizes and sizes[0] == 800 and sizes[-1] == 700
        assert [event["type"] for event in events.seen].count("close") == 1


async def test_a_view_says_how_it_is_before_the_first_frame_and_again_after_it_connected_anew(new_page: NewPage):
    async with fw.serve(220, 150, port=0) as display:
        page = await new_page(address(display.url, mode="lossless", chrome="0"))
        events = Events(display)
        assert (await events.wait("resize"))["width"] == 800
        await events.wait("show")
        display.publish(pixel_map(220, 150))
        await showing(page, "lossless")
        events.clear()
        await page.evaluate("document.querySelector('.framewire-stage').focus()")
        await events.wait("focus_in")
        await page.reload()
        await events.wait("resize")
        await events.wait("show")


async def test_a_stream_that_is_served_anew_under_its_name_is_sent_how_the_view_is(new_page: NewPage):
    """As a cell that is run again does: the view stays as it is, and knows of no change."""
    async with fw.serve_server(port=0) as server:
        page = await still_page(new_page, server.add_stream("default", 220, 150))
        again = server.add_stream("default", 220, 150)
        again.publish(pixel_map(220, 150))
        events = Events(again)
        assert (await events.wait("resize"))["width"] == 800
        await events.wait("show")
        await events.wait("focus_in")
        assert await page.evaluate("document.querySelectorAll('.framewire').length") == 1


async def test_a_page_that_goes_away_closes_its_view(new_page: NewPage):
    async with fw.serve(220, 150, port=0) as display:
        page = await still_page(new_page, display)
        events = Events(display)
        await page.keyboard.down("x")
        await events.wait("key_down", key="x")
        await page.goto("about:blank")
        await events.wait("key_up", key="x")
        await events.wait("close")


async def test_a_view_that_goes_to_another_stream_ends_on_the_first(new_page: NewPage):
    async with fw.serve_server(port=0) as server:
        one, two = (server.add_stream(name, 220, 150) for name in ("one", "two"))
        for display in (one, two):
            display.publish(pixel_map(220, 150))
        page = await new_page(address(one.url, mode="lossless", chrome="0"))
        await showing(page, "lossless")
        await page.mouse.click(400, 300)
        left, entered = Events(one), Events(two)
        await page.keyboard.down("x")
        await left.wait("key_down", key="x")
        assert entered.seen == []
        await page.evaluate("[...__framewire.views][0].setStream('two')")
        await left.wait("key_up", key="x")
        await left.wait("close")
        for kind in ("resize", "show", "focus_in"):
            await entered.wait(kind)
