"""What all of FFmpeg's encoders are set up with, and what comes out of them. Must not know any one of them."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Final

import av
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from framewire.codec.colour import SMPTE170M
from framewire.codecs import CodecSpec
from framewire.errors import EncoderError
from framewire.frame import AccessUnit, Frame

MIN_BITRATE_BPS: Final = 100_000
"""The lowest bitrate that an encoder is asked for.

Source: chosen by hand; pinned by `tests/codec/test_ffmpeg.py::test_a_bitrate_is_kept_within_its_limits`."""

ENDLESS_GOP_FRAMES: Final = 1 << 30
"""Frames from one keyframe to the next, unless one is asked for: longer than any stream."""

MAX_THREADS: Final = 8
"""No picture is encoded by more threads than this: its parts would cost more bits than they save time.

Source: chosen by hand; pinned by `tests/codec/test_h264.py::test_a_large_picture_has_all_cores`."""

MIN_PART_PX: Final = 230_000
"""Each thread encodes a part of at least this many pixels, a slice or a partition: parts cost bits.

Source: chosen by hand; pinned by
`tests/codec/test_h264.py::test_small_pictures_have_few_slices_and_half_the_cores`."""

_MAX_FPS_DENOMINATOR: Final = 1001
"""Frame rates are given to FFmpeg as fractions. NTSC's have this denominator: 30000/1001."""


def clamped_bitrate(bits_per_second: int, max_bitrate: int) -> int:
    """The bitrate, brought between `MIN_BITRATE_BPS` and ``max_bitrate``."""
    return max(MIN_BITRATE_BPS, min(bits_per_second, max_bitrate))


def new_context(
    library: str,
    width: int,
    height: int,
    *,
    pixel_format: str,
    fps: float,
    bits_per_second: int,
    color_range: int | None = None,
) -> VideoCodecContext:
    """A context of one of FFmpeg's encoders, not yet open. It counts frames: its time base is one of them.

    With a ``color_range``, the stream says that its colours are BT.601 of that range.
    """
    context = av.CodecContext.create(library, "w")
    assert isinstance(context, VideoCodecContext), "a video encoder"
    context.width, context.height, context.pix_fmt = width, height, pixel_format
    context.framerate = Fraction(fps).limit_denominator(_MAX_FPS_DENOMINATOR)
    context.time_base = 1 / context.framerate
    context.bit_rate = bits_per_second
    if color_range is not None:
        context.color_range = color_range
        context.colorspace = context.color_primaries = context.color_trc = SMPTE170M
    return context


def open_context(context: VideoCodecContext) -> VideoCodecContext:
    """Open the context. Raises ``EncoderError`` where FFmpeg refuses it."""
    # Its name is asked for before: in PyAV 19 the name of a context that was refused ends the process.
    what = f"{context.name} cannot be opened for {context.width}x{context.height}"
    try:
        context.open()
    except (av.error.FFmpegError, ValueError) as error:
        raise EncoderError(f"{what}: {error}") from error
    return context


def set_picture_type(picture: av.VideoFrame, *, keyframe: bool) -> None:
    """Ask for the picture as a keyframe, or leave its type to the encoder."""
    picture.pict_type = PictureType.I if keyframe else PictureType.NONE


def access_unit(spec: CodecSpec, packet: av.Packet[Any], frame: Frame) -> AccessUnit:
    """The unit of a frame that FFmpeg encoded as this packet."""
    return AccessUnit(
        codec=spec.name,
        data=bytes(packet),
        number=frame.number,
        time_us=frame.time_us,
        width=frame.width,
        height=frame.height,
        keyframe=packet.is_keyframe,
    )
