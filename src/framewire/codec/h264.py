"""Frames to H.264 with libx264 or a card, one slice-threaded picture at a time. Must not know viewers or packets."""

from __future__ import annotations

import os
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import av
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from framewire.codec import nvenc
from framewire.codec.colour import FULL, LIMITED, SMPTE170M, to_video_frame
from framewire.codec.pace import Pace
from framewire.codecs import Chroma, CodecName, CodecSpec
from framewire.errors import EncoderError
from framewire.frame import AccessUnit, Frame

MIN_RATE = 100_000
BUFFER_FRAMES = 2
"""Size of the rate control's buffer, in frames at the highest bitrate, at most. So small a buffer makes a keyframe
little larger than the frames around it: one viewer's join costs the others no burst."""
REACH, REACH_TIME = 4.5, 0.15
"""The same, in frames at the target that the encoder is opened for or in seconds, whichever is more: so long does a
keyframe take to arrive. And times that target up to which it can be steered, as x264 needs a buffer of a frame at its
highest rate."""
FELL, ROSE, STOOD = 0.5, 1.5, 1.0
"""Of that target: where a keyframe is due anyway below the first, the encoder is opened anew; and above the second,
with a keyframe or once it has stood there for so many seconds. A buffer for eight megabits lets the first second after
a fall to one take three."""
FINEST = 16
"""The finest quantiser: beyond it bits are spent that nobody sees. Half of a plot's at the same PSNR (31.6 dB), and
seven eighths of a smooth field's for 1 dB (45 to 44)."""
FINEST_WHOLE = 12
"""The same with whole chroma: above 45 dB for plots, text and fields. Two finer is twice the bits of a field."""
CARD_STEP, CARD_PAUSE = 0.25, 3.0
"""Of the bitrate, and seconds between: what a card's changes of it are bounded by, but for a fall by half."""
HEADROOM = 3
"""How much more than its share a frame may spend that came after a pause."""


@dataclass(frozen=True, slots=True)
class _Variant:
    """What differs between the two kinds of chroma."""

    pixels: str
    range: int
    profile: str
    coding: str
    """Further parameters of x264."""
    effort: int
    """How much more there is to a pixel: three samples are twice one and a half."""


VARIANTS: Final[dict[Chroma, _Variant]] = {
    "420": _Variant("yuv420p", LIMITED, "baseline", f"qpmin={FINEST}", 1),
    # CABAC, which the baseline has not, is worth 6 dB of a plot at 2 Mbps, for about a millisecond.
    "444": _Variant("yuv444p", FULL, "high444", f"cabac=1:qpmin={FINEST_WHOLE}", 2),
}


