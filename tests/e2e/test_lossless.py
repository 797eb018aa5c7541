"""Lossless is exact: each frame that the page's worker checks and paints equals the published one."""

from __future__ import annotations

import asyncio
import io
import os
import signal
from base64 import b64decode
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import xxhash

import framewire as fw
from framewire.codec.messages import Header
from framewire.engine.http import server
from tests.e2e.conftest import NewPage
from tests.e2e.stage import CHANNELS, address, debug, say, showing, until
from tests.viewer import connected

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
        # A slow viewer skips frames and reports which it took, so publish until it has taken 200.
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
    # A part of it compresses, so that both kinds of packing are used.
    if random.random() < 0.3:
        pixels[: height // 2] = 7
    return pixels


async def up_to(page: Page, number: int) -> list[list[int]] | None:
    """The frames that the worker has checked, when the last one has this number."""
    checked: list[list[int]] = (await debug(page)).get("lossless") or []
    return checked if checked and checked[-1][0] == number else None


async def counted(page: Page, frames: int) -> dict[str, Any] | None:
    stats: dict[str, Any] = (await debug(page)).get("stats") or {}
    return stats if stats.get("exact", 0) >= frames else None


@pytest.mark.parametrize("size", [(641, 481), (3, 2)])
async def test_the_canvas_holds_every_pixel_as_published(new_page: NewPage, size: tuple[int, int]):
    pixels = np.random.default_rng(6).integers(0, 256, (size[1], size[0], 3), np.uint8)
    async with fw.serve(*size, port=0) as display:
        display.publish(pixels)
        page = await new_page(address(display.url, mode="lossless"))
        await showing(page, "lossless")
        assert np.array_equal(await canvas(page), pixels)


async def canvas(page: Page) -> np.ndarray:
    """The pixels of the page's view, read back from its canvas."""
    from PIL import Image

    picture = Image.open(io.BytesIO(b64decode(await page.evaluate(CAPTURE))))
    return np.asarray(picture.convert("RGB"))


class Scene:
    """A picture with small changes in each frame, and the checksum of each published frame."""

    def __init__(self, display: fw.Display, shape: tuple[int, int, int]) -> None:
        self.display = display
        self.published: dict[int, int] = {}
        self._random = np.random.default_rng(8)
        self.resize(shape)

    def resize(self, shape: tuple[int, int, int]) -> None:
        self.pixels = self._random.integers(0, 256, shape, np.uint8)

    def publish(self) -> int:
        """Change a little and publish; returns the frame's number."""
        height, width = self.pixels.shape[:2]
        for _ in range(4):
            top, left = self._random.integers(0, height), self._random.integers(0, width)
            spot = self.pixels[top : top + 9, left : left + 9]
            spot[...] = self._random.integers(0, 256, spot.shape, np.uint8)
        number = len(self.published) + 1
        self.published[number] = xxhash.xxh32_intdigest(self.pixels.tobytes())
        self.display.publish(self.pixels)
        return number

    def all_exact(self, checked: list[list[int]]) -> bool:
        return bool(checked) and all(self.published[number] == checksum for number, checksum in checked)


def listen(page: Page) -> list[Header]:
    """The headers of all lossless messages that the page receives from now on."""
    headers: list[Header] = []

    def receive(payload: str | bytes) -> None:
        if isinstance(payload, bytes):
            headers.append(Header.parse(payload))

    page.on("websocket", lambda socket: socket.on("framereceived", receive))
    return headers


async def played(page: Page, scene: Scene, frames: int, turn: Callable[[int], object] = lambda _: None) -> None:
    """Publish so many frames, and wait until the page has the last one."""
    for index in range(frames):
        turn(index)
        scene.publish()
        await asyncio.sleep(0.02)
    await until(lambda: up_to(page, len(scene.published)))


@pytest.mark.parametrize("layout", ["gray", "rgb", "rgba"])
async def test_what_changes_arrives_as_deltas_and_the_canvas_holds_every_pixel(new_page: NewPage, layout: str):
    channels = CHANNELS[layout]
    async with fw.serve(323, 241, port=0) as display:
        scene = Scene(display, (241, 323, channels))
        page = await new_page("about:blank")
        headers = listen(page)
        scene.publish()
        await page.goto(address(display.url, mode="lossless"))
        await until(lambda: up_to(page, 1))
        # Sizes change in between: the first frame of each size is a keyframe.
        sizes = {30: (480, 640, channels), 60: (5, 3, channels), 90: (241, 323, channels)}
        await played(page, scene, 120, lambda index: scene.resize(sizes[index]) if index in sizes else None)
        checked = (await debug(page))["lossless"]
        firsts = [header for header in headers if header.offset == 0]
        deltas = [header for header in firsts if not header.keyframe]
        say(layout, f"{len(checked)} checked, {len(deltas)} deltas of {len(firsts)} units")
        assert scene.all_exact(checked) and len(checked) > 60
        assert len(deltas) > len(firsts) / 2 and max(header.size for header in deltas) < scene.pixels.nbytes / 2
        if channels == 3:
            assert np.array_equal(await canvas(page), scene.pixels)


async def test_a_slow_and_a_fast_viewer_are_both_exact(new_page: NewPage):
    async with fw.serve(640, 480, port=0) as display:
        scene = Scene(display, (480, 640, 3))
        scene.publish()
        page = await new_page(address(display.url, mode="lossless"))
        await until(lambda: up_to(page, 1))
        async with connected(display.ws_url, display.url.partition("#token=")[2]) as slow:
            slow.acknowledging = False
            sub = await slow.subscribe("default")
            await slow.acknowledge(await slow.unit(), sub)
            for _ in range(6):
                await played(page, scene, 12)
                # The viewer itself checks the base of each delta, and every pixel.
                unit = await slow.unit()
                assert unit.checksum == scene.published[unit.number]
                await slow.acknowledge(unit, sub)
            taken = [header.number for header in slow.binary if header.offset == 0]
            wholes = sum(header.keyframe for header in slow.binary if header.offset == 0)
            say("the slow one took", taken)
            assert wholes == 1 and len(taken) < 20 < len(scene.published)
        assert scene.all_exact((await debug(page))["lossless"])
        assert np.array_equal(await canvas(page), scene.pixels)


async def test_after_a_lost_socket_the_first_frame_is_a_keyframe_and_all_are_exact(new_page: NewPage):
    async with fw.serve(640, 480, port=0) as display:
        scene = Scene(display, (480, 640, 3))
        page = await new_page("about:blank")
        headers = listen(page)
        await page.goto(address(display.url, mode="lossless"))
        await played(page, scene, 10)
        before = len(headers)
        engine = display.server.engine_pid
        assert engine
        os.kill(engine, signal.SIGKILL)

        async def again() -> bool:
            scene.publish()
            return any(not header.keyframe for header in headers[before:])

        await until(again, every=0.05)
        await until(lambda: up_to(page, len(scene.published)))
        assert next(header for header in headers[before:] if header.offset == 0).keyframe
        assert scene.all_exact((await debug(page))["lossless"])
        assert np.array_equal(await canvas(page), scene.pixels)


async def test_lossless_is_exact_without_webassembly(new_page: NewPage, monkeypatch: pytest.MonkeyPatch):
    policy = server.HEADERS["Content-Security-Policy"]
    assert "'wasm-unsafe-eval'" in policy
    monkeypatch.setitem(server.HEADERS, "Content-Security-Policy", policy.replace(" 'wasm-unsafe-eval'", ""))
    async with fw.serve(323, 241, port=0, engine="inline") as display:
        scene = Scene(display, (241, 323, 3))
        page = await new_page(address(display.url, mode="lossless"))
        await played(page, scene, 40)
        assert scene.all_exact((await debug(page))["lossless"])
        assert np.array_equal(await canvas(page), scene.pixels)


async def test_a_still_scene_becomes_exact_and_video_takes_over_when_it_moves(new_page: NewPage):
    pixels = np.random.default_rng(7).integers(0, 256, (240, 320, 3), np.uint8)
    async with fw.serve(320, 240, port=0) as display:
        page = await new_page(display.url)

        async def video() -> bool:
            # The test publishes by itself, so that it can stop.
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
