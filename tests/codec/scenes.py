"""Pictures that encoders must work for, and FFmpeg's decoders to look at what came of them."""

from __future__ import annotations

from collections.abc import Iterable

import av
import numpy as np

from framewire.codecs import CODECS
from framewire.frame import AccessUnit, Frame, Pixels


def moving(count: int, *, fps: float = 30, width: int = 320, height: int = 240, start: int = 0) -> list[Frame]:
    """A texture that drifts: every frame costs bits, and the rate control is what limits them."""
    rng = np.random.default_rng(7)
    tile = rng.integers(0, 256, (height // 4 + 64, width // 4 + 64, 3), dtype=np.uint8)
    texture = tile.repeat(4, 0).repeat(4, 1)
    frames = []
    for index in range(start, start + count):
        x, y = (index * 3) % 128, (index * 2) % 128
        noise = rng.integers(0, 24, (height, width, 3), dtype=np.uint8)
        pixels = texture[y : y + height, x : x + width] // 8 * 7 + noise
        frames.append(Frame(np.ascontiguousarray(pixels), index, round(index * 1e6 / fps) + 1_000_000))
    return frames


def flat(rgb: tuple[int, ...], number: int = 0, *, width: int = 64, height: int = 48) -> Frame:
    pixels: Pixels = np.full((height, width, len(rgb)), rgb, np.uint8)
    return Frame(pixels, number, 1_000_000 + number * 33_333)


def decoded(units: Iterable[AccessUnit]) -> list[np.ndarray]:
    """The units' pictures as RGB, by FFmpeg, in the decoder's padded size."""
    units = list(units)
    # FFmpeg's decoders have the names of RTP's media types.
    decoder = CODECS[units[0].codec].mime.removeprefix("video/").lower()
    context = av.CodecContext.create(decoder, "r")
    assert isinstance(context, av.VideoCodecContext)
    frames = [frame for unit in units for frame in context.decode(av.Packet(unit.data))]
    frames += context.decode(None)
    return [frame.to_ndarray(format="rgb24", threads=1) for frame in frames]


def megabits(units: Iterable[AccessUnit], fps: float) -> float:
    """Mbit/s of units that came at this rate."""
    sizes = [len(unit.data) for unit in units]
    return sum(sizes) * 8 * fps / len(sizes) / 1e6
