"""Pictures to try things with."""

from __future__ import annotations

import numpy as np
import pytest

from framewire.patterns import PATTERNS


@pytest.mark.parametrize("name", sorted(PATTERNS))
@pytest.mark.parametrize("size", [(1, 1), (641, 481), (320, 240)])
def test_every_pattern_is_rgb_of_the_asked_size(name: str, size: tuple[int, int]) -> None:
    width, height = size
    frame = PATTERNS[name](width, height)(12345)
    assert frame.shape == (height, width, 3) and frame.dtype == np.uint8 and frame.flags.c_contiguous


@pytest.mark.parametrize("name", sorted(PATTERNS))
def test_every_pattern_moves_and_the_same_number_is_the_same_picture(name: str) -> None:
    render = PATTERNS[name](160, 120)
    first = render(1).copy()
    assert not np.array_equal(first, render(7))
    assert np.array_equal(first, render(1))
