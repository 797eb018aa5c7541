"""What all of FFmpeg's encoders are set up with."""

from __future__ import annotations

from fractions import Fraction

import pytest

from framewire.codec.colour import LIMITED, SMPTE170M
from framewire.codec.ffmpeg import clamped_bitrate, new_context, open_context
from framewire.errors import EncoderError


@pytest.mark.parametrize(
    ("asked", "given"),
    [(0, 100_000), (99_999, 100_000), (100_001, 100_001), (4_999_999, 4_999_999), (10**9, 5_000_000)],
)
def test_a_bitrate_is_kept_within_its_limits(asked, given):
    assert clamped_bitrate(asked, 5_000_000) == given


@pytest.mark.parametrize(
    ("fps", "rate"), [(30, Fraction(30)), (30_000 / 1001, Fraction(30_000, 1001)), (0.5, Fraction(1, 2))]
)
def test_a_context_counts_frames(fps, rate):
    context = new_context("libx264", 64, 48, pixel_format="yuv420p", fps=fps, bits_per_second=1_000_000)
    assert (context.framerate, context.time_base) == (rate, 1 / rate)
    assert (context.width, context.height, context.pix_fmt, context.bit_rate) == (64, 48, "yuv420p", 1_000_000)


def test_colours_are_tagged_only_where_a_range_is_named():
    plain = new_context("libx264", 64, 48, pixel_format="yuv420p", fps=30, bits_per_second=1_000_000)
    tagged = new_context(
        "libx264", 64, 48, pixel_format="yuv420p", fps=30, bits_per_second=1_000_000, color_range=LIMITED
    )
    assert plain.color_range != LIMITED and plain.colorspace != SMPTE170M
    assert (tagged.color_range, tagged.colorspace) == (LIMITED, SMPTE170M)
    assert (tagged.color_primaries, tagged.color_trc) == (SMPTE170M, SMPTE170M)


def test_what_ffmpeg_refuses_is_named_with_its_size():
    context = new_context("libx264", 20_000, 16, pixel_format="yuv420p", fps=30, bits_per_second=1_000_000)
    with pytest.raises(EncoderError, match="libx264 cannot be opened for 20000x16"):
        open_context(context)


def test_a_context_that_was_refused_is_not_asked_for_anything():
    """In PyAV 19 asking for its name ends the process."""

    class Refused:
        width, height, name = 64, 48, "h264_nvenc"

        def open(self):
            del Refused.name, Refused.width, Refused.height
            raise ValueError("no card")

    with pytest.raises(EncoderError, match=r"^h264_nvenc cannot be opened for 64x48: no card$"):
        open_context(Refused())  # type: ignore[arg-type]
