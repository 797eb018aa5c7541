"""H.264 by an NVIDIA card, where there is one that encodes. Must not know frames, streams or viewers.

Written after FFmpeg's documentation of ``h264_nvenc`` and tried with a stand-in alone: whoever has such a card is the
first. What goes wrong ends with x264, which is always there.
"""

from __future__ import annotations

import logging
from fractions import Fraction

import av
from av.video.codeccontext import VideoCodecContext

from framewire.codec.colour import LIMITED, SMPTE170M

log = logging.getLogger(__name__)

LIBRARY = "h264_nvenc"
LEAST = 256
"""Pixels a side below which nothing is tried: some cards refuse small pictures, and x264 has those in no time."""

_absent = _present = False


def open_nvenc(width: int, height: int, fps: float, bits_per_second: int, buffer: int) -> VideoCodecContext | None:
    """An open encoder without delay; None if there is no card that takes this.

    ``buffer`` is the rate control's, in bits. Its ``bit_rate`` may change, but each change is a keyframe. A machine
    without a card is asked once.
    """
    global _absent, _present  # noqa: PLW0603  # they hold for the process
    if _absent or min(width, height) < LEAST or LIBRARY not in av.codecs_available:
        return None
    try:
        context = _open(width, height, fps, bits_per_second, buffer)
    except (av.error.FFmpegError, ValueError) as error:
        log.debug("no %s: %s", LIBRARY, error)
        # A card that has encoded before may be full, or refuse this size alone.
        _absent = not _present
        return None
    _present = True
    log.info("video is encoded by %s", LIBRARY)
    return context


def give_up(why: str) -> None:
    """It took a picture and did badly: never again in this process."""
    global _absent  # noqa: PLW0603
    _absent = True
    log.warning("%s is left for x264: %s", LIBRARY, why)


def _open(width: int, height: int, fps: float, bits_per_second: int, buffer: int) -> VideoCodecContext:
    context = av.CodecContext.create(LIBRARY, "w")
    assert isinstance(context, VideoCodecContext), "a video encoder"
    context.width, context.height, context.pix_fmt = width, height, "yuv420p"
    context.framerate = Fraction(fps).limit_denominator(1001)
    context.time_base = 1 / context.framerate
    context.bit_rate = bits_per_second
    context.gop_size = 1 << 30
    context.color_range = LIMITED
    context.colorspace = context.color_primaries = context.color_trc = SMPTE170M
    context.options = {
        "preset": "p2",
        "tune": "ull",
        "profile": "baseline",
        "rc": "cbr",
        "maxrate": str(bits_per_second),
        "bufsize": str(buffer),
        "zerolatency": "1",
        "delay": "0",
        "bf": "0",
        "forced-idr": "1",
    }
    context.open()
    return context
