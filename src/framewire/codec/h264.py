"""Frames to H.264 with libx264 or an NVIDIA card, without delay. Must not know viewers or packets."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final

import av
from av.video.codeccontext import VideoCodecContext

from framewire.codec import nvenc
from framewire.codec.colour import FULL, LIMITED, to_video_frame
from framewire.codec.ffmpeg import (
    MAX_THREADS,
    MIN_PART_PX,
    access_unit,
    clamped_bitrate,
    new_context,
    open_context,
    set_picture_type,
)
from framewire.codec.frame_duration import FrameDuration
from framewire.codecs import Chroma, CodecName, CodecSpec
from framewire.errors import EncoderError
from framewire.frame import AccessUnit, Frame

# Rate control

MAX_BUFFER_FRAMES: Final = 2
"""The rate control's buffer holds at most this many frames at the highest bitrate.

With so small a buffer a keyframe is little larger than the frames around it, so one viewer's join costs the others no
burst.
Source: chosen by hand; pinned by
`tests/codec/test_h264.py::test_a_keyframe_is_not_much_larger_than_the_frames_around_it`."""
TARGET_BUFFER_FRAMES: Final = 4.5
"""The buffer also holds at most this many frames at the target that the encoder is opened for, or `TARGET_BUFFER_S`
of it where that is more: a keyframe takes this long to arrive.

It is the limit of steering, too: x264 needs a buffer of one frame at its highest bitrate, so the bitrate can be set to
at most this many times the target.
Source: chosen by hand; pinned by `tests/codec/test_h264.py::test_after_a_fall_of_the_bitrate_the_keyframe_fits_it`."""
TARGET_BUFFER_S: Final = 0.15
"""See `TARGET_BUFFER_FRAMES`. It matters above 30 frames a second.

Source: chosen by hand; pinned by
`tests/codec/test_h264.py::test_the_buffer_holds_a_time_or_a_number_of_frames_of_the_target`."""
REOPEN_BELOW_FRACTION: Final = 0.5
"""Once the target is below this fraction of the one that the encoder was opened for, the next keyframe opens it anew.

An encoder opened for 8 Mbps has too large a buffer for 1 Mbps: after such a fall, the first second of video takes three
seconds to arrive.
Source: chosen by hand; pinned by `tests/codec/test_h264.py::test_after_a_fall_of_the_bitrate_the_keyframe_fits_it`."""
REOPEN_ABOVE_FACTOR: Final = 1.5
"""Once the target is above this multiple of the one that the encoder was opened for, the next keyframe opens it anew;
without a keyframe it is opened after `REOPEN_AFTER_S`.

Source: chosen by hand; pinned by
`tests/codec/test_h264.py::test_a_bitrate_that_rises_far_is_reached_within_a_second_with_a_keyframe`."""
REOPEN_AFTER_S: Final = 1.0
"""See `REOPEN_ABOVE_FACTOR`."""
SLOW_FRAMES_MAX_FACTOR: Final = 3
"""The bitrate may be set to at most this multiple of the maximum, for frames that come slower than announced.

x264 counts frames, not time, so each of them needs more bits than announced. At 60 fps, 3 covers the longest duration
that a frame may spend the bits of (`frame_duration.MAX_DURATION_S`).

Source: chosen by hand; pinned by
`tests/codec/test_h264.py::test_frames_that_come_slower_than_announced_still_spend_the_target`."""
MIN_BITRATE_CHANGE_FRACTION: Final = 1 / 32
"""Smaller changes of the bitrate are not passed on: each reconfigures x264.

Source: chosen by hand."""
DURATION_NEW_WEIGHT: Final = 1 / 8
"""The weight of the newest frame in the smoothed duration of a frame.

Source: chosen by hand."""

# The card, where each change of the bitrate makes a keyframe

NVENC_MIN_BITRATE_CHANGE_FRACTION: Final = 0.25
"""Smaller changes of the bitrate are not passed on to a card.

Source: chosen by hand; pinned by `tests/codec/test_nvenc.py::test_the_cards_bitrate_changes_rarely`."""
NVENC_MIN_BITRATE_INTERVAL_S: Final = 3.0
"""A card's bitrate changes this rarely, unless it falls by half.

Source: chosen by hand; pinned by `tests/codec/test_nvenc.py::test_the_cards_bitrate_changes_rarely`."""

# Quality

MIN_QUANTISER: Final = 16
"""A finer quantiser spends bits on what no viewer sees.

