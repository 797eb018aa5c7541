"""A frame of pixels, where the newest one is, and an access unit: one encoded frame.

Must not know encoders, sockets or clocks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, Protocol

import numpy as np
import numpy.typing as npt

from framewire.codecs import CodecName

Pixels = npt.NDArray[np.uint8]
PixelFormat = Literal["gray", "rgb", "rgba"]

MAX_SIDE_PX: Final = 16_384
"""The longest side in pixels that `publish` takes.

Source: video codecs have no more (H.264 level 6.2, VP8 with its 14 bits)."""
CHANNELS: dict[PixelFormat, int] = {"gray": 1, "rgb": 3, "rgba": 4}
FORMAT_OF_CHANNELS: dict[int, PixelFormat] = {n: name for name, n in CHANNELS.items()}


@dataclass(frozen=True, slots=True)
class Frame:
    """Raw pixels as published.

    ``pixels`` is C-contiguous ``uint8`` of shape (height, width, channels) with 1, 3 or 4 channels. It is the memory of
    a ring slot, and stays unchanged only until the slot's lease is released.
    """

    pixels: Pixels
    number: int
    """Counts what was published to this stream; wraps at 2**32."""
    time_us: int
    """When it was published, in microseconds since the Unix epoch."""

    @property
    def width(self) -> int:
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        return int(self.pixels.shape[0])

    @property
    def format(self) -> PixelFormat:
        return FORMAT_OF_CHANNELS[int(self.pixels.shape[2])]


class Lease(Protocol):
    """A frame that does not change until it is released."""

    @property
    def frame(self) -> Frame: ...

    def release(self) -> None:
        """Let the memory be used again: the frame's pixels must not be read after. Idempotent."""


class FrameSource(Protocol):
    """Where a stream's newest frame is: a ring or a slot. Never blocks, never raises, never returns half a frame."""

    def latest(self) -> Lease | None:
        """The newest frame, perhaps the same as last time; None where there is none yet."""


@dataclass(frozen=True, slots=True)
class AccessUnit:
    """One whole encoded frame: it is encoded once and shared by every viewer."""

    codec: CodecName
    data: bytes
    number: int
    """The number of the frame that it encodes."""
    time_us: int
    """When that frame was published, in microseconds since the Unix epoch."""
    width: int
    """The frame's width in pixels, without the encoder's padding; so is ``height``."""
    height: int
    keyframe: bool = True
    pixel_format: PixelFormat | None = None
    """The layout of lossless pixels; None for video codecs."""
    checksum: int = 0
    """xxh32 with seed 0: of the raw pixels for lossless codings, of ``data`` for video codecs. 0 where it is not
    computed yet."""
    size: int = 0
    """Bytes of the raw pixels of a lossless coding; 0 for video codecs."""
    rtp_ahead_us: int = 0
    """Added to ``time_us`` where that would run the RTP clock backwards, as the wall clock was set back."""

    @property
    def rtp_us(self) -> int:
        """What its RTP timestamp is made of."""
        return self.time_us + self.rtp_ahead_us


def rtp_timestamp(time_us: int) -> int:
    """The 90 kHz RTP timestamp of a publish time.

    All streams and viewers have this one clock, so a painted frame's ``rtpTimestamp`` says when it was published.
    """
    return (time_us * 9 // 100) & 0xFFFFFFFF
