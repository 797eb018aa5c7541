"""The address of a display, opened as it is in a browser: any host, any token, any name."""

from __future__ import annotations

from pathlib import Path

import pytest

import framewire as fw
from tests.e2e.conftest import NewPage
from tests.e2e.stage import field, showing, until

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

IPV6 = Path("/proc/net/if_inet6")
HAS_IPV6 = IPV6.exists() and bool(IPV6.read_text())
TOKEN = "#&=?/%+;%41 zażółć 🖼\n\"'<>\\"


@pytest.mark.parametrize("host", ["localhost", "::", "[::1]", "127.0.0.2"])
async def test_the_address_shows_the_picture(new_page: NewPage, host: str):
    if "::1" in host and not HAS_IPV6:
        pytest.skip("this machine has no IPv6")
    with fw.serve(64, 48, host=host, port=0, token=TOKEN, name="a#b?c=d&é/%20") as display:
        display.publish(field(64, 48))
        page = await new_page(display.url)
        await showing(page, "lossless")
        assert await page.title() == display.name
        await page.evaluate("history.replaceState(null, '', location.pathname + location.search)")
        await page.reload()
        await showing(page, "lossless")
        await until(lambda: display.client_count == 1)


MARKUP = "<img src=x onerror=\"window.ran='name'\">"


async def test_a_name_and_a_title_are_text_not_markup(new_page: NewPage):
    with fw.serve_server(port=0) as server:
        named, titled = server.add_stream(MARKUP, 64, 48), server.add_stream("b", 64, 48)
        named.publish(field(64, 48))
        titled.publish(field(64, 48))
        titled.title = MARKUP
        for display in (named, titled):
            page = await new_page(display.url)
            await showing(page, "lossless")
            await until(lambda: page.locator("[aria-label*='onerror']").count())  # noqa: B023  # awaited here
            assert await page.title() == MARKUP
            assert await page.evaluate("[window.ran ?? null, document.images.length]") == [None, 0]
        named.close()
        page = await new_page(named.url)
        await until(lambda: page.get_by_text("onerror").count())
        assert await page.evaluate("[window.ran ?? null, document.images.length]") == [None, 0]
