"""The one door to video encoders. Must not know how any of them works."""

from __future__ import annotations

import av

from framewire.codec.base import Chroma, VideoCodec, VideoEncoder
from framewire.errors import EncoderError

LIBRARIES: dict[VideoCodec, tuple[str, str]] = {
    "h264_444": ("libx264", "yuv444p"),
    "h264": ("libx264", "yuv420p"),
    "vp8": ("libvpx", "yuv420p"),
}
"""FFmpeg's name of each codec's encoder and of the pixels it is given, best codec first.

VP9 is not among them. At 720p30 libvpx's fastest (``cpu-used`` 8) takes twice x264's time and more for pictures that
are, at 2 to 8 Mbps, from 3 dB worse (plots) to 2 dB better (text); with whole chroma two to four times, for worse plots
and better text.
"""


def available_codecs() -> tuple[VideoCodec, ...]:
    """The codecs that this build of FFmpeg can encode, best first."""
    return tuple(codec for codec, (library, pixels) in LIBRARIES.items() if _takes(library, pixels))


def _takes(library: str, pixels: str) -> bool:
    # x264 may be built for halved chroma alone.
    if library not in av.codecs_available:
        return False
    return any(each.name == pixels for each in av.Codec(library, "w").video_formats or ())


def open_encoder(codec: str, *, fps: float, max_bitrate: int, threads: int | None = None) -> VideoEncoder:
    """An encoder for frames that come at up to ``fps`` a second.

    ``max_bitrate`` (bits per second) is where it starts and the most that `VideoEncoder.set_rate` can ask
    for. ``threads`` is the most threads it may use; by default half the cores, at most 8. Nothing
    is opened before the first frame. Raises ``EncoderError`` if there is no encoder for the codec.
    """
    if codec not in available_codecs():
        raise EncoderError(f"no encoder for {codec!r}; this FFmpeg has {', '.join(available_codecs())}")
    if codec != "vp8":
        from framewire.codec.h264 import H264Encoder

        chroma: Chroma = "444" if codec == "h264_444" else "420"
        return H264Encoder(fps=fps, max_bitrate=max_bitrate, threads=threads, chroma=chroma)
    from framewire.codec.vp8 import Vp8Encoder

    return Vp8Encoder(fps=fps, max_bitrate=max_bitrate, threads=threads)
