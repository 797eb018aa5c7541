"""What only VP8 has: threads in powers of two, a speed by the load, and small keyframes."""

from __future__ import annotations

import pytest

from framewire.codec.vp8 import Vp8Encoder, partitions_for, speed_for
from framewire.codecs import CODECS
from tests.codec.scenes import moving


@pytest.mark.parametrize(
    ("size", "most", "threads"), [((64, 64), 8, 1), ((1280, 720), 3, 2), ((1920, 1080), 8, 8), ((4096, 2160), 64, 8)]
)
def test_threads_are_a_power_of_two_that_the_picture_is_worth(size, most, threads):
    assert partitions_for(size[0], size[1], most) == threads


def test_large_pictures_are_encoded_faster():
    assert speed_for(1920 * 1080 * 60, 2) < speed_for(640 * 480 * 30, 2) < 0


def test_a_keyframe_has_at_most_eight_times_a_frames_share():
    encoder = Vp8Encoder(CODECS["vp8"], fps=30, max_bitrate=1_500_000, threads=1)
    units = [encoder.encode(frame, keyframe=frame.number == 40) for frame in moving(60)]
    assert units[40].keyframe
    assert len(units[40].data) < 8 * 1_500_000 / 30 / 8


def test_the_frame_tag_agrees_with_the_units_keyframe_flag():
    # RFC 6386 §9.1: bit 0 of the frame tag is 0 in a keyframe.
    encoder = Vp8Encoder(CODECS["vp8"], fps=30, max_bitrate=1_000_000, threads=1)
    for frame in moving(4):
        unit = encoder.encode(frame, keyframe=frame.number == 2)
        assert unit.keyframe == (unit.data[0] & 1 == 0) == (frame.number in {0, 2})