class H264Encoder:
    """H.264 as Annex B, with the parameter sets before each keyframe: constrained baseline, which everybody decodes, or
    with whole chroma High 4:4:4 Predictive."""

    def __init__(self, spec: CodecSpec, *, fps: float, max_bitrate: int, threads: int | None = None) -> None:
        self._spec = spec
        self._variant = VARIANTS[spec.chroma]
        self._fps = fps
        self._max_bitrate = max_bitrate
        self._opened_for = max_bitrate
        self._high_since_us: int | None = None
        self._ceiling = HEADROOM * max_bitrate
        self._threads = threads
        self._target = max_bitrate
        self._context: VideoCodecContext | None = None
        self._pace = Pace(fps)
        self._interval = 1 / fps
        self._count = 0
        self._by_card = False
        self._steered_at = 0.0

    @property
    def codec(self) -> CodecName:
        return self._spec.name

    def set_rate(self, bits_per_second: int) -> None:
        self._target = max(MIN_RATE, min(bits_per_second, self._max_bitrate))

    def encode(self, frame: Frame, *, keyframe: bool = False) -> AccessUnit:
        picture = to_video_frame(frame.pixels, self._spec.chroma)
        try:
            packets = self._encode(picture, frame.time_us, keyframe)
        except av.error.FFmpegError as error:
            self._context = None
            if self._by_card:
                nvenc.give_up(str(error))
            raise EncoderError(f"{self._name} refused a {frame.width}x{frame.height} frame: {error}") from error
        if len(packets) != 1 and self._by_card:
            self._context = None
            nvenc.give_up("it holds frames back")
            raise EncoderError("the card's encoder was left; the next frame is encoded without it")
        assert len(packets) == 1, "tune=zerolatency: one packet for each frame, at once"
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
        size = picture.width, picture.height
        if context is None or (context.width, context.height) != size or self._outgrown(keyframe, time_us):
            # Given back first: cards have few.
            context = self._context = None
            context = self._context = self._open(*size)
        self._steer(context, time_us)
        picture.pts = self._count
        picture.time_base = context.time_base
        self._count += 1
        picture.pict_type = PictureType.I if keyframe else PictureType.NONE
        return context.encode(picture)

    def _outgrown(self, keyframe: bool, time_us: int) -> bool:
        """Whether the target is out of the reach of the encoder that is open, and a keyframe is due or worth it."""
        if self._target <= ROSE * self._opened_for:
            self._high_since_us = None
            return keyframe and self._target < FELL * self._opened_for
        since_us = self._high_since_us = time_us if self._high_since_us is None else self._high_since_us
        return keyframe or time_us - since_us > STOOD * 1e6

    def _steer(self, context: VideoCodecContext, time_us: int) -> None:
        """x264 without delay counts frames, not time, so its bitrate is what makes the frame rate it was told
        spend the target at the rate that frames really come."""
        self._interval += (self._pace.step(time_us) - self._interval) / 8
        rate = min(self._ceiling, round(self._target * self._interval * self._fps))
        # Each change reconfigures the encoder: not for a few percent; on a card it costs a keyframe.
        now, least = time_us / 1e6, CARD_STEP if self._by_card else 1 / 32
        rare = not self._by_card or now - self._steered_at > CARD_PAUSE or rate < (context.bit_rate or 0) / 2
        if abs(rate - (context.bit_rate or 0)) > rate * least and rare:
            context.bit_rate, self._steered_at = rate, now

    def _open(self, width: int, height: int) -> VideoCodecContext:
        self._opened_for, self._high_since_us = self._target, None
        reach = max(REACH, REACH_TIME * self._fps) * self._target
        self._ceiling = round(min(HEADROOM * self._max_bitrate, reach))
        buffer = round(min(BUFFER_FRAMES * self._max_bitrate, reach) / self._fps)
        card = None
        if self._spec.chroma == "420":
            card = nvenc.open_nvenc(width, height, self._fps, self._ceiling, buffer)
        self._by_card = card is not None
        return card or self._open_x264(width, height, buffer)

    @property
    def _name(self) -> str:
        return nvenc.LIBRARY if self._by_card else "libx264"

    def _open_x264(self, width: int, height: int, buffer: int) -> VideoCodecContext:
        context = av.CodecContext.create("libx264", "w")
        variant = self._variant
        context.width, context.height, context.pix_fmt = width, height, variant.pixels
        context.framerate = Fraction(self._fps).limit_denominator(1001)
        context.time_base = 1 / context.framerate
        context.bit_rate = self._ceiling
        threads = threads_for(width, height, os.cpu_count() or 1) if self._threads is None else self._threads
        preset = preset_for(width * height * self._fps * variant.effort, threads, self._opened_for)
        context.thread_count = threads
        context.color_range = variant.range
        context.colorspace = context.color_primaries = context.color_trc = SMPTE170M
        context.options = {
            "preset": preset,
            "tune": "zerolatency",
            "profile": variant.profile,
            # Opened at the ceiling and with a buffer: only so does x264 follow a live bit_rate, and never
            # above where it was opened.
            "maxrate": str(self._ceiling),
            "bufsize": str(buffer),
            "forced-idr": "1",
            # The hexagonal search saves ultrafast a twentieth of its bits, and takes no time worth naming.
            "x264-params": f"keyint=infinite:scenecut=0:repeat-headers=1:me=hex:{variant.coding}",
        }
        try:
            context.open()
        except (av.error.FFmpegError, ValueError) as error:
            raise EncoderError(f"libx264 cannot be opened for {width}x{height}: {error}") from error
        return context

    def close(self) -> None:
        self._context = None


def threads_for(width: int, height: int, cores: int) -> int:
    """Threads for a picture: each encodes a slice, and slices cost bits, so none of less than 230k pixels.

    Half the cores: the picture has to be sent, received, decoded and painted too, and that may be done on this machine.
    But all of them for a large one, which is on its way for long (8 ms instead of 10 of 1080p on two cores, and a
    millisecond of 720p, with no frame fewer).
    """
    share = cores if width * height >= LARGE else cores // 2
    return max(1, min(share, MOST_THREADS, width * height // 230_000))


def preset_for(pixels_per_second: float, threads: int, bits_per_second: float) -> str:
    """The better preset where bits are scarce and a core has time for it.

    Where they are not, it shows nothing (42.7 and 42.8 dB of a field, 34.3 and 34.1 of a plot) and takes a third longer
    here, and longer in the browser, whose decoder has its deblocking filter to apply.
    """
    scarce = bits_per_second < SCARCE * pixels_per_second
    return "superfast" if scarce and pixels_per_second / threads <= SUPERFAST_PIXELS else "ultrafast"


LARGE: Final = 900_000
"""Pixels of a picture that all cores are for."""
MOST_THREADS: Final = 8
SUPERFAST_PIXELS: Final = 28_000_000
"""Pixels a second and core up to which superfast keeps up with room to spare."""
SCARCE: Final = 0.1
"""Bits a pixel; 2.8 Mbit/s for 720p at 30 frames a second."""
