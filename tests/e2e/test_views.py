"""Views on one page share one connection; a hidden view costs nothing; a disposed view leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from aiohttp import web

import framewire as fw
from benchmarks import probe
from tests.e2e.conftest import NewPage
from tests.e2e.stage import SLACK, Publisher, address, advances, first_new, say, showing, until, watch

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

STATIC = Path(fw.__file__).parent / "static"
PAGE = """<!doctype html><meta charset=utf-8><title>views</title>
<link rel="stylesheet" href="/widget.css">
<style>body { margin: 0; display: grid; grid-template-columns: repeat(2, 400px); grid-auto-rows: 300px }</style>"""
COUNT_PEERS = """() => {
  const Real = RTCPeerConnection;
  globalThis.peers = [];
  globalThis.RTCPeerConnection = class extends Real { constructor(...all) { super(...all); peers.push(this); } };
}"""
OPEN = """async ([url, token, streams]) => {
  const { View } = await import("/index.js");
  globalThis.opened = streams.map((stream) => {
    const box = document.body.appendChild(document.createElement("div"));
    return new View(box, { url, token, stream });
  });
}"""


class EngineSockets:
    """The sockets of an engine that are in use."""

    def __init__(self, server: fw.Server) -> None:
        assert server.engine_pid
        self._engine = psutil.Process(server.engine_pid)
        self._port = server.port

    def websockets(self) -> int:
        inet = self._engine.net_connections("tcp")
        return sum(one.status == psutil.CONN_ESTABLISHED and one.laddr.port == self._port for one in inet)

    def udp(self) -> int:
        return len(self._engine.net_connections("udp"))


@contextlib.asynccontextmanager
async def embedding() -> AsyncIterator[str]:
    """The address of a page of another server on this machine, which may import the client."""
    app = web.Application()

    async def page(_: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    app.router.add_get("/", page)
    app.router.add_static("/", STATIC)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


async def test_views_of_two_streams_share_one_socket_and_one_peer_and_leave_nothing(new_page: NewPage):
    server = await fw.serve_server(port=0)
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(server.close)
        displays = [server.add_stream(name, 320, 240) for name in ("one", "two")]
        for display in displays:
            stack.enter_context(Publisher(display))
        sockets = EngineSockets(server)
        page = await new_page(await stack.enter_async_context(embedding()))
        await page.evaluate(COUNT_PEERS)
        await page.evaluate(OPEN, [f"ws://{server.address}/ws", server.token, ["one", "one", "two", "two", "one"]])
        for view in range(5):
            await showing(page, "webrtc", view)
        assert sockets.websockets() == 1
        assert await page.evaluate("peers.filter((peer) => peer.connectionState === 'connected').length") == 1
        assert await page.evaluate("__framewire.connections.size") == 1
        await until(lambda: [display.stats.get("encodings") for display in displays] == [["h264"], ["h264"]])
        assert [display.client_count for display in displays] == [1, 1]
        # The others keep moving when a view is disposed.
        await page.evaluate("opened[0].dispose(), opened[3].dispose()")
        assert advances(await watch(page, 1))
        await page.evaluate("opened.forEach((view) => view.dispose())")
        await until(lambda: [display.client_count for display in displays] == [0, 0])
        await until(lambda: [display.stats["encodings"] for display in displays] == [[], []])
        await until(lambda: sockets.websockets() == 0)
        await until(lambda: sockets.udp() == 0)
        assert await page.evaluate("peers.every((peer) => peer.connectionState === 'closed')")
        assert await page.evaluate("[__framewire.connections.size, __framewire.views.size]") == [0, 0]
        assert await page.evaluate("document.querySelectorAll('.framewire').length") == 0


async def encodes_in(display: fw.Display, seconds: float) -> int:
    """Units of all encodings that were made between two of the engine's reports."""

    def made() -> int:
        return sum(display.stats.get("encodes", {}).values())

    before = made()
    await asyncio.sleep(seconds)
    return made() - before


@pytest.mark.parametrize("mode", ["webrtc", "lossless"])
async def test_a_view_scrolled_away_costs_no_encode_and_comes_back_with_the_newest_frame(new_page: NewPage, mode: str):
    async with fw.serve(320, 240, port=0) as display:
        with Publisher(display) as publisher:
            page = await new_page(address(display.url, mode=mode))
            await showing(page, mode)
            assert advances(await watch(page, 0.5))
            # A space above it, higher than the window, like scrolling in a long notebook.
            move = "(height) => document.getElementById('framewire').style.marginTop = height"
            await page.evaluate(move, "3000px")
            await hidden_costs_nothing(display)
            await probe.start(page)
            newest = publisher.log.number
            await page.evaluate(move, "0")
            seen = await first_new(page, newest)
            took = seen.at - publisher.log.sent[newest]
            say(f"{mode}: a new frame {took * 1000:.0f} ms after it came back")
            assert took < 1.0 * SLACK
            assert advances(await watch(page, 0.5))


async def test_a_hidden_tab_costs_no_encode_and_comes_back_with_the_newest_frame(new_page: NewPage):
    async with fw.serve(320, 240, port=0) as display:
        with Publisher(display) as publisher:
            page = await new_page(display.url)
            await showing(page, "webrtc")
            await hide(page, True)
            await hidden_costs_nothing(display)
            newest = publisher.log.number
            await hide(page, False)
            await probe.start(page)
            took = (await first_new(page, newest)).at - publisher.log.sent[newest]
            say(f"a new frame {took * 1000:.0f} ms after the tab was shown")
            assert took < 1.0 * SLACK
            assert (await showing(page, "webrtc"))["showing"] == "webrtc"


async def hide(page: Page, hidden: bool) -> None:
    """A headless browser shows all its tabs, so the test sends the event that a hidden tab gets."""
    await page.evaluate(
        """(state) => {
          Object.defineProperty(document, "visibilityState", { configurable: true, get: () => state });
          document.dispatchEvent(new Event("visibilitychange"));
        }""",
        "hidden" if hidden else "visible",
    )


async def hidden_costs_nothing(display: fw.Display) -> None:
    """Within a few seconds nothing is encoded, while frames are still published."""
    await asyncio.sleep(1.2)  # the engine's last report may be of the time before
    if await encodes_in(display, 2.2):
        assert await encodes_in(display, 2.2) == 0
    assert display.stats["published_fps"] > 5


async def test_a_page_has_the_title_and_the_cursor_that_the_program_gives(new_page: NewPage):
    async with fw.serve(320, 240, port=0, title="The pond", cursor="crosshair") as display:
        with Publisher(display):
            page = await new_page(address(display.url, mode="lossless"))
            await showing(page, "lossless")
            assert await page.title() == "The pond"
            stage = page.locator(".framewire-stage")
            assert await stage.evaluate("(stage) => getComputedStyle(stage).cursor") == "crosshair"
            display.title, display.cursor = "The sea", "grab"
            await page.wait_for_function("() => document.title === 'The sea'")
            assert await stage.evaluate("(stage) => getComputedStyle(stage).cursor") == "grab"
            await expect_hidden_and_seen(page, display)


async def expect_hidden_and_seen(page: Page, display: fw.Display) -> None:
    """A view that is scrolled away is not watched; one that is scrolled back is."""
    events: list[str] = []
    display.on_viewers(lambda event: events.append(event.type))
    assert display.watched
    await page.evaluate("() => { document.body.style.transform = 'translateY(-5000px)'; }")
    await until(lambda: not display.watched)
    await page.evaluate("() => { document.body.style.transform = ''; }")
    await until(lambda: display.watched)
    assert events == ["hidden", "visible"]
