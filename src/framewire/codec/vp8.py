"""Frames to VP8 with libvpx in realtime mode. Must not know viewers or packets."""

from __future__ import annotations

import os
from fractions import Fraction

import av
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from framewire.codec.colour import to_video_frame
from framewire.codec.pace import Pace
from framewire.codecs import CodecName, CodecSpec
from framewire.errors import EncoderError
from framewire.frame import AccessUnit, Frame

MIN_RATE = 100_000
TICKS = 90_000
FINEST = 8
"""The finest quantiser: beyond it bits and time are spent that nobody sees."""


class Vp8Encoder:
    """VP8 whose bitrate follows `set_rate` by way of time.

    libvpx takes no new bitrate through FFmpeg while it runs, but what it gives out is bits per second of
    *timestamps*. So it is opened at the ceiling, and its clock runs at target / ceiling of the real speed.
    """

    def __init__(self, spec: CodecSpec, *, fps: float, max_bitrate: int, threads: int | None = None) -> None:
        self._spec = spec
        self._fps = fps
        self._max_bitrate = max_bitrate
        # Half the cores: libvpx's threads wait by spinning, and two of them on two cores with a viewer beside
        # halve the frame rate (measured: 13 against 27 fps of a 720p plot).
        self._threads = threads or max(1, min(8, (os.cpu_count() or 1) // 2))
        self._target = max_bitrate
        self._context: VideoCodecContext | None = None
        self._pace = Pace(fps)
        self._clock = 0.0

    @property
    def codec(self) -> CodecName:
        return self._spec.name

    def set_rate(self, bits_per_second: int) -> None:
        self._target = max(MIN_RATE, min(bits_per_second, self._max_bitrate))

    def encode(self, frame: Frame, *, keyframe: bool = False) -> AccessUnit:
        picture = to_video_frame(frame.pixels)
        try:
            packets = self._encode(picture, frame.time_us, keyframe)
        except av.error.FFmpegError as error:
            self._context = None
            raise EncoderError(f"libvpx refused a {frame.width}x{frame.height} frame: {error}") from error
        if not packets:
            raise EncoderError("libvpx dropped a frame")
        packet = packets[0]
        return AccessUnit(
            codec=self._spec.name,
            data=bytes(packet),
            number=frame.number,
            time_us=frame.time_us,
            width=frame.width,
            height=frame.height,
            keyframe=packet.is_keyframe,
        )

    def _encode(self, picture: av.VideoFrame, time_us: int, keyframe: bool) -> list[av.Packet[av.VideoStream]]:
        context = self._context
        if context is None or (context.width, context.height) != (picture.width, picture.height):
            context = self._context = self._open(picture.width, picture.height)
            self._clock = 0.0
        ticks = max(1.0, self._pace.step(time_us) * TICKS * self._target / self._max_bitrate)
        picture.pts, picture.time_base = round(self._clock), context.time_base
        self._clock += ticks
        picture.duration = round(self._clock) - picture.pts
        picture.pict_type = PictureType.I if keyframe else PictureType.NONE
        return context.encode(picture)

    def _open(self, width: int, height: int) -> VideoCodecContext:
        context = av.CodecContext.create("libvpx", "w")
        context.width, context.height, context.pix_fmt = width, height, "yuv420p"
        context.time_base = Fraction(1, TICKS)
        context.framerate = Fraction(self._fps).limit_denominator(1001)
        context.gop_size = 1 << 30
        context.bit_rate = self._max_bitrate
        context.qmin, context.qmax = FINEST, 63
        threads = threads_for(width, height, self._threads)
        context.thread_count = threads
        rate = str(self._max_bitrate)
        context.options = {
            "deadline": "realtime",
            "cpu-used": str(speed_for(width * height * self._fps, threads)),
            "lag-in-frames": "0",
            # All three alike make it constant bitrate.
            "minrate": rate,
            "maxrate": rate,
            "bufsize": str(self._max_bitrate // 2),
            "undershoot-pct": "100",
            "overshoot-pct": "15",
            # Percent of a frame's share that a keyframe may take: a join must not stall the others.
            "max-intra-rate": "300",
            "static-thresh": "1",
            "slices": str(threads),
        }
        try:
            context.open()
        except (av.error.FFmpegError, ValueError) as error:
            raise EncoderError(f"libvpx cannot be opened for {width}x{height}: {error}") from error
        return context

    def close(self) -> None:
        self._context = None


def threads_for(width: int, height: int, most: int) -> int:
    """Token partitions, and so threads, come in powers of two; small pictures need none."""
    wanted = max(1, min(most, width * height // 230_000))
    return 1 << min(3, wanted.bit_length() - 1)


def speed_for(pixels_per_second: float, threads: int) -> int:
    """libvpx's ``cpu-used``: -16 is fastest, and in realtime mode a bound, not an order."""
    return -16 if pixels_per_second / threads > 10_000_000 else -6
