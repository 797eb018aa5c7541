"""Which tiles changed, their pixels, and every malformed body refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framewire.codec.tiles import SIDE_PX, Tiles, apply, bitmap_size, grid
from framewire.errors import RemoteProtocolError
from framewire.frame import Frame, Pixels

SHAPES = st.tuples(st.integers(1, 70), st.integers(1, 70), st.sampled_from([1, 3, 4]))


def picture(shape: tuple[int, ...], seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


@given(SHAPES, st.lists(st.lists(st.integers(0, 2**32), max_size=5), min_size=1, max_size=6), st.integers(0, 5))
@settings(deadline=None, max_examples=80)
def test_one_delta_leads_from_any_earlier_picture_to_the_newest(
    shape: tuple[int, ...], changes: list[list[int]], place: int
) -> None:
    tiles, pictures = Tiles(), [picture(shape)]
    turns = [tiles.update(Frame(pictures[0], 0, 0))]
    for number, places in enumerate(changes, 1):
        pixels = pictures[-1].copy()
        for each in places:
            pixels.reshape(-1)[each % pixels.size] ^= 1
        pictures.append(pixels)
        turns.append(tiles.update(Frame(pixels, number, 0)))
    old = place % len(pictures)
    body = tiles.body(tiles.changed(turns[old]))
    before = pictures[old].copy()
    np.testing.assert_array_equal(apply(pictures[old], body.tobytes()), pictures[-1])
    np.testing.assert_array_equal(pictures[old], before, "the base is not written")


def test_only_a_changed_tile_is_sent_and_at_the_bottom_only_its_rows_in_the_picture():
    tiles, shape = Tiles(), (SIDE_PX + 4, 2 * SIDE_PX + 5, 3)
    pixels = picture(shape)
    turn = tiles.update(Frame(pixels, 0, 0))
    pixels = pixels.copy()
    pixels[SIDE_PX + 1, -1] ^= 0xFF
    tiles.update(Frame(pixels, 1, 0))
    mask = tiles.changed(turn)
    assert mask.tolist() == [[False, False, False], [False, False, True]]
    assert tiles.body(mask).size == bitmap_size(6) + 4 * SIDE_PX * 3


def test_a_tile_that_changed_back_is_sent_to_viewers_of_both_pictures():
    tiles, pixels = Tiles(), picture((SIDE_PX, SIDE_PX, 3))
    first = tiles.update(Frame(pixels, 0, 0))
    second = tiles.update(Frame(255 - pixels, 1, 0))
    third = tiles.update(Frame(pixels, 2, 0))
    assert [tiles.changed(turn).any() for turn in (first, second, third)] == [True, True, False]


def test_no_delta_builds_on_a_picture_of_another_shape():
    tiles = Tiles()
    old = tiles.update(Frame(picture((8, 9, 3)), 0, 0))
    for number, shape in enumerate([(9, 8, 3), (9, 8, 1), (9, 8, 4)], 1):
        turn = tiles.update(Frame(picture(shape), number, 0))
        assert tiles.since == turn and not tiles.changed(turn).any()
    with pytest.raises(AssertionError):
        tiles.changed(old)


def test_the_pixels_of_the_frame_are_copied():
    tiles, pixels = Tiles(), picture((20, 20, 3))
    tiles.update(Frame(pixels, 0, 0))
    body = tiles.body(np.ones(grid(20, 20), np.bool_)).tobytes()
    kept = pixels.copy()
    pixels[:] = 0
    np.testing.assert_array_equal(apply(np.zeros_like(kept), body), kept)


@given(SHAPES, st.binary(max_size=300))
@settings(deadline=None, max_examples=100)
def test_arbitrary_bytes_are_a_body_or_refused(shape: tuple[int, int, int], body: bytes) -> None:
    try:
        assert apply(picture(shape), body).shape == shape
    except RemoteProtocolError:
        pass


def test_turns_count_the_pictures_and_before_the_first_there_is_none_to_build_on():
    tiles = Tiles()
    assert tiles.since > tiles.turn
    assert [tiles.update(Frame(picture((8, 8, 3), seed), seed, 0)) for seed in range(3)] == [1, 2, 3]
    assert tiles.since == 1


@pytest.mark.parametrize(("tiles", "size"), [(1, 8), (64, 8), (65, 16), (128, 16), (129, 24), (8160, 1024)])
def test_a_bitmap_is_filled_up_to_words_of_8_bytes(tiles, size):
    assert bitmap_size(tiles) == size


@pytest.mark.parametrize("difference", [-1, 1])
def test_a_body_with_a_byte_too_few_or_too_many_is_refused(difference):
    pixels = picture((20, 20, 3))
    tiles = Tiles()
    tiles.update(Frame(pixels, 0, 0))
    body = tiles.body(np.ones(grid(20, 20), np.bool_)).tobytes() + b"x"
    with pytest.raises(RemoteProtocolError, match=f"{20 * 2 * 16 * 3 + difference} bytes for 40 spans"):
        apply(pixels, body[: len(body) - 1 + difference])
