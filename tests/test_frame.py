"""A frame's size and layout, and the RTP timestamp of its publish time."""

from __future__ import annotations

import numpy as np
import pytest

from framewire.frame import CHANNELS, FORMAT_OF_CHANNELS, AccessUnit, Frame, rtp_timestamp


@pytest.mark.parametrize("channels, name", [(1, "gray"), (3, "rgb"), (4, "rgba")])
def test_a_frame_knows_its_size_and_layout(channels: int, name: str) -> None:
    frame = Frame(np.zeros((5, 7, channels), np.uint8), 1, 2)
    assert (frame.width, frame.height, frame.format) == (7, 5, name)
    assert CHANNELS[frame.format] == channels and FORMAT_OF_CHANNELS[channels] == name


def test_the_rtp_timestamp_counts_at_90_khz_and_wraps() -> None:
    assert rtp_timestamp(0) == 0
    assert rtp_timestamp(1_000_000) == 90_000
    assert rtp_timestamp(30_000_000_000) == 2_700_000_000, "all 32 bits"
    now = 1_900_000_000_000_000
    assert (rtp_timestamp(now + 1_000_000) - rtp_timestamp(now)) % (1 << 32) == 90_000
    wrap = -(-(1 << 32) * 100 // 9)
    assert rtp_timestamp(wrap - 12) > rtp_timestamp(wrap) == 0
    assert rtp_timestamp(now + 12) != rtp_timestamp(now), "twelve microseconds are a tick at least"


def test_a_video_unit_is_a_keyframe_without_pixels_or_checksum_unless_it_says_so() -> None:
    unit = AccessUnit("vp8", b"data", 1, 2, 3, 4)
    assert (unit.keyframe, unit.pixel_format, unit.checksum, unit.size) == (True, None, 0, 0)
