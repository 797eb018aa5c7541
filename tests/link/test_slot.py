"""A ring within one process: frames of any size, and closing."""

from __future__ import annotations

import numpy as np
import pytest

from framewire.errors import ClosedError
from framewire.link.slot import LocalSlot


def picture(width: int, height: int, value: int) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


def test_frames_of_any_size_are_taken_and_leased_ones_hold_still():
    slot = LocalSlot()
    slot.write(picture(2, 2, 1), 1, 1)
    small = slot.latest()
    slot.write(picture(400, 500, 7), 2, 2)
    large = slot.latest()
    assert small and large
    assert large.frame.pixels.shape == (500, 400, 3) and (large.frame.pixels == 7).all()
    assert (small.frame.pixels == 1).all()
    small.release()
    large.release()


def test_a_frame_that_fits_needs_no_new_memory():
    slot = LocalSlot()
    slot.write(picture(64, 64, 1), 1, 1)
    ring = slot._ring
    slot.write(picture(8, 8, 2), 2, 2)
    assert slot._ring is ring
    slot.write(picture(640, 640, 3), 3, 3)
    assert slot._ring is not ring


def test_a_copy_of_the_newest_frame_is_given_unless_it_is_known():
    slot = LocalSlot()
    assert slot.newest() is None
    slot.write(picture(4, 4, 1), 1, 10)
    copy = slot.newest()
    slot.write(picture(400, 400, 2), 2, 20)
    assert copy and (copy.number, copy.time_us) == (1, 10) and (copy.pixels == 1).all()
    assert slot.newest(2) is None
    newest = slot.newest(1)
    assert newest and newest.number == 2


def test_a_closed_slot_gives_nothing_and_takes_nothing():
    slot = LocalSlot()
    slot.write(picture(2, 2, 1), 1, 1)
    lease = slot.latest()
    slot.close()
    slot.close()
    assert slot.latest() is None and lease and (lease.frame.pixels == 1).all()
    lease.release()
    with pytest.raises(ClosedError):
        slot.write(picture(2, 2, 1), 2, 2)
    with pytest.raises(ClosedError):
        slot.newest()
