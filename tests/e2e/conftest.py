"""One Chromium for all end-to-end tests, and pages that close when their test ends.

Must not know what is tested.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

import pytest_asyncio

from tests.conftest import CHROMIUM_FLAGS, chromium

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page, Playwright

NewPage = Callable[..., Awaitable["Page"]]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def playwright() -> AsyncIterator[Playwright]:
    from playwright.async_api import async_playwright

    async with async_playwright() as driver:
        yield driver


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def warm(playwright: Playwright) -> AsyncIterator[Browser]:
    """The Chromium that tests share; each test has pages in contexts of its own."""
    browser = await playwright.chromium.launch(executable_path=chromium(), args=list(CHROMIUM_FLAGS))
    yield browser
    await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def new_page(warm: Browser) -> AsyncIterator[NewPage]:
    """``await new_page(url, browser=None, width=…, height=…)``, and options of a browser context. An error on the page
    fails the test."""
    contexts = []
    wrong: list[str] = []

    async def make(url: str, browser: Any = None, width: int = 800, height: int = 600, **options: Any) -> Page:
        context = await (browser or warm).new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = await context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        await page.goto(url)
        return page

    yield make
    for context in contexts:
        await context.close()
    assert not wrong, f"errors on the page: {wrong}"
