"""What a frame says of itself, and the clock that names its moment."""

from __future__ import annotations

import numpy as np
import pytest

from framewire.frame import CHANNELS, FORMAT_OF_CHANNELS, Frame, rtp_timestamp


@pytest.mark.parametrize("channels, name", [(1, "gray"), (3, "rgb"), (4, "rgba")])
def test_a_frame_knows_its_size_and_layout(channels: int, name: str) -> None:
    frame = Frame(np.zeros((5, 7, channels), np.uint8), 1, 2)
    assert (frame.width, frame.height, frame.format) == (7, 5, name)
    assert CHANNELS[frame.format] == channels and FORMAT_OF_CHANNELS[channels] == name


def test_a_moment_has_one_rtp_timestamp_at_90_khz_that_wraps() -> None:
    assert rtp_timestamp(0) == 0
    assert rtp_timestamp(1_000_000) == 90_000
    now = 1_900_000_000_000_000
    assert (rtp_timestamp(now + 1_000_000) - rtp_timestamp(now)) % (1 << 32) == 90_000
    wrap = -(-(1 << 32) * 100 // 9)
    assert rtp_timestamp(wrap - 12) > rtp_timestamp(wrap) == 0
    assert rtp_timestamp(now + 12) != rtp_timestamp(now), "twelve microseconds are a tick at least"
