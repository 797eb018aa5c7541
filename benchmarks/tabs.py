"""Viewers that are tabs of a real browser, and are killed: each opens the page, shows a picture, and crashes.

    python -m benchmarks.tabs URL [--guests 3]

Speaks with `soak` as `guests` does: a line of JSON for each line on its standard input. Must not know what is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import time
from collections import Counter
from pathlib import Path

from benchmarks.browser import Browser, BrowserGoneError, Page, launched
from benchmarks.guests import answer
from benchmarks.measure import CHROMIUM, FLAGS

FIRST_PICTURE_TIMEOUT_S = 30.0
"""A tab that has no picture by then counts as one that never saw a frame."""
LOOK_INTERVAL_S = 0.05
CRASH_S = 0.3
SHOWING = "() => [...(globalThis.__framewire?.views ?? [])][0]?.debug().status?.showing ?? null"


async def visit(browser: Browser, url: str, counts: Counter[str]) -> None:
    """One tab, from its opening to its end."""
    counts["came"] += 1
    page = await browser.open(url, 400, 300, "")
    info = (await page.command("Target.getTargetInfo"))["targetInfo"]
    try:
        if await shows(page):
            counts["watched"] += 1
            with contextlib.suppress(BrowserGoneError, RuntimeError, TimeoutError):
                await asyncio.wait_for(page.command("Page.crash"), CRASH_S)  # a crashed page does not answer
            counts["tab_is_killed"] += 1
        else:
            counts["never saw a frame"] += 1
    finally:
        await browser.command("Target.disposeBrowserContext", browserContextId=info["browserContextId"])


async def shows(page: Page) -> bool:
    """Wait until it shows a picture; whether it does in time."""
    deadline = time.monotonic() + FIRST_PICTURE_TIMEOUT_S
    while time.monotonic() < deadline:
        if await page.evaluate(SHOWING):
            return True
        await asyncio.sleep(LOOK_INTERVAL_S)
    return False


async def keep_visiting(browser: Browser, url: str, counts: Counter[str]) -> None:
    while True:
        await visit(browser, url, counts)


async def main(options: argparse.Namespace) -> None:
    counts: Counter[str] = Counter()
    async with launched(Path(CHROMIUM), FLAGS) as browser:
        visits = [asyncio.create_task(keep_visiting(browser, options.url, counts)) for _ in range(options.guests)]
        await answer(visits, counts)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--guests", type=int, default=3)
    return parser.parse_args()


if __name__ == "__main__":
    os.nice(10)
    asyncio.run(main(_options()))
