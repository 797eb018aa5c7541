"""Fast conversion of pixels to YUV pictures whose colours browsers show right. Must not know encoders or streams.

The matrix is BT.601. With 4:2:0 chroma the range is limited (luma 16 to 235). Browsers assume that of VP8, which cannot
say, and H.264 is tagged with it (``smpte170m``), so that Chromium paints flat patches within two levels. With 4:4:4
chroma the range is full: only H.264 has 4:4:4, and it can say so. Full range is finer, is converted faster, and keeps
gray as it is.
"""

from __future__ import annotations

from typing import Any, Final

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from framewire.codecs import Chroma
from framewire.frame import Pixels

try:
    import cv2 as _cv2
except ImportError:  # the extra `fast` is not installed
    _cv2 = None  # type: ignore[assignment]

cv2: Any = _cv2

MIN_SIDE_PX: Final = 16
"""libx264's smallest picture is one macroblock."""

SMPTE170M: Final = 6
"""BT.601 with 525 lines, in ITU-T H.273's tables of primaries, transfer characteristics and matrices alike."""
LIMITED: Final = 1
"""Luma 16 to 235 and chroma 16 to 240 (FFmpeg's ``AVCOL_RANGE_MPEG``)."""
FULL: Final = 2
"""Luma and chroma 0 to 255 (FFmpeg's ``AVCOL_RANGE_JPEG``)."""

_STRIP_ROWS: Final = 64
"""Rows that are converted at a time, so that what one step writes is in the processor's cache for the next."""

_LIMITED_LUMA: npt.NDArray[np.uint8] = np.round(16 + np.arange(256) * 219 / 255).astype(np.uint8)
_LIMITED_CHROMA_SCALE: Final = 224 / 255
_SWS_FORMAT: Final = {3: "rgb24", 4: "rgba"}
"""FFmpeg's name of pixels with so many channels."""


def padded_size(width: int, height: int) -> tuple[int, int]:
    """The width and height that a frame is encoded at: even, and at least 16."""
    return max(MIN_SIDE_PX, width + width % 2), max(MIN_SIDE_PX, height + height % 2)


def pad(pixels: Pixels) -> Pixels:
    """The pixels in the top left of a picture of the padded size, whose last row and column are repeated.

    Black instead would bleed into the edge by chroma subsampling, and cost bits in every keyframe.
    """
    height, width = pixels.shape[:2]
    padded_width, padded_height = padded_size(width, height)
    if (padded_width, padded_height) == (width, height):
        return pixels
    padded: Pixels = np.empty((padded_height, padded_width, pixels.shape[2]), np.uint8)
    padded[:height, :width] = pixels
    padded[height:, :width] = pixels[-1:]
    padded[:, width:] = padded[:, width - 1 : width]
    return padded


def planes(pixels: Pixels) -> Pixels:
    """Pixels of shape (height, width, 1 | 3 | 4) as I420 of the padded size; alpha is dropped.

    The result has the shape (height * 3 // 2, width): rows of luma, then both chroma planes.
    """
    pixels = pad(pixels)
    if pixels.shape[2] == 1:
        return _gray_planes(pixels[:, :, 0])
    return opencv_planes(pixels) if cv2 is not None else swscale_planes(pixels)


