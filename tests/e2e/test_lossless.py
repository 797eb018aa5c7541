"""Lossless is lossless: what the page's worker checked and painted is, frame by frame, what was published."""

from __future__ import annotations

import asyncio
import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import xxhash

import framewire as fw
from tests.e2e.conftest import NewPage
from tests.e2e.stage import CHANNELS, address, debug, say, showing, until

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

FRAMES = 200
BATCH = 10
# Odd, tiny, tall, and larger than one message of 256 KiB.
SIZES = [(320, 240), (321, 239), (64, 300), (1, 1), (640, 480), (17, 33), (500, 3), (319, 241)]

CAPTURE = """async () => {
  const [view] = globalThis.__framewire.views;
  const bytes = new Uint8Array(await (await view.screenshot()).arrayBuffer());
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}"""


@pytest.mark.parametrize("layout", ["gray", "rgb", "rgba"])
async def test_200_frames_of_noise_arrive_exact_over_size_changes(new_page: NewPage, layout: str):
    random = np.random.default_rng(5)
    published: dict[int, int] = {}
    async with fw.serve(*SIZES[0], port=0) as display:
        page = await new_page(address(display.url, mode="lossless"))
        checked: list[list[int]] = []
        # A slow viewer skips frames, and says which it took: publish until it took 200.
        while len(checked) < FRAMES:
            assert len(published) < 10 * FRAMES
            for _ in range(BATCH):
                number = len(published) + 1
                pixels = noise(random, *SIZES[number // BATCH % len(SIZES)], CHANNELS[layout])
                published[number] = xxhash.xxh32_intdigest(pixels.tobytes())
                display.publish(pixels)
                await asyncio.sleep(0.015)
            checked = await until(lambda: up_to(page, len(published)), every=0.01)
        say(layout, f"{len(checked)} of {len(published)} frames taken")
        assert checked == [[number, published[number]] for number, _ in checked]
        assert [number for number, _ in checked] == sorted({number for number, _ in checked})
        seen = await debug(page)
        assert seen["status"]["showing"] == "lossless"
        assert (await until(lambda: counted(page, len(checked))))["mismatched"] == 0


def noise(random: np.random.Generator, width: int, height: int, channels: int) -> np.ndarray:
    pixels = random.integers(0, 256, (height, width, channels), np.uint8)
    # Some of it compresses, so that both ways of packing are taken.
    if random.random() < 0.3:
        pixels[: height // 2] = 7
    return pixels


async def up_to(page: Page, number: int) -> list[list[int]] | None:
    """What the worker checked, once that is all up to this number."""
    checked: list[list[int]] = (await debug(page)).get("lossless") or []
    return checked if checked and checked[-1][0] == number else None


async def counted(page: Page, frames: int) -> dict[str, Any] | None:
    stats: dict[str, Any] = (await debug(page)).get("stats") or {}
    return stats if stats.get("exact", 0) >= frames else None


@pytest.mark.parametrize("size", [(641, 481), (3, 2)])
async def test_the_canvas_holds_every_pixel_as_published(new_page: NewPage, size: tuple[int, int]):
    from base64 import b64decode

    from PIL import Image

    pixels = np.random.default_rng(6).integers(0, 256, (size[1], size[0], 3), np.uint8)
    async with fw.serve(*size, port=0) as display:
        display.publish(pixels)
        page = await new_page(address(display.url, mode="lossless"))
        await showing(page, "lossless")
        picture = Image.open(io.BytesIO(b64decode(await page.evaluate(CAPTURE))))
        assert np.array_equal(np.asarray(picture.convert("RGB")), pixels)


async def test_a_still_scene_becomes_exact_and_video_takes_over_when_it_moves(new_page: NewPage):
    pixels = np.random.default_rng(7).integers(0, 256, (240, 320, 3), np.uint8)
    async with fw.serve(320, 240, port=0) as display:
        page = await new_page(display.url)

        async def video() -> bool:
            # Published by the test's own beat, so that it can stop.
            pixels[...] = np.roll(pixels, 1, 1)
            display.publish(pixels)
            return bool(((await debug(page)).get("status") or {}).get("showing") == "webrtc")

        await until(video, every=0.03)
        await showing(page, "lossless", timeout=5)
        exact = xxhash.xxh32_intdigest(pixels.tobytes())

        async def proven() -> bool:
            return bool((await debug(page))["lossless"][-1][1] == exact)

        await until(proven, 5)
        await until(video, every=0.03)
