"""Test patterns: right sizes, and pictures that stay what they were, so that benchmarks of different days compare."""

from __future__ import annotations

import numpy as np
import pytest

from framewire.frame import Pixels
from framewire.patterns import BACKGROUND, CURVES, PATTERNS, bouncing_box, plasma, plot, test_card

test_card.__test__ = False  # type: ignore[attr-defined]  # it is named like a test and is none

# Means of 4 x 6 blocks of frames of 120 x 88 pixels, row by row, as RGB.
THUMBNAILS = {
    ("bouncing_box", 10): "55423242352b161a21161a21161a21161a212f2926282423161920161920161920161920"
    "161920161920161920161920161920161920161920161920161920161920161920161920",
    ("bouncing_box", 97): "161a21161a21161a21161a21161a21161a21161920161920161920161920161920161920"
    "1619201619201619201619202f2623916941161920161920161920161920161920161920",
    ("plot", 10): "f3f4f4f4f5f4f3f4f4eef1f2e9ece3f4f5f4dedfdcd7dbd2e5e6e6d4dad9d1d5cde7e8e8"
    "d8dad1d8dddfe4eae6e0ded3d8d7d7d6dad7dee6e1f5f6f5f4f5f4f4f6f4edf1f1eceee9",
    ("plot", 97): "f3f4f4ecf0ecf2f1edf2f4f4f3f4f3f0f2efd5d7d3cfd6d0e0e3dcd7dfe1d9dbdad5dad6"
    "d1d7d0dbd7d2d6dedbece8e0d6d9d3e0dbd6f0f2efefefeae9eff1f5f6f5f4f5f4eff3f1",
    ("plasma", 10): "3f58d4ac329cbd7b4cbf6a5aa129ad5043d79038adca397ec13f7fb03894b62c99a7389b"
    "c3407dda6a44d26e47ce5b5bd9505ccf52623469cca035a3da634ad74f5f922eb54453d4",
    ("plasma", 97): "b623a1b4398fa0518a7b50a97d39bcd2575c5f45caca59609f58857550aeb128a19f31a8"
    "2e79c3b231987b4eab4573b56d2bd55e3bd4be348bd13b75c7407a8d2bbc9423bdc76a54",
    ("test_card", 10): "ebebcaa9eb5210eb88936893eb10472610d5ebebcaa9eb5210a77d973e82eb10472610d5"
    "53534e6470544856596e616eb9919ba8a4c88080808c8c8c808080999999808080666666",
    ("test_card", 97): "ebebcaa9eb5210eb88936893eb10472610d5ebebcaa9eb5212a87d7c367eeb10472610d5"
    "53534e647054635e5c6c606eb9919ba8a4c88080808c8c8c808080999999808080666666",
}


def thumbnail(frame: Pixels) -> Pixels:
    height, width, _ = frame.shape
    blocks = frame.reshape(4, height // 4, 6, width // 6, 3)
    means: Pixels = blocks.mean((1, 3)).round().astype(np.uint8)
    return means


@pytest.mark.parametrize("name, number", THUMBNAILS)
def test_a_pattern_keeps_its_pictures(name: str, number: int) -> None:
    ours = thumbnail(PATTERNS[name](120, 88)(number)).astype(int).reshape(-1)
    theirs = np.frombuffer(bytes.fromhex(THUMBNAILS[name, number]), np.uint8)
    # Other processors round sines a little differently.
    assert np.abs(ours - theirs).max() <= 1


@pytest.mark.parametrize("name", sorted(PATTERNS))
@pytest.mark.parametrize("size", [(1, 1), (641, 481), (320, 240)])
def test_every_pattern_is_rgb_of_the_asked_size(name: str, size: tuple[int, int]) -> None:
    width, height = size
    # 12 287 is the highest remainder of many powers of two.
    frame = PATTERNS[name](width, height)(12_287)
    assert frame.shape == (height, width, 3) and frame.dtype == np.uint8 and frame.flags.c_contiguous


@pytest.mark.parametrize("name", sorted(PATTERNS))
def test_every_pattern_moves_and_the_same_number_is_the_same_picture(name: str) -> None:
    render = PATTERNS[name](160, 120)
    first = render(1).copy()
    assert not np.array_equal(first, render(7))
    assert np.array_equal(first, render(1))


def box_of(frame: Pixels) -> tuple[int, int, int, int]:
    """Left, top, width and height of what is brighter than the grid."""
    rows, columns = np.nonzero(frame[:, :, 0] > 100)
    left, top = int(columns.min()), int(rows.min())
    return left, top, int(columns.max()) - left + 1, int(rows.max()) - top + 1


def test_the_box_runs_to_the_edges_and_back() -> None:
    render = bouncing_box(320, 240)
    boxes = [box_of(render(number)) for number in range(400)]
    assert {(width, height) for _, _, width, height in boxes} == {(48, 48)}
    # Two pixels a frame: 272 / 2 frames to the right edge, 192 / 2 to the bottom.
    assert [boxes[number][0] for number in (0, 1, 135, 136, 137, 272, 273)] == [0, 2, 270, 272, 270, 0, 2]
    assert [boxes[number][1] for number in (0, 1, 95, 96, 97, 192, 193)] == [0, 2, 190, 192, 190, 0, 2]


def test_the_box_has_a_rim_and_the_ground_a_grid() -> None:
    frame = bouncing_box(320, 240)(0)
    assert frame[0, 0].tolist() == frame[7, 24].tolist() == frame[24, 40].tolist() == [240, 120, 40]
    assert frame[8, 8].tolist() == frame[39, 39].tolist() == [255, 200, 120]
    assert frame[100, 101].tolist() == frame[101, 100].tolist() == [34, 39, 48]
    assert frame[101, 101].tolist() == list(BACKGROUND)


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (9, 9)])
def test_the_box_fits_into_the_smallest_picture(size: tuple[int, int]) -> None:
    frame = bouncing_box(*size)(5)
    assert (frame[:, :, 0] > 100).any()


