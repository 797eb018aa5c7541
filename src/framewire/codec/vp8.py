"""Frames to VP8 with libvpx in realtime mode. Must not know viewers or packets."""

from __future__ import annotations

import os
from fractions import Fraction
from typing import Final

import av
from av.video.codeccontext import VideoCodecContext

from framewire.codec.colour import to_video_frame
from framewire.codec.ffmpeg import (
    ENDLESS_GOP_FRAMES,
    MAX_THREADS,
    MIN_PART_PX,
    access_unit,
    clamped_bitrate,
    new_context,
    open_context,
    set_picture_type,
)
from framewire.codec.frame_duration import FrameDuration
from framewire.codecs import CodecName, CodecSpec
from framewire.errors import EncoderError
from framewire.frame import AccessUnit, Frame

_CLOCK_HZ: Final = 90_000
MIN_QUANTISER: Final = 8
"""A finer quantiser spends bits and time on what no viewer sees.

Source: measured."""
MAX_QUANTISER: Final = 63
"""VP8's coarsest (RFC 6386 §9.6 has 128 steps, libvpx numbers 64 of them)."""
FASTEST_MIN_PX_PER_S: Final = 10_000_000
"""Above this many pixels a second for each thread, libvpx runs at its fastest: 7 instead of 12 ms for a frame of 720p,
and no worse.

Source: measured; pinned by `tests/codec/test_vp8.py::test_large_pictures_are_encoded_faster`."""


class Vp8Encoder:
    """VP8 that follows `set_rate` by its clock.

    libvpx takes no new bitrate through FFmpeg while it runs, but what it spends is bits per second of *timestamps*. So
    it is opened at the highest bitrate, and its clock runs at target / highest of the real speed.
    """

    def __init__(self, spec: CodecSpec, *, fps: float, max_bitrate: int, threads: int | None = None) -> None:
        self._spec = spec
        self._fps = fps
        self._max_bitrate = max_bitrate
        # Half the cores: libvpx's threads wait by spinning. Two of them on two cores, with a viewer beside, halve the
        # frame rate (measured: 13 against 27 fps of a 720p plot).
        self._max_threads = threads or max(1, min(MAX_THREADS, (os.cpu_count() or 1) // 2))
        self._target = max_bitrate
        self._context: VideoCodecContext | None = None
        self._frame_duration = FrameDuration(fps)
        self._clock = 0.0

    @property
    def codec(self) -> CodecName:
        return self._spec.name

    def set_rate(self, bits_per_second: int) -> None:
        self._target = clamped_bitrate(bits_per_second, self._max_bitrate)

    def encode(self, frame: Frame, *, keyframe: bool = False) -> AccessUnit:
        picture = to_video_frame(frame.pixels)
        set_picture_type(picture, keyframe=keyframe)
        try:
            packets = self._encode(picture, frame.time_us)
        except av.error.FFmpegError as error:
            self._context = None
            raise EncoderError(f"libvpx refused a {frame.width}x{frame.height} frame: {error}") from error
        if not packets:
            raise EncoderError("libvpx dropped a frame")
        return access_unit(self._spec, packets[0], frame)

    def _encode(self, picture: av.VideoFrame, time_us: int) -> list[av.Packet[av.VideoStream]]:
        context = self._context
        if context is None or (context.width, context.height) != (picture.width, picture.height):
            context = self._context = self._open(picture.width, picture.height)
            self._clock = 0.0
        duration_s = self._frame_duration.since_last(time_us)
        ticks = max(1.0, duration_s * _CLOCK_HZ * self._target / self._max_bitrate)
        picture.pts, picture.time_base = round(self._clock), context.time_base
        self._clock += ticks
        picture.duration = round(self._clock) - picture.pts
        return context.encode(picture)

    def _open(self, width: int, height: int) -> VideoCodecContext:
        context = new_context(
            self._spec.library,
            width,
            height,
            pixel_format="yuv420p",
            fps=self._fps,
            bits_per_second=self._max_bitrate,
        )
        context.time_base = Fraction(1, _CLOCK_HZ)
        context.gop_size = ENDLESS_GOP_FRAMES
        context.qmin, context.qmax = MIN_QUANTISER, MAX_QUANTISER
        threads = partitions_for(width, height, self._max_threads)
        context.thread_count = threads
        bitrate = str(self._max_bitrate)
        context.options = {
            "deadline": "realtime",
            "cpu-used": str(speed_for(width * height * self._fps, threads)),
            "lag-in-frames": "0",
            # minrate = maxrate = bitrate makes it constant.
            "minrate": bitrate,
            "maxrate": bitrate,
            "bufsize": str(self._max_bitrate // 2),
            "undershoot-pct": "100",
            "overshoot-pct": "15",
            # The percentage of a frame's share that a keyframe may spend: a join must not stall the others.
            "max-intra-rate": "300",
            "static-thresh": "1",
            "slices": str(threads),
        }
        return open_context(context)

    def close(self) -> None:
        self._context = None


def partitions_for(width: int, height: int, max_threads: int) -> int:
    """The number of threads. Each encodes a token partition, and there are 1, 2, 4 or 8 of those (RFC 6386 §9.5)."""
    wanted = max(1, min(max_threads, width * height // MIN_PART_PX))
    return 1 << min(3, wanted.bit_length() - 1)


def speed_for(pixels_per_second: float, threads: int) -> int:
    """libvpx's ``cpu-used``: -16 is fastest. In realtime mode it is a limit that libvpx adapts within."""
    return -16 if pixels_per_second / threads > FASTEST_MIN_PX_PER_S else -6
