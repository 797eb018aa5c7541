"""A frame at half its width and height, for links too slow for all of it. Must not know encoders or streams."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from framewire.codec.colour import cv2, pad
from framewire.frame import Frame, Pixels


def halved(frame: Frame) -> Frame:
    """The frame with each two by two pixels replaced by their mean.

    An odd side is padded first: its last row or column counts twice. The result owns its memory.
    """
    return replace(frame, pixels=_halved(pad(frame.pixels)))


def _halved(pixels: Pixels) -> Pixels:
    height, width, channels = pixels.shape
    if cv2 is not None:
        half: Pixels = cv2.resize(pixels, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        return half.reshape(height // 2, width // 2, channels)
    total = np.add(pixels[::2, ::2], pixels[::2, 1::2], dtype=np.uint16)
    total += pixels[1::2, ::2]
    total += pixels[1::2, 1::2]
    return ((total + 2) >> 2).astype(np.uint8)