def test_each_curve_crosses_every_column() -> None:
    frame = plot(320, 240)(17)
    for ink in CURVES:
        colour = [int(part * 0.8) for part in ink]
        columns = (frame == colour).all(axis=2).any(axis=0)
        # Later curves cover earlier ones where they cross.
        assert columns.mean() > 0.9
    assert (frame == CURVES[-1]).sum() == 0


def test_the_plot_has_a_grid_on_paper() -> None:
    frame = plot(320, 240)(0)
    ruled = (frame == (225, 228, 232)).all(axis=2)
    rows, columns = ruled.mean(axis=1) > 0.5, ruled.mean(axis=0) > 0.5
    assert np.flatnonzero(rows).tolist() == list(range(0, 240, 24))
    assert np.flatnonzero(columns).tolist() == list(range(0, 320, 24))
    assert ((frame == (250, 250, 248)).all(axis=2)).mean() > 0.5


def test_the_field_is_smooth_and_nearly_every_pixel_changes() -> None:
    render = plasma(320, 240)
    one, other = render(5).astype(int), render(6).astype(int)
    assert (one != other).any(axis=2).mean() > 0.8
    assert np.abs(np.diff(one, axis=0)).max() <= 16 and np.abs(np.diff(one, axis=1)).max() <= 16


def test_the_card_has_bars_a_ramp_and_lines() -> None:
    card = test_card(1120, 480)(0)
    assert card[0, 80::160].tolist() == [
        [235, 235, 235], [235, 235, 16], [16, 235, 235], [16, 235, 16], [235, 16, 235], [235, 16, 16], [16, 16, 235],
    ]  # fmt: skip
    bar, ramp, line = [235, 235, 235], [22, 22, 22], [0, 0, 0]
    assert card[[263, 264, 335, 336], 100].tolist() == [bar, ramp, ramp, line]
    gray = card[300, :, 0].astype(int)
    assert (gray[0], gray[-1]) == (0, 255)
    assert np.diff(gray[:200]).min() >= 0 and np.diff(gray[900:]).min() >= 0
    lines = card[-1, :, 0]
    for index, period in enumerate((2, 4, 8, 16)):
        span = lines[index * 280 : (index + 1) * 280]
        edges = np.flatnonzero(np.diff(span.astype(int)))
        assert set(span.tolist()) == {0, 255} and set(np.diff(edges).tolist()) == {period // 2}


@pytest.mark.parametrize(
    ("number", "rows", "columns"),
    [
        # Up, right, down, left and up again: 72 pixels from the centre, 5 pixels wide.
        (0, (168, 242), (240, 240)),
        (15, (238, 242), (240, 312)),
        (30, (238, 312), (240, 240)),
        (45, (238, 242), (168, 240)),
        (60, (168, 242), (240, 240)),
    ],
)
def test_the_hand_of_the_card_turns_once_in_sixty_frames(
    number: int, rows: tuple[int, int], columns: tuple[int, int]
) -> None:
    ys, xs = np.nonzero((test_card(480, 480)(number) == (255, 90, 60)).all(axis=2))
    assert np.abs(np.subtract((ys.min(), ys.max()), rows)).max() <= 3
    assert np.abs(np.subtract((xs.min(), xs.max()), columns)).max() <= 3


def test_the_hand_stands_on_a_disc() -> None:
    ys, xs = np.nonzero((test_card(480, 480)(0) == BACKGROUND).all(axis=2))
    assert (ys.min(), ys.max(), xs.min(), xs.max()) == (160, 320, 160, 320)
