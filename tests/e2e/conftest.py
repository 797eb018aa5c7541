"""One warm Chromium for all end-to-end tests, and pages of it that end with their test.

Must not know what is tested.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from _pytest.runner import runtestprotocol

from tests.conftest import CHROMIUM_FLAGS, chromium

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page, Playwright

TRIES = 3
"""Times that a test is run which measures a real browser: seconds and ratios mean little in the moment in which
somebody else takes both processors. A test that fails every time has found something."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The limit is for all tries together."""
    for item in items:
        if item.path.parent.name == "e2e" and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(360))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    if item.path.parent.name != "e2e":
        return None
    for again in reversed(range(TRIES)):
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        reports = runtestprotocol(item, log=False, nextitem=nextitem)
        failed = [report for report in reports if report.failed]
        if not failed or not again:
            break
        item.config.get_terminal_writer().line(
            f"\n{item.nodeid} failed and is run again:\n{failed[0].longreprtext[-2000:]}"
        )
        item._initrequest()  # type: ignore[attr-defined]  # fresh fixtures, as for the first time
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


NewPage = Callable[..., Awaitable["Page"]]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def playwright() -> AsyncIterator[Playwright]:
    from playwright.async_api import async_playwright

    async with async_playwright() as driver:
        yield driver


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def warm(playwright: Playwright) -> AsyncIterator[Browser]:
    """The Chromium that tests share: a page of a new context each."""
    browser = await playwright.chromium.launch(executable_path=chromium(), args=list(CHROMIUM_FLAGS))
    yield browser
    await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def new_page(warm: Browser) -> AsyncIterator[NewPage]:
    """``await new_page(url, browser=None, width=…, height=…)``. What goes wrong on the page fails the test."""
    contexts = []
    wrong: list[str] = []

    async def make(url: str, browser: Any = None, width: int = 800, height: int = 600) -> Page:
        context = await (browser or warm).new_context(viewport={"width": width, "height": height})
        contexts.append(context)
        page = await context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        await page.goto(url)
        return page

    yield make
    for context in contexts:
        await context.close()
    assert not wrong, f"errors on the page: {wrong}"