def opencv_planes(pixels: Pixels) -> Pixels:
    """`planes` for colours, with OpenCV.

    OpenCV's own conversion takes the chroma of one pixel in four and ignores the others, which breaks up thin coloured
    lines. The mean of all four is 3 dB better for a plot and doubles the time.
    """
    height, width = pixels.shape[:2]
    code = cv2.COLOR_RGB2YUV_I420 if pixels.shape[2] == 3 else cv2.COLOR_RGBA2YUV_I420
    out: Pixels = cv2.cvtColor(pixels, code)
    half = cv2.resize(pixels, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    half = cv2.cvtColor(half, cv2.COLOR_RGB2YCrCb)
    chroma = out[height:]
    blue, red = chroma.reshape(2, height // 2, width // 2)
    cv2.extractChannel(half, 2, dst=blue)
    cv2.extractChannel(half, 1, dst=red)
    # From full to limited range.
    cv2.convertScaleAbs(chroma, dst=chroma, alpha=_LIMITED_CHROMA_SCALE, beta=128 - 128 * _LIMITED_CHROMA_SCALE)
    return out


def swscale_planes(pixels: Pixels) -> Pixels:
    """`planes` for colours without OpenCV, in about four times its time."""
    source: Any = av.VideoFrame.from_numpy_buffer(pixels, format=_SWS_FORMAT[pixels.shape[2]])
    frame = VideoReformatter().reformat(
        source, format="yuv420p", dst_colorspace=Colorspace.ITU601, dst_color_range=ColorRange.MPEG, threads=1
    )
    return frame.to_ndarray().astype(np.uint8, copy=False)


def _gray_planes(gray: Pixels) -> Pixels:
    height = gray.shape[0]
    out: Pixels = np.empty((height * 3 // 2, gray.shape[1]), np.uint8)
    if cv2 is not None:
        cv2.LUT(gray, _LIMITED_LUMA, dst=out[:height])
    else:
        np.take(_LIMITED_LUMA, gray, out=out[:height], mode="clip")
    out[height:] = 128
    return out


def to_video_frame(pixels: Pixels, chroma: Chroma = "420") -> av.VideoFrame:
    """The pixels as a ``yuv420p`` or ``yuv444p`` frame of the padded size, tagged with its colours.

    The frame shares no memory with ``pixels``.
    """
    return _yuv444(pad(pixels)) if chroma == "444" else _yuv420(pixels)


def _yuv420(pixels: Pixels) -> av.VideoFrame:
    converted = planes(pixels)
    # PyAV can share the array's memory only if the picture has a multiple of four rows: it cuts other pictures off.
    shareable = converted.shape[0] % 6 == 0
    make = av.VideoFrame.from_numpy_buffer if shareable else av.VideoFrame.from_ndarray
    frame = make(converted, format="yuv420p")
    frame.colorspace = SMPTE170M
    frame.color_range = LIMITED
    return frame


def _yuv444(pixels: Pixels) -> av.VideoFrame:
    if pixels.shape[2] > 1 and cv2 is None:
        frame = _swscale_yuv444(pixels)
    else:
        frame = av.VideoFrame(pixels.shape[1], pixels.shape[0], "yuv444p")
        _fill_yuv444(_plane_views(frame), pixels)
    frame.colorspace = SMPTE170M
    frame.color_range = FULL
    return frame


def _plane_views(frame: av.VideoFrame) -> list[Pixels]:
    """The frame's own memory, plane by plane, to write to."""
    planes: Any = frame.planes
    lines = [np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size) for plane in planes]
    return [rows[: frame.height, : frame.width] for rows in lines]


def _fill_yuv444(views: list[Pixels], pixels: Pixels) -> None:
    luma, blue, red = views
    if pixels.shape[2] == 1:
        luma[:] = pixels[:, :, 0]
        blue[:] = red[:] = 128
        return
    for start in range(0, pixels.shape[0], _STRIP_ROWS):
        rows = slice(start, start + _STRIP_ROWS)
        cv2.split(cv2.cvtColor(pixels[rows], cv2.COLOR_RGB2YCrCb), [luma[rows], red[rows], blue[rows]])


def _swscale_yuv444(pixels: Pixels) -> av.VideoFrame:
    source: Any = av.VideoFrame.from_numpy_buffer(pixels, format=_SWS_FORMAT[pixels.shape[2]])
    return VideoReformatter().reformat(
        source, format="yuv444p", dst_colorspace=Colorspace.ITU601, dst_color_range=ColorRange.JPEG, threads=1
    )
