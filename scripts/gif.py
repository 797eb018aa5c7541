"""Makes the README's animation: a notebook in a real JupyterLab, whose cell computes while the view above it moves.

    python scripts/gif.py docs/images/live.gif

Must not know how the widget works: it runs two cells and records what the browser shows, until the badge says "exact".
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import io
import itertools
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from PIL import Image
from playwright.async_api import CDPSession, Page, async_playwright

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks.lab import LabServer
from scripts.screenshot import FLAGS, find_browser
from tests.e2e.lab import LabNotebook

VIEW: Final = """\
import matplotlib as mpl, numpy as np, framewire as fw

display = fw.serve(880, 330)
display.widget(height=330)"""

BUSY: Final = """\
height, speed = np.zeros((2, 330, 880))
y, x = np.mgrid[:330, :880]
for step in range(400):                    # the cell computes, and the view stays live
    if step % 80 == 0:                     # a drop
        height += 2 * np.exp(-((x - 97 * step % 760 - 60) ** 2 + (y - 61 * step % 240 - 40) ** 2) / 60)
    speed += 0.4 * sum(np.roll(height, way, axis) - height for way in (-1, 1) for axis in (0, 1))
    height += speed
    speed *= 0.998
    display.publish(mpl.colormaps["magma"](0.3 + 1.5 * height)[..., :3])"""

NOTEBOOK: Final[dict[str, Any]] = {
    "nbformat": 4,
    "nbformat_minor": 5,
    # Without it, JupyterLab asks which kernel to use.
    "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    "cells": [
        {"cell_type": "code", "id": name, "source": source, "metadata": {}, "outputs": [], "execution_count": None}
        for name, source in (("view", VIEW), ("busy", BUSY))
    ],
}
WIDTH_PX: Final = 760
"""Width of the animation: that of a README's column."""
FRAME_INTERVAL_S: Final = 0.1
"""Time between two of its pictures. Browsers slow animations of less than 20 ms down, and each picture costs bytes."""
LAST_FRAME_S: Final = 2.0
"""How long the last picture, the exact one, stands."""
COLOURS: Final = 64
EXACT_TIMEOUT_S: Final = 60.0


async def record(target: Path, browser: str) -> None:
    """Run the notebook and save what is seen of it."""
    with tempfile.TemporaryDirectory() as folder:
        original = Path(folder) / "live.ipynb"
        original.write_text(json.dumps(NOTEBOOK))
        lab = LabServer(Path(folder) / "lab")
        try:
            await lab.ready()
            async with async_playwright() as driver:
                opened = await driver.chromium.launch(executable_path=browser, args=FLAGS)
                page = await opened.new_page(viewport={"width": 1000, "height": 800})
                notebook = await LabNotebook.open(page, lab, original)
                frames = await film(page, notebook)
                await opened.close()
        finally:
            lab.close()
    save(frames, target)


async def film(page: Page, notebook: LabNotebook) -> list[tuple[float, Image.Image]]:
    """Times in seconds and pictures of the notebook, from the busy cell's start until the view says "exact"."""
    await page.evaluate(BARE)
    await notebook.run(1)
    badge = page.locator(".framewire-badge").first
    await page.locator(".framewire-message").first.wait_for(state="visible", timeout=30_000)
    await notebook.start(2)
    frames: list[tuple[float, bytes]] = []
    sent: set[asyncio.Future[Any]] = set()
    session = await page.context.new_cdp_session(page)
    session.on("Page.screencastFrame", lambda event: _keep(session, frames, sent, event))
    await session.send("Page.startScreencast", {"format": "png", "everyNthFrame": 1})
    await notebook.finished()
    deadline = time.monotonic() + EXACT_TIMEOUT_S
    while "exact" not in (await badge.inner_text()).lower():
        if time.monotonic() > deadline:
            raise SystemExit(f"the badge never said exact: {await badge.inner_text()!r}")
        await asyncio.sleep(0.1)
    await asyncio.sleep(2.0)  # the browser sends what it shows a moment later
    await session.send("Page.stopScreencast")
    box = await page.locator(".jp-NotebookPanel-notebook").bounding_box()
    assert box, "the notebook is on the page"
    area = tuple(round(n) for n in (box["x"], box["y"], box["x"] + box["width"], box["y"] + box["height"]))
    return [(at, _picture(data, area)) for at, data in frames]


def save(frames: list[tuple[float, Image.Image]], target: Path) -> None:
    """Save one picture every `FRAME_INTERVAL_S`, all with one palette, so that only what moves is stored."""
    kept: list[tuple[float, Image.Image]] = []
    for at, picture in frames:
        if not kept or at - kept[-1][0] >= FRAME_INTERVAL_S:
            kept.append((at, picture))
    kept.append(frames[-1])
    times = [at for at, _ in kept]
    durations = [round(1000 * (b - a)) for a, b in itertools.pairwise(times)] + [round(1000 * LAST_FRAME_S)]
    palette = kept[len(kept) // 2][1].quantize(COLOURS, dither=Image.Dither.NONE)
    first, *rest = (picture.quantize(palette=palette, dither=Image.Dither.NONE) for _, picture in kept)
    target.parent.mkdir(parents=True, exist_ok=True)
    first.save(target, save_all=True, append_images=rest, duration=durations, loop=0, optimize=True)
    print(f"{target}: {len(kept)} pictures, {sum(durations) / 1000:.1f} s, {target.stat().st_size / 1e6:.1f} MB")


def _keep(
    session: CDPSession, frames: list[tuple[float, bytes]], sent: set[asyncio.Future[Any]], event: dict[str, Any]
) -> None:
    frames.append((event["metadata"]["timestamp"], base64.b64decode(event["data"])))
    sent.add(asyncio.ensure_future(session.send("Page.screencastFrameAck", {"sessionId": event["sessionId"]})))


def _picture(data: bytes, area: tuple[int, ...]) -> Image.Image:
    left, top, right, bottom = area
    picture = Image.open(io.BytesIO(data)).convert("RGB").crop((left, top, right, bottom))
    return picture.resize((WIDTH_PX, round(picture.height * WIDTH_PX / picture.width)), Image.Resampling.LANCZOS)


# One notebook and nothing else: no side bars, no tabs.
BARE: Final = """async () => {
  const { app } = window.__lab;
  if (app.shell.leftCollapsed === false) await app.commands.execute("application:toggle-left-area");
  app.shell.collapseLeft?.(); app.shell.collapseRight?.();
  app.shell.mode = "single-document";
}"""


def main() -> int:
    """Make the animation; 1 where there is no browser."""
    parser = argparse.ArgumentParser(description="The README's animation.")
    parser.add_argument("target", type=Path)
    options = parser.parse_args()
    browser = find_browser()
    if browser is None:
        return 1
    asyncio.run(record(options.target, browser))
    return 0


if __name__ == "__main__":
    sys.exit(main())
