"""The one door to video encoders. Must not know how any of them works."""

from __future__ import annotations

import av

from framewire.codec.base import VideoCodec, VideoEncoder
from framewire.errors import EncoderError

LIBRARIES: dict[VideoCodec, str] = {"h264": "libx264", "vp8": "libvpx"}
"""FFmpeg's name of each codec's encoder, best codec first."""


def available_codecs() -> tuple[VideoCodec, ...]:
    """The codecs that this build of FFmpeg can encode, best first."""
    return tuple(codec for codec, library in LIBRARIES.items() if library in av.codecs_available)


def open_encoder(codec: str, *, fps: float, max_bitrate: int, threads: int | None = None) -> VideoEncoder:
    """An encoder for frames that come at up to ``fps`` a second.

    ``max_bitrate`` (bits per second) is where it starts and the most that `VideoEncoder.set_rate` can ask
    for. ``threads`` is the most threads it may use; by default as many as there are cores, at most 8. Nothing
    is opened before the first frame. Raises ``EncoderError`` if there is no encoder for the codec.
    """
    if codec not in available_codecs():
        raise EncoderError(f"no encoder for {codec!r}; this FFmpeg has {', '.join(available_codecs())}")
    if codec == "h264":
        from framewire.codec.h264 import H264Encoder

        return H264Encoder(fps=fps, max_bitrate=max_bitrate, threads=threads)
    from framewire.codec.vp8 import Vp8Encoder

    return Vp8Encoder(fps=fps, max_bitrate=max_bitrate, threads=threads)
