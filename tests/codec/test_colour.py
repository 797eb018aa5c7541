"""Pixels to I420: right colours by either way, any size, and nothing of the alpha."""

from __future__ import annotations

import numpy as np
import pytest

from framewire.codec import colour

# RGB and its Y'CbCr by ITU-R BT.601 (limited range), computed by hand from the recommendation.
BT601 = {
    (255, 0, 0): (81, 90, 240),
    (0, 255, 0): (145, 54, 34),
    (0, 0, 255): (41, 240, 110),
    (255, 255, 255): (235, 128, 128),
    (0, 0, 0): (16, 128, 128),
    (128, 128, 128): (126, 128, 128),
}


@pytest.fixture(params=["opencv", "swscale"], autouse=True)
def way(request, monkeypatch):
    if request.param == "swscale":
        monkeypatch.setattr(colour, "cv2", None)
    elif colour.cv2 is None:
        pytest.skip("OpenCV is not installed")


def flat(rgb, height=32, width=48):
    return np.full((height, width, len(rgb)), rgb, np.uint8)


def split(planes, height, width):
    luma = planes[:height]
    chroma = planes[height:].reshape(2, height // 2, width // 2)
    return luma, chroma[0], chroma[1]


@pytest.mark.parametrize("rgb", BT601)
def test_colours_are_bt601_limited(rgb):
    for pixels in (flat(rgb), flat((*rgb, 77))):
        for plane, expected in zip(split(colour.planes(pixels), 32, 48), BT601[rgb], strict=True):
            assert np.abs(plane.astype(int) - expected).max() <= 1


def test_gray_is_what_the_same_colour_in_rgb_is():
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 16, 0)
    luma, *chroma = split(colour.planes(ramp), 16, 256)
    assert np.abs(luma.astype(int) - colour.planes(ramp.repeat(3, 2))[:16]).max() <= 1
    assert all((plane == 128).all() for plane in chroma)


@pytest.mark.parametrize("size", [(1, 1), (15, 17), (16, 16), (17, 16), (481, 641), (2, 300)])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_any_size_becomes_an_even_picture_of_16_at_least(size, channels):
    height, width = size
    frame = colour.to_video_frame(np.zeros((height, width, channels), np.uint8))
    assert (frame.width, frame.height) == colour.padded_size(width, height)
    assert frame.width % 2 == frame.height % 2 == 0
    assert min(frame.width, frame.height) >= 16


def test_the_padding_repeats_the_edge():
    pixels = np.random.default_rng(1).integers(0, 255, (17, 19, 3), dtype=np.uint8)
    padded = colour.pad(pixels)
    assert padded.shape == (18, 20, 3)
    np.testing.assert_array_equal(padded, np.pad(pixels, ((0, 1), (0, 1), (0, 0)), mode="edge"))


def test_the_frame_shares_nothing_with_the_pixels():
    pixels = flat((255, 255, 255))
    frame = colour.to_video_frame(pixels)
    before = frame.to_ndarray().copy()
    pixels[:] = 0
    np.testing.assert_array_equal(frame.to_ndarray(), before)


def test_the_frame_says_which_colours_it_has():
    frame = colour.to_video_frame(flat((1, 2, 3)))
    assert (frame.colorspace, frame.color_range) == (colour.SMPTE170M, colour.LIMITED)
    assert frame.format.name == "yuv420p"
