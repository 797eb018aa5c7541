"""Which video encoders there are, and opens them. Must not know how any of them works."""

from __future__ import annotations

from typing import Final

import av

from framewire.codec.base import VideoEncoder
from framewire.codecs import CODECS, Chroma, CodecName, CodecSpec, load
from framewire.errors import EncoderError

FFMPEG_PIXEL_FORMATS: Final[dict[Chroma, str]] = {"420": "yuv420p", "444": "yuv444p"}
"""FFmpeg's name of the pixels that an encoder is given."""


def available_codecs() -> tuple[CodecName, ...]:
    """The codecs that this build of FFmpeg can encode, best first."""
    return tuple(spec.name for spec in CODECS.values() if _is_available(spec))


def _is_available(spec: CodecSpec) -> bool:
    if not spec.library:
        return True
    if spec.library not in av.codecs_available:
        return False
    # x264 may have been built for 4:2:0 only.
    formats = av.Codec(spec.library, "w").video_formats or ()
    return any(each.name == FFMPEG_PIXEL_FORMATS[spec.chroma] for each in formats)


def open_encoder(codec: CodecName, *, fps: float, max_bitrate: int, threads: int | None = None) -> VideoEncoder:
    """An encoder for frames that come at up to ``fps`` a second.

    ``max_bitrate`` (bits per second) is where it starts and the most that `VideoEncoder.set_rate` can ask
    for. ``threads`` is the most threads it may use; by default it chooses by the picture's size and the machine's
    cores. Nothing is opened before the first frame. Raises ``EncoderError`` if there is no encoder for the codec.
    """
    if codec not in available_codecs():
        raise EncoderError(f"no encoder for {codec!r}; this FFmpeg has {', '.join(available_codecs())}")
    spec = CODECS[codec]
    encoder: VideoEncoder = load(spec.encoder)(spec, fps=fps, max_bitrate=max_bitrate, threads=threads)
    return encoder
