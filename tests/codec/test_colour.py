"""Pixels to YUV: right colours with and without OpenCV, at any size; alpha is ignored."""

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

# The same by ITU-T T.871 (full range), which is BT.601's matrix.
FULL = {
    (255, 0, 0): (76, 85, 255),
    (0, 255, 0): (150, 44, 21),
    (0, 0, 255): (29, 255, 107),
    (255, 255, 255): (255, 128, 128),
    (0, 0, 0): (0, 128, 128),
    (128, 128, 128): (128, 128, 128),
    (1, 200, 40): (122, 82, 42),
}


@pytest.fixture(params=["opencv", "swscale"], autouse=True)
def library(request, monkeypatch):
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


def test_gray_gives_the_same_luma_as_gray_in_rgb():
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 16, 0)
    luma, *chroma = split(colour.planes(ramp), 16, 256)
    assert np.abs(luma.astype(int) - colour.planes(ramp.repeat(3, 2))[:16]).max() <= 1
    assert all((plane == 128).all() for plane in chroma)


@pytest.mark.parametrize("size", [(1, 1), (15, 17), (16, 16), (17, 16), (481, 641), (2, 300)])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_pictures_have_even_sides_of_at_least_16(size, channels):
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


@pytest.mark.parametrize("rgb", FULL)
def test_444_is_bt601_full(rgb):
    for pixels in (flat(rgb), flat((*rgb, 77))):
        planes = colour.to_video_frame(pixels, "444").to_ndarray()
        for plane, expected in zip(planes, FULL[rgb], strict=True):
            assert np.abs(plane.astype(int) - expected).max() <= 1


def test_444_keeps_gray_as_it_is():
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 16, 0)
    luma, *chroma = colour.to_video_frame(ramp, "444").to_ndarray()
    np.testing.assert_array_equal(luma, ramp[:, :, 0])
    assert all((plane == 128).all() for plane in chroma)


@pytest.mark.parametrize("size", [(1, 1), (17, 33), (130, 250)])
def test_444_has_the_chroma_of_each_pixel(size):
    height, width = size
    pixels = np.random.default_rng(5).integers(0, 256, (height, width, 3), dtype=np.uint8)
    frame = colour.to_video_frame(pixels, "444")
    assert (frame.width, frame.height) == colour.padded_size(width, height)
    red, green, blue = pixels.astype(float).transpose(2, 0, 1)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    wanted = np.stack([luma, 128 + (blue - luma) / 1.772, 128 + (red - luma) / 1.402])
    assert np.abs(frame.to_ndarray()[:, :height, :width] - wanted).max() <= 1.5


@pytest.mark.parametrize("chroma", ["420", "444"])
def test_the_frame_shares_no_memory_with_the_pixels(chroma):
    pixels = flat((255, 255, 255))
    frame = colour.to_video_frame(pixels, chroma)
    before = frame.to_ndarray().copy()
    pixels[:] = 0
    np.testing.assert_array_equal(frame.to_ndarray(), before)


def test_the_frame_is_tagged_with_its_colours():
    frame = colour.to_video_frame(flat((1, 2, 3)))
    assert (frame.colorspace, frame.color_range) == (colour.SMPTE170M, colour.LIMITED)
    assert frame.format.name == "yuv420p"
    whole = colour.to_video_frame(flat((1, 2, 3)), "444")
    assert (whole.colorspace, whole.color_range) == (colour.SMPTE170M, colour.FULL)
    assert whole.format.name == "yuv444p"
