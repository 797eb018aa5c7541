"""Frames and encoders in a test's hands: a source without a ring, an encoder without a codec."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from framewire.errors import EncoderError
from framewire.frame import AccessUnit, Frame, Pixels


class Source:
    """A `FrameSource` of the frame published last; counts the leases that are not given back."""

    def __init__(self) -> None:
        self.frame: Frame | None = None
        self.looks = 0
        self.leased = 0

    def publish(self, number: int, pixels: Pixels | None = None, time_us: int | None = None) -> None:
        picture = np.full((4, 6, 3), number % 256, np.uint8) if pixels is None else pixels
        self.frame = Frame(picture, number, number if time_us is None else time_us)

    def latest(self) -> Lease | None:
        self.looks += 1
        return Lease(self, self.frame) if self.frame else None


class Lease:
    """One frame on loan."""

    def __init__(self, source: Source, frame: Frame) -> None:
        source.leased += 1
        self._source = source
        self.frame = frame

    def release(self) -> None:
        self._source.leased -= 1


class Encoder:
    """A `VideoEncoder` that notes what it is asked for; ``fails``, it refuses."""

    codec: Literal["h264", "vp8"] = "h264"

    def __init__(self) -> None:
        self.asked: list[tuple[int, bool]] = []
        self.rates: list[int] = []
        self.closed = False
        self.fails: Exception | None = None
        self.on_encode: Callable[[], None] = lambda: None
        self.size_bytes: Callable[[Frame], int] = lambda frame: 1
        """Of each unit, beside its headers."""

    def encode(self, frame: Frame, *, keyframe: bool = False) -> AccessUnit:
        self.on_encode()
        assert not self.closed, "a closed encoder encodes nothing"
        if self.fails:
            raise self.fails
        self.asked.append((frame.number, keyframe))
        data = b"\0\0\0\1\x65" + b"!" * self.size_bytes(frame)
        return AccessUnit("h264", data, frame.number, frame.time_us, frame.width, frame.height, keyframe)

    def set_rate(self, bits_per_second: int) -> None:
        self.rates.append(bits_per_second)

    def close(self) -> None:
        self.closed = True


REFUSED = EncoderError("no frame like this")
