"""Video over WebRTC in a real Chromium: it moves, at any size, and the painted picture is the published one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

import framewire as fw
from benchmarks import probe
from tests.e2e.conftest import NewPage
from tests.e2e.stage import CHANNELS, Publisher, address, advances, field, painted, say, showing, until, watch

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

CODECS = pytest.mark.parametrize("codec", ["h264_444", "h264", "vp8"])


def only(codec: str) -> dict[str, Any]:
    """The options with which Chromium gets this codec."""
    return {"codecs": ["h264"], "chroma": "444"} if codec == "h264_444" else {"codecs": [codec]}


RED, GREEN, BLUE, YELLOW = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)
PATCHES = np.array(
    [
        [RED, GREEN, BLUE, YELLOW],
        [(0, 255, 255), (255, 0, 255), (0, 0, 0), (255, 255, 255)],
        [(1, 1, 1), (16, 16, 16), (64, 64, 64), (128, 128, 128)],
        [(192, 192, 192), (235, 235, 235), (240, 194, 160), (110, 66, 40)],
    ],
    np.uint8,
)
SIDE = 80


@contextlib.asynccontextmanager
async def on_show(display: fw.Display, frame: list[np.ndarray]) -> AsyncIterator[None]:
    """Publishes ``frame[0]`` again and again."""

    async def go_on() -> None:
        while True:
            display.publish(frame[0])
            await asyncio.sleep(1 / 30)

    task = asyncio.create_task(go_on())
    try:
        yield
    finally:
        task.cancel()


def framed(width: int, height: int, layout: str) -> np.ndarray:
    """A smooth picture with a block in each corner: red, green, blue, yellow, starting at the top left."""
    pixels = field(width, height, CHANNELS[layout])
    block = max(1, min(24, width // 4, height // 4))
    colours = [(60,), (120,), (180,), (240,)] if layout == "gray" else [RED, GREEN, BLUE, YELLOW]
    corners = [np.s_[:block, :block], np.s_[:block, -block:], np.s_[-block:, :block], np.s_[-block:, -block:]]
    for corner, colour in zip(corners, colours, strict=True):
        pixels[corner][..., : len(colour)] = colour
    if layout == "rgba":
        pixels[..., 3] = 128
    return pixels


def as_rgb(pixels: np.ndarray) -> np.ndarray:
    """What video makes of a frame: gray in three channels, alpha left out."""
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels[..., :3]


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((one.astype(float) - other) ** 2)))


@CODECS
async def test_frames_move_over_webrtc(new_page: NewPage, codec: str):
    async with fw.serve(640, 480, port=0, **only(codec)) as display:
        with Publisher(display) as publisher:
            page = await new_page(display.url)
            status = await showing(page, "webrtc")
            assert status["codec"] == codec
            seen = await watch(page, 2)
            say(codec, probe.report(seen, publisher.log))
            assert {one.element for one in seen} == {"video"}
            assert advances(seen)
            assert len(seen) > 10


@CODECS
async def test_flat_colours_are_painted_as_published(new_page: NewPage, codec: str):
    picture = PATCHES.repeat(SIDE, 0).repeat(SIDE, 1)
    async with fw.serve(4 * SIDE, 4 * SIDE, port=0, **only(codec)) as display, on_show(display, [picture]):
        page = await new_page(address(display.url, mode="webrtc", chrome="0"), width=4 * SIDE, height=4 * SIDE)
        await showing(page, "webrtc")

        async def error() -> np.ndarray:
            cells = (await painted(page)).reshape(4, SIDE, 4, SIDE, 3).swapaxes(1, 2)
            # One block inside the patch, since neighbours share chroma and edges ring.
            inside = cells[:, :, 16:-16, 16:-16].astype(int) - PATCHES[:, :, None, None]
            worst: np.ndarray = np.abs(inside).max(axis=(2, 3, 4))
            return worst

        async def small() -> bool:
            errors[:] = [await error()]
            return bool(errors[0].max() <= 4)

        errors: list[np.ndarray] = []
        with contextlib.suppress(AssertionError):
            await until(small)
        say(codec, "worst error of each patch\n", errors[0])
        assert errors[0].max() <= 4


@CODECS
async def test_a_smooth_field_is_painted_at_38_db(new_page: NewPage, codec: str):
    picture = field(1280, 720)
    async with fw.serve(1280, 720, port=0, **only(codec)) as display, on_show(display, [picture]):
        page = await new_page(address(display.url, mode="webrtc", chrome="0"), width=1280, height=720)
        await showing(page, "webrtc")

        async def fine() -> bool:
            reached.append(psnr(await painted(page), picture))
            return reached[-1] >= 38

        reached: list[float] = []
        with contextlib.suppress(AssertionError):
            await until(fine)
        say(codec, f"{reached[-1]:.1f} dB")
        assert reached[-1] >= 38


SIZES = [
    (640, 480, "rgb"), (641, 481, "rgb"), (320, 200, "rgba"), (333, 77, "gray"), (1280, 720, "rgb"), (17, 16, "rgb"),
    (1, 1, "rgb"), (250, 251, "rgba"),
]  # fmt: skip


@CODECS
async def test_any_size_and_layout_changed_in_mid_stream_is_painted_right(new_page: NewPage, codec: str):
    width, height, layout = SIZES[0]
    frame = [framed(width, height, layout)]
    async with fw.serve(width, height, port=0, **only(codec)) as display, on_show(display, frame):
        page = await new_page(address(display.url, mode="webrtc", chrome="0"), width=width, height=height)
        await showing(page, "webrtc")
        for width, height, layout in SIZES:
            frame[0] = framed(width, height, layout)
            # A view has a minimum height, so small frames are magnified and read in the middle of each pixel.
            zoom = 1 if min(width, height) >= 64 else 64 // min(width, height) | 1
            await page.set_viewport_size({"width": zoom * width, "height": zoom * height})
            difference = await settled(page, as_rgb(frame[0]), zoom)
            say(f"{codec} {width}x{height} {layout}: worst pixel {difference.max()}, mean {difference.mean():.2f}")
            assert (await showing(page, "webrtc"))["size"] == {"width": width, "height": height}


async def settled(page: Any, wanted: np.ndarray, zoom: int) -> np.ndarray:
    """Errors by pixel when the picture has arrived: its corner pixels are right, and its mean error is small."""

    async def near() -> bool:
        seen = (await painted(page))[zoom // 2 :: zoom, zoom // 2 :: zoom]
        if seen.shape != wanted.shape:
            return False
        difference[:] = [np.abs(seen.astype(int) - wanted)]
        corners = difference[0][np.ix_([0, -1], [0, -1])]
        # Two by two pixels share their chroma, which blurs edges, and small frames consist of edges.
        return bool(corners.max() <= 10 and difference[0].mean() < (3 if zoom == 1 else 10))

    difference: list[np.ndarray] = [np.zeros(1)]
    try:
        await until(near)
    except AssertionError:
        wrong = difference[0]
        raise AssertionError(
            f"painted wrong: mean {wrong.mean():.1f}, corners {wrong[np.ix_([0, -1], [0, -1])].tolist()}"
        ) from None
    return difference[0]


@pytest.mark.parametrize("mode", ["webrtc", "lossless"])
async def test_magnified_pixels_have_edges_in_video_as_on_the_canvas(new_page: NewPage, mode: str):
    squares = np.kron(np.indices((6, 10)).sum(axis=0) % 2, np.ones((8, 8), int))
    frame = [np.repeat(255 * squares[..., None], 3, axis=2).astype(np.uint8)]
    async with fw.serve(80, 48, port=0) as display, on_show(display, frame):
        page = await new_page(address(display.url, mode=mode, chrome="0"), width=640, height=384)
        await showing(page, mode)

        async def sharp() -> bool:
            """Smoothed, one pixel in five would be neither black nor white."""
            grey = (await painted(page))[..., 1].astype(int)
            mixed[:] = [float(((grey > 60) & (grey < 195)).mean())]
            return mixed[0] < 0.01 and bool(grey.std() > 100)

        mixed: list[float] = []
        await until(sharp)
        say(f"{mode}: {mixed[0]:.4f} of the screen is neither black nor white")
