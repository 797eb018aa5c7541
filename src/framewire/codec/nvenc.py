"""H.264 by an NVIDIA card, where there is one that encodes. Must not know frames, streams or viewers.

This file was written after FFmpeg's documentation of ``h264_nvenc`` and has only been tested with a stand-in. Whatever
goes wrong with the card, x264 takes over.
"""

from __future__ import annotations

import logging
from typing import Final

import av
from av.video.codeccontext import VideoCodecContext

from framewire.codec.colour import LIMITED
from framewire.codec.ffmpeg import ENDLESS_GOP_FRAMES, new_context, open_context
from framewire.errors import EncoderError

log: Final = logging.getLogger(__name__)

LIBRARY: Final = "h264_nvenc"
MIN_SIDE_PX: Final = 256
"""Smaller pictures are left to x264: some cards refuse them, and x264 encodes them in no time.

Source: chosen by hand; pinned by
`tests/codec/test_nvenc.py::test_small_pictures_and_full_chroma_are_not_for_the_card`."""

_absent = _present = False


def open_nvenc(width: int, height: int, fps: float, bits_per_second: int, buffer_bits: int) -> VideoCodecContext | None:
    """An open encoder without delay; None where no card takes this.

    ``buffer_bits`` is the size of the rate control's buffer. The context's ``bit_rate`` may change, but each change
    makes a keyframe. A machine without a card is tried once.
    """
    global _absent, _present  # noqa: PLW0603  # both hold for the whole process
    if _absent or min(width, height) < MIN_SIDE_PX or LIBRARY not in av.codecs_available:
        return None
    try:
        context = _open(width, height, fps, bits_per_second, buffer_bits)
    except (EncoderError, av.error.FFmpegError, ValueError) as error:
        log.debug("%s is not used: %s", LIBRARY, error)
        # A card that has encoded before may be busy, or refuse only this size.
        _absent = not _present
        return None
    _present = True
    log.info("video is encoded by %s", LIBRARY)
    return context


def give_up(reason: str) -> None:
    """The card took a picture and failed: this process does not use it again."""
    global _absent  # noqa: PLW0603
    _absent = True
    log.warning("%s is replaced by x264: %s", LIBRARY, reason)


def _open(width: int, height: int, fps: float, bits_per_second: int, buffer_bits: int) -> VideoCodecContext:
    context = new_context(
        LIBRARY,
        width,
        height,
        pixel_format="yuv420p",
        fps=fps,
        bits_per_second=bits_per_second,
        color_range=LIMITED,
    )
    context.gop_size = ENDLESS_GOP_FRAMES
    context.options = {
        "preset": "p2",
        "tune": "ull",
        "profile": "baseline",
        "rc": "cbr",
        "maxrate": str(bits_per_second),
        "bufsize": str(buffer_bits),
        "zerolatency": "1",
        "delay": "0",
        "bf": "0",
        "forced-idr": "1",
    }
    return open_context(context)