With this limit, a plot needs half the bits at the same PSNR (31.6 dB). A smooth field needs seven eighths of them and
loses 1 dB (44 instead of 45).

Source: measured."""
MIN_QUANTISER_444: Final = 12
"""The finest quantiser with 4:4:4 chroma. Plots, text and fields are all above 45 dB.

Two steps finer doubles the bits of a field.

Source: measured."""

# Speed

ALL_CORES_MIN_PX: Final = 900_000
"""Pictures of at least this many pixels, so from 720p on, are encoded by all cores.

Source: measured on two cores: 8 ms instead of 10 for 1080p, 1 ms less for 720p, and no frame fewer is shown."""
SUPERFAST_MAX_PX_PER_S: Final = 28_000_000
"""Up to this many pixels a second for each thread, x264's preset ``superfast`` keeps up with time to spare.

A pixel of 4:4:4 counts as two.

Source: measured; pinned by `tests/codec/test_h264.py::test_the_better_preset_where_bits_are_scarce`."""
SCARCE_BITS_PER_PX: Final = 0.1
"""Below this many bits a pixel, ``superfast`` is visibly better than ``ultrafast``: 2.8 Mbps at 720p30.

Source: measured; pinned by `tests/codec/test_h264.py::test_the_better_preset_where_bits_are_scarce`."""


@dataclass(frozen=True, slots=True)
class _Profile:
    """What differs with the chroma."""

    name: str
    pixel_format: str
    color_range: int
    x264_params: str
    load_factor: int
    """How many times the work of a 4:2:0 pixel: three samples instead of one and a half."""


PROFILES: Final[dict[Chroma, _Profile]] = {
    # Constrained baseline, which every browser decodes.
    "420": _Profile("baseline", "yuv420p", LIMITED, f"qpmin={MIN_QUANTISER}", 1),
    # 4:4:4 uses CABAC: +6 dB for a plot at 2 Mbps, for about 1 ms more encoding.
    "444": _Profile("high444", "yuv444p", FULL, f"cabac=1:qpmin={MIN_QUANTISER_444}", 2),
}


class H264Encoder:
    """H.264 as Annex B, with the parameter sets before each keyframe."""

    def __init__(self, spec: CodecSpec, *, fps: float, max_bitrate: int, threads: int | None = None) -> None:
        self._spec = spec
        self._profile = PROFILES[spec.chroma]
        self._fps = fps
        self._max_bitrate = max_bitrate
        self._target = max_bitrate
        self._opened_for = max_bitrate
        self._high_since_us: int | None = None
        self._ceiling = SLOW_FRAMES_MAX_FACTOR * max_bitrate
        self._threads = threads
        self._context: VideoCodecContext | None = None
        self._frame_duration = FrameDuration(fps)
        self._duration_s = 1 / fps
        self._count = 0
        self._by_card = False
        self._bitrate_set_at_s = 0.0

    @property
    def codec(self) -> CodecName:
        return self._spec.name

    def set_rate(self, bits_per_second: int) -> None:
        self._target = clamped_bitrate(bits_per_second, self._max_bitrate)

    def encode(self, frame: Frame, *, keyframe: bool = False) -> AccessUnit:
        picture = to_video_frame(frame.pixels, self._spec.chroma)
        set_picture_type(picture, keyframe=keyframe)
        try:
            packets = self._encode(picture, frame.time_us, keyframe)
        except av.error.FFmpegError as error:
            self._context = None
            if self._by_card:
                nvenc.give_up(str(error))
            raise EncoderError(f"{self._library} refused a {frame.width}x{frame.height} frame: {error}") from error
        if len(packets) != 1 and self._by_card:
            self._context = None
            nvenc.give_up("it holds frames back")
            raise EncoderError("the card's encoder held a frame back; the next frame is encoded without it")
        assert len(packets) == 1, "tune=zerolatency: one packet for each frame, at once"
        return access_unit(self._spec, packets[0], frame)

    def _encode(self, picture: av.VideoFrame, time_us: int, keyframe: bool) -> list[av.Packet[av.VideoStream]]:
        context = self._context
        size = picture.width, picture.height
        if context is None or (context.width, context.height) != size or self._must_reopen(keyframe, time_us):
            # Closed first: a card encodes few streams at once.
            context = self._context = None
            context = self._context = self._open(*size)
        self._set_bitrate(context, time_us)
        picture.pts = self._count
        picture.time_base = context.time_base
        self._count += 1
        return context.encode(picture)

    def _must_reopen(self, keyframe: bool, time_us: int) -> bool:
        """Whether the target has left what the open encoder is good for, and a keyframe is due or worth its price."""
        if self._target <= REOPEN_ABOVE_FACTOR * self._opened_for:
            self._high_since_us = None
            return keyframe and self._target < REOPEN_BELOW_FRACTION * self._opened_for
        since_us = self._high_since_us = time_us if self._high_since_us is None else self._high_since_us
        return keyframe or time_us - since_us > REOPEN_AFTER_S * 1e6

    def _set_bitrate(self, context: VideoCodecContext, time_us: int) -> None:
        """Scale the bitrate from the announced frame rate to the real one: x264 without delay counts frames, not
        time."""
        self._duration_s += (self._frame_duration.since_last(time_us) - self._duration_s) * DURATION_NEW_WEIGHT
        bitrate = min(self._ceiling, round(self._target * self._duration_s * self._fps))
        current = context.bit_rate or 0
        now_s = time_us / 1e6
        min_change = NVENC_MIN_BITRATE_CHANGE_FRACTION if self._by_card else MIN_BITRATE_CHANGE_FRACTION
        may_change = (
            not self._by_card
            or now_s - self._bitrate_set_at_s > NVENC_MIN_BITRATE_INTERVAL_S
            or bitrate < current / 2
        )  # fmt: skip
        if abs(bitrate - current) > bitrate * min_change and may_change:
            context.bit_rate, self._bitrate_set_at_s = bitrate, now_s

    def _open(self, width: int, height: int) -> VideoCodecContext:
        self._opened_for, self._high_since_us = self._target, None
        reach = max(TARGET_BUFFER_FRAMES, TARGET_BUFFER_S * self._fps) * self._target
        self._ceiling = round(min(SLOW_FRAMES_MAX_FACTOR * self._max_bitrate, reach))
        buffer_bits = round(min(MAX_BUFFER_FRAMES * self._max_bitrate, reach) / self._fps)
        context = None
        if self._spec.chroma == "420":
            context = nvenc.open_nvenc(width, height, self._fps, self._ceiling, buffer_bits)
        self._by_card = context is not None
        return context or self._open_x264(width, height, buffer_bits)

    @property
    def _library(self) -> str:
        return nvenc.LIBRARY if self._by_card else self._spec.library

    def _open_x264(self, width: int, height: int, buffer_bits: int) -> VideoCodecContext:
        profile = self._profile
        context = new_context(
            self._spec.library,
            width,
            height,
            pixel_format=profile.pixel_format,
            fps=self._fps,
            bits_per_second=self._ceiling,
            color_range=profile.color_range,
        )
        threads = slices_for(width, height, os.cpu_count() or 1) if self._threads is None else self._threads
        context.thread_count = threads
        context.options = {
            "preset": preset_for(width * height * self._fps * profile.load_factor, threads, self._opened_for),
            "tune": "zerolatency",
            "profile": profile.name,
            # x264 follows a live bit_rate only with a buffer, and never above the rate that it was opened at.
            "maxrate": str(self._ceiling),
            "bufsize": str(buffer_bits),
            "forced-idr": "1",
            # The hexagonal search saves ultrafast a twentieth of its bits and takes no measurable time.
            "x264-params": f"keyint=infinite:scenecut=0:repeat-headers=1:me=hex:{profile.x264_params}",
        }
        return open_context(context)

    def close(self) -> None:
        self._context = None


def slices_for(width: int, height: int, cores: int) -> int:
    """The number of threads, and so of slices, that encode a picture.

    Half the cores: the others send, receive, decode and paint, perhaps on this machine. A large picture has all of
    them, as its time to encode is the larger part of its delay.
    """
    share = cores if width * height >= ALL_CORES_MIN_PX else cores // 2
    return max(1, min(share, MAX_THREADS, width * height // MIN_PART_PX))


def preset_for(pixels_per_second: float, threads: int, bits_per_second: float) -> str:
    """x264's preset: the better one where bits are scarce and a core has time for it.

    Where bits are not scarce the better one shows nothing (42.7 and 42.8 dB of a field, 34.3 and 34.1 dB of a plot).
    It takes a third longer here, and longer in the browser, which then applies the deblocking filter.
    """
    scarce = bits_per_second < SCARCE_BITS_PER_PX * pixels_per_second
    return "superfast" if scarce and pixels_per_second / threads <= SUPERFAST_MAX_PX_PER_S else "ultrafast"
