"""Pixels to YUV planes, the fast way, with colours that arrive right. Must not know encoders or streams.

The matrix is BT.601. With halved chroma the range is limited (luma 16 to 235), for both codecs: it is what a browser
assumes of VP8, which cannot say, and what H.264 is tagged with (``smpte170m``), so that Chromium paints flat
patches within two levels. With whole chroma the range is full: only H.264 has it, which can say, and it is finer,
cheaper to make, and leaves gray as it is.
"""

from __future__ import annotations

from typing import Any

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

MIN_SIDE = 16
"""libx264's smallest picture is one macroblock."""

SMPTE170M = 6
"""BT.601 of 525 lines, in ITU-T H.273's tables of primaries, transfer and matrix alike."""
LIMITED, FULL = 1, 2

_STRIP = 64
"""Rows that are converted at a time: what is between two steps stays in the processor's cache."""

_LUMA: npt.NDArray[np.uint8] = np.round(16 + np.arange(256) * 219 / 255).astype(np.uint8)
_CHROMA_SCALE = 224 / 255
"""From full to limited range."""
_SWS_FORMAT = {3: "rgb24", 4: "rgba"}


def padded_size(width: int, height: int) -> tuple[int, int]:
    """The size of the picture that a frame is encoded as: even, and at least 16, both ways."""
    return max(MIN_SIDE, width + width % 2), max(MIN_SIDE, height + height % 2)


def pad(pixels: Pixels) -> Pixels:
    """The frame in the top left of a picture of the padded size; the last row and column are repeated.

    Repeated, as black would bleed into the edge by chroma subsampling and cost bits on every keyframe.
    """
    height, width = pixels.shape[:2]
    wide, high = padded_size(width, height)
    if (wide, high) == (width, height):
        return pixels
    out: Pixels = np.empty((high, wide, pixels.shape[2]), np.uint8)
    out[:height, :width] = pixels
    out[height:, :width] = pixels[-1:]
    out[:, width:] = out[:, width - 1 : width]
    return out


def planes(pixels: Pixels) -> Pixels:
    """Height x width x 1, 3 (RGB) or 4 (RGBA; alpha is dropped) as I420 of the padded size: an array of
    (height * 3 // 2, width) whose rows are luma, then both chroma planes."""
    pixels = pad(pixels)
    if pixels.shape[2] == 1:
        return _gray_planes(pixels[:, :, 0])
    return opencv_planes(pixels) if cv2 is not None else swscale_planes(pixels)


def opencv_planes(pixels: Pixels) -> Pixels:
    """What `planes` does to colours where OpenCV is installed.

    OpenCV's own conversion takes the chroma of one pixel in four and forgets the others', which breaks up thin
    coloured lines: 3 dB less of a plot than their mean, which takes as long again.
    """
    height, width = pixels.shape[:2]
    code = cv2.COLOR_RGB2YUV_I420 if pixels.shape[2] == 3 else cv2.COLOR_RGBA2YUV_I420
    out: Pixels = cv2.cvtColor(pixels, code)
    half = cv2.resize(pixels, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    half = cv2.cvtColor(half, cv2.COLOR_RGB2YCrCb)
    chroma = out[height:].reshape(2, height // 2, width // 2)
    cv2.extractChannel(half, 2, dst=chroma[0])
    cv2.extractChannel(half, 1, dst=chroma[1])
    flat = out[height:]
    cv2.convertScaleAbs(flat, dst=flat, alpha=_CHROMA_SCALE, beta=128 - 128 * _CHROMA_SCALE)
    return out


def swscale_planes(pixels: Pixels) -> Pixels:
    """What `planes` does to colours where OpenCV is not installed, in about four times its time."""
    source: Any = av.VideoFrame.from_numpy_buffer(pixels, format=_SWS_FORMAT[pixels.shape[2]])
    frame = VideoReformatter().reformat(
        source, format="yuv420p", dst_colorspace=Colorspace.ITU601, dst_color_range=ColorRange.MPEG, threads=1
    )
    return frame.to_ndarray().astype(np.uint8, copy=False)


def _gray_planes(gray: Pixels) -> Pixels:
    height = gray.shape[0]
    out: Pixels = np.empty((height * 3 // 2, gray.shape[1]), np.uint8)
    if cv2 is not None:
        cv2.LUT(gray, _LUMA, dst=out[:height])
    else:
        np.take(_LUMA, gray, out=out[:height], mode="clip")
    out[height:] = 128
    return out


def to_video_frame(pixels: Pixels, chroma: Chroma = "420") -> av.VideoFrame:
    """The pixels as a ``yuv420p`` or ``yuv444p`` frame of the padded size, tagged with its colours. It shares nothing
    with ``pixels``."""
    return _whole_chroma(pad(pixels)) if chroma == "444" else _halved_chroma(pixels)


def _halved_chroma(pixels: Pixels) -> av.VideoFrame:
    converted = planes(pixels)
    # PyAV shares the array's memory only with pictures of a multiple of four rows; it cuts others off.
    shareable = converted.shape[0] % 6 == 0
    make = av.VideoFrame.from_numpy_buffer if shareable else av.VideoFrame.from_ndarray
    frame = make(converted, format="yuv420p")
    frame.colorspace = SMPTE170M
    frame.color_range = LIMITED
    return frame


def _whole_chroma(pixels: Pixels) -> av.VideoFrame:
    if pixels.shape[2] > 1 and cv2 is None:
        frame = _swscale_whole(pixels)
    else:
        frame = av.VideoFrame(pixels.shape[1], pixels.shape[0], "yuv444p")
        _fill(_views(frame), pixels)
    frame.colorspace = SMPTE170M
    frame.color_range = FULL
    return frame


def _views(frame: av.VideoFrame) -> list[Pixels]:
    """The frame's own memory, plane by plane, to write to."""
    planes: Any = frame.planes
    memory = [np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size) for plane in planes]
    return [rows[: frame.height, : frame.width] for rows in memory]


def _fill(views: list[Pixels], pixels: Pixels) -> None:
    luma, blue, red = views
    if pixels.shape[2] == 1:
        luma[:] = pixels[:, :, 0]
        blue[:] = red[:] = 128
        return
    for start in range(0, pixels.shape[0], _STRIP):
        rows = slice(start, start + _STRIP)
        cv2.split(cv2.cvtColor(pixels[rows], cv2.COLOR_RGB2YCrCb), [luma[rows], red[rows], blue[rows]])


def _swscale_whole(pixels: Pixels) -> av.VideoFrame:
    source: Any = av.VideoFrame.from_numpy_buffer(pixels, format=_SWS_FORMAT[pixels.shape[2]])
    return VideoReformatter().reformat(
        source, format="yuv444p", dst_colorspace=Colorspace.ITU601, dst_color_range=ColorRange.JPEG, threads=1
    )
