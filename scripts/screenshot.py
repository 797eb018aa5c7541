"""Takes the README's screenshot: a real viewer page in a real browser, with a moving picture.

    python scripts/screenshot.py docs/images/demo.png

Must not know how the page works: it waits until pixels move, and takes what a user sees.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

import framewire as fw
from framewire.patterns import PATTERNS

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
FLAGS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]


def main() -> int:
    """Take the screenshot; 1 where there is no browser."""
    parser = argparse.ArgumentParser(description="The README's picture.")
    parser.add_argument("target", type=Path)
    parser.add_argument("--pattern", choices=sorted(PATTERNS), default="plasma")
    parser.add_argument("--size", type=int, nargs=2, default=(1280, 720), metavar=("W", "H"))
    parser.add_argument("--settle", type=float, default=6.0, help="seconds to wait before the screenshot")
    options = parser.parse_args()
    browser = find_browser()
    if browser is None:
        return 1
    width, height = options.size
    render, number = PATTERNS[options.pattern](width, height), itertools.count()
    with fw.serve(width, height, fps=30, port=0) as display:
        loop = fw.publish_loop(display, lambda: render(next(number)), fps=30)
        try:
            take(display.url, options.target, browser, options.settle)
        finally:
            loop.cancel()
    print(options.target)
    return 0


def find_browser() -> str | None:
    """The program of a Chromium; None where there is none, which is said."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        print("no Chromium here: apt-get install chromium", file=sys.stderr)
    return browser


def take(url: str, target: Path, browser: str, settle: float) -> None:
    """Save the page at this address as a PNG, when its picture moves."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=browser, args=FLAGS)
        page = opened.new_page(viewport={"width": 1120, "height": 700})
        page.goto(url)
        wait_until_it_moves(page)
        page.wait_for_timeout(settle * 1000)
        page.mouse.move(560, 350)  # over the picture: the toolbar appears
        page.wait_for_timeout(300)
        page.screenshot(path=target)
        opened.close()


def wait_until_it_moves(page: Page, tries: int = 60) -> None:
    """Wait until the middle of the page has changed twice; raises where it never does."""
    middle = {"x": 460, "y": 250, "width": 200, "height": 200}
    moved, before = 0, page.screenshot(clip=middle)  # type: ignore[arg-type]
    for _ in range(tries):
        page.wait_for_timeout(500)
        now = page.screenshot(clip=middle)  # type: ignore[arg-type]
        moved += now != before
        before = now
        if moved == 2:
            return
    raise SystemExit("the picture never moved")


if __name__ == "__main__":
    sys.exit(main())
