"""Frames of half the width and height: the mean of two by two pixels, for any size."""

from __future__ import annotations

import numpy as np
import pytest

from framewire.codec import colour, halve
from framewire.codec.halve import halved
from framewire.frame import Frame


@pytest.fixture(params=["opencv", "numpy"], autouse=True)
def library(request, monkeypatch):
    if request.param == "numpy":
        monkeypatch.setattr(halve, "cv2", None)
    elif colour.cv2 is None:
        pytest.skip("OpenCV is not installed")


def frame(height, width, channels):
    pixels = np.random.default_rng(1).integers(0, 256, (height, width, channels), np.uint8)
    return Frame(pixels, 7, 8)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize(("height", "width"), [(32, 48), (31, 47), (33, 48)])
def test_each_pixel_is_the_mean_of_four(height, width, channels):
    whole = frame(height, width, channels)
    half = halved(whole)
    assert half.pixels.shape == ((height + 1) // 2, (width + 1) // 2, channels)
    assert half.pixels.flags.c_contiguous
    even = np.pad(whole.pixels, ((0, height % 2), (0, width % 2), (0, 0)), "edge").astype(float)
    mean = (even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]) / 4
    assert np.abs(half.pixels - mean).max() <= 0.5
    assert (half.number, half.time_us) == (7, 8)


def test_a_halved_frame_shares_no_memory_with_the_frame():
    whole = frame(32, 32, 3)
    half = halved(whole)
    before = half.pixels.copy()
    whole.pixels[:] = 0
    assert np.array_equal(half.pixels, before)
