"""What travels: a frame of pixels, and one encoded frame. Must not know encoders, sockets or clocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from framewire.codecs import CodecName

Pixels = npt.NDArray[np.uint8]
PixelFormat = Literal["gray", "rgb", "rgba"]

CHANNELS: dict[PixelFormat, int] = {"gray": 1, "rgb": 3, "rgba": 4}
FORMAT_OF_CHANNELS: dict[int, PixelFormat] = {n: name for name, n in CHANNELS.items()}


@dataclass(frozen=True, slots=True)
class Frame:
    """Raw pixels as published.

    ``pixels`` is C-contiguous ``uint8`` of shape (height, width, channels) with 1, 3 or 4 channels,
    borrowed from a ring slot: it holds still only while its owner says so.
    """

    pixels: Pixels
    number: int
    """Counts the publishes of this stream; wraps at 2**32."""
    time_us: int
    """When it was published, microseconds since the Unix epoch."""

    @property
    def width(self) -> int:
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        return int(self.pixels.shape[0])

    @property
    def format(self) -> PixelFormat:
        return FORMAT_OF_CHANNELS[int(self.pixels.shape[2])]


@dataclass(frozen=True, slots=True)
class AccessUnit:
    """One encoded frame, whole: what is encoded once and shared by every viewer. Immutable."""

    codec: CodecName
    data: bytes
    number: int
    """Number of the frame it was made of."""
    time_us: int
    """When that frame was published, microseconds since the Unix epoch."""
    width: int
    """Pixels of the frame (not of the encoder's padded picture)."""
    height: int
    keyframe: bool = True
    pixel_format: PixelFormat | None = None
    """Layout of the pixels inside; None for video codecs."""
    checksum: int = 0
    """xxh32 (seed 0) of the raw pixels for raw and zstd, of ``data`` for video codecs; 0 where not wanted."""
    size: int = 0
    """Bytes of the raw pixels; 0 for video codecs."""


def rtp_timestamp(time_us: int) -> int:
    """The 90 kHz RTP timestamp of a publish time. One clock for all streams and viewers, so that a
    painted frame's ``rtpTimestamp`` names the moment it was published."""
    return (time_us * 9 // 100) & 0xFFFFFFFF
