"""What is said instead of a frame that cannot be shown, and of one that looks like a mistake.

The sentences themselves are cases of docs/publish.md.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from framewire import frame_checks
from framewire.arrays import as_pixels
from framewire.errors import PublishError
from framewire.frame import MAX_SIDE_PX
from framewire.frame_checks import why_not
from tests.fake_arrays import Tensor, Turned
from tests.publish_cases import ODD, REFUSED, Odd, Refused, full, is_picture, named

U8 = np.dtype(np.uint8)


def advice(frame: Any) -> list[str]:
    said: list[str] = []
    as_pixels(frame, "rgb", said.append)
    return said


@pytest.mark.parametrize("case", ODD, ids=named)
def test_what_looks_like_a_mistake_is_shown_and_said(case: Odd) -> None:
    said: list[str] = []
    assert is_picture(as_pixels(case.make(), "rgb", said.append))
    assert said == [case.advice]


@pytest.mark.parametrize("case", REFUSED, ids=named)
def test_a_refusal_says_all_that_the_page_says(case: Refused) -> None:
    with pytest.raises(PublishError) as caught:
        as_pixels(case.make())
    assert str(caught.value) == f"cannot publish {case.says}" and "\n" not in case.says


def test_a_picture_of_highlights_is_as_it_should_be() -> None:
    said: list[str] = []
    lit = np.full((64, 64), 0.3, np.float32)
    lit[:10] = 50.0
    as_pixels(lit, "rgb", said.append)
    as_pixels(np.zeros((64, 64), np.uint16), "rgb", said.append)
    as_pixels(Tensor(lit), "rgb", said.append)
    assert said == []


def test_thin_lines_of_255_on_black_are_noticed() -> None:
    said: list[str] = []
    plot = np.zeros((64, 64), np.float32)
    plot[:, ::16] = 255.0
    as_pixels(plot, "rgb", said.append)
    assert "frame / 255" in said[0]


@pytest.mark.parametrize(
    "shape, transposed",
    [
        ((3, 8, 8), True),
        ((1, 8, 8), True),
        ((4, 8, 8), True),
        ((3, 7, 8), False),
        ((3, 8, 7), False),
        ((2, 8, 8), False),
        ((5, 8, 8), False),
        ((3, 640, 2), False),
        ((3, 640, 5), False),
    ],
)
def test_only_a_picture_with_channels_first_is_to_be_transposed(shape: tuple[int, ...], transposed: bool) -> None:
    assert ("transpose" in (why_not(shape, U8) or "")) == transposed


def test_a_stack_of_gray_pictures_is_told_from_many_channels() -> None:
    assert "one by one" in (why_not((8, 8, 8), U8) or "")
    for shape in ((7, 8, 8), (8, 8, 7), (8, 7, 8)):
        assert f"its {shape[2]}" in (why_not(shape, U8) or "")


def test_a_height_that_looks_like_channels_is_a_height() -> None:
    for shape in ((3, 640, 4), (1, 640, 3), (4, 4, 4), (3, 640), (1, 3), (3, 640, 1)):
        assert why_not(shape, U8) is None


@pytest.mark.parametrize("shape", [(MAX_SIDE_PX + 1, 1), (1, MAX_SIDE_PX + 1), (MAX_SIDE_PX + 1, 1, 3)])
def test_a_side_has_an_end(shape: tuple[int, ...]) -> None:
    assert f"at most {MAX_SIDE_PX} pixels a side" in (why_not(shape, U8) or "")
    assert why_not((MAX_SIDE_PX, MAX_SIDE_PX), U8) is None


@pytest.mark.parametrize(
    "form, shape, taken",
    [
        ("rgb", (2, 2), True),
        ("bgr", (2, 2, 3), True),
        ("bgr", (2, 2, 4), True),
        ("bgr", (2, 2), False),
        ("bgr", (2, 2, 1), False),
        ("BGR", (2, 2, 3), False),
    ],
)
def test_the_order_of_channels_is_of_colours(form: str, shape: tuple[int, ...], taken: bool) -> None:
    assert (why_not(shape, U8, form) is None) == taken


def test_an_unknown_order_is_no_fault_of_the_frame() -> None:
    with pytest.raises(PublishError, match=r"format='gbr' is unknown: use \"rgb\""):
        as_pixels(full(7, "u1"), "gbr")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "most, written", [(255, "astype(np.uint8) "), (256, "<< 7"), (1023, "<< 6"), (1024, "<< 5"), (4095, "<< 4")]
)
def test_a_dark_uint16_is_shifted_to_its_full_range(most: int, written: str) -> None:
    (said,) = advice(full(most, "u2"))
    assert f"up to {most} of" in said and f"write frame{'.' if most == 255 else ' '}{written}" in said


@pytest.mark.parametrize("values", [[0], [4096], [65_535], [1, 65_535]])
def test_a_black_and_a_bright_uint16_are_as_they_should_be(values: list[int]) -> None:
    assert advice(np.array([values], np.uint16)) == []


def test_a_bright_pixel_between_the_samples_is_seen() -> None:
    frame = full(9, "u2", 640, 640)
    frame[1, 1] = 60_000
    assert advice(frame) == []


@pytest.mark.parametrize(
    "low, high, written",
    [
        (0, 256, "frame / 255"),
        (0, 257, "frame / frame.max()"),
        (-1.1, 1.1, "(frame + 1) / 2"),
        (-1.2, 1.1, "(frame - frame.min())"),
        (-1.1, 1.2, "(frame - frame.min())"),
    ],
)
def test_floats_are_scaled_by_what_they_look_like(low: float, high: float, written: str) -> None:
    (said,) = advice(np.linspace(low, high, 64).reshape(8, 8))
    assert f"go from {low:g} to {high:g}: write {written}" in said


@pytest.mark.parametrize("share, odd", [(15, False), (16, True), (64, True)])
@pytest.mark.parametrize("value", [1.02, -0.02])
def test_a_quarter_outside_is_odd(share: int, odd: bool, value: float) -> None:
    frame = np.full(64, 0.5)
    frame[:share] = value
    assert bool(advice(frame.reshape(8, 8))) == odd


@pytest.mark.parametrize("value", [1.01, -0.01, np.nan, np.inf, -np.inf, 0.0])
def test_rounding_and_what_is_no_number_are_not_odd(value: float) -> None:
    assert advice(np.full((8, 8), value)) == []


def test_black_pixels_are_not_counted() -> None:
    frame = np.zeros((10, 10))
    frame[0, 0] = 255.0
    assert advice(frame) != []
    frame = np.zeros((11, 11))
    frame[0, 0] = 255.0
    assert advice(frame) == [], "one pixel of a hundred, at least"


def test_numbers_that_are_no_numbers_are_not_measured() -> None:
    frame = np.linspace(0, 255, 64).reshape(8, 8)
    frame[0] = np.nan, np.inf, -np.inf, 0, 0, 0, 0, 0
    assert "from 0 to 255:" in advice(frame)[0]


@pytest.mark.parametrize("rotation, turns", [(0, 0), (None, 0), (90, 1), (180, 2), (-180, 2), (-90, 3), (-89.9, 3)])
def test_a_video_frame_is_turned_by_quarters(
    rotation: float | None, turns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Turned, "rotation", rotation)
    said = advice(Turned(full(7, "u1", 2, 3, 3)))
    assert [f", {turns})" in text for text in said] == ([True] if turns else [])


@pytest.mark.parametrize("orientation", [1, 2, 8])
def test_an_image_that_its_exif_data_turn_is_odd(orientation: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame_checks, "exif_orientation", lambda frame: orientation)
    said = advice(full(7, "u1", 2, 3, 3))
    assert [f"orientation {orientation}" in text for text in said] == ([] if orientation == 1 else [True])


@pytest.mark.parametrize("kind, name, taken", [("V", "bfloat16", True), ("V", "int4", False), ("c", "float16", False)])
def test_floats_that_numpy_does_not_know_are_known_by_their_name(kind: str, name: str, taken: bool) -> None:
    dtype: Any = SimpleNamespace(kind=kind, name=name, itemsize=2, names=None)
    assert (why_not((2, 2), dtype) is None) == taken


def test_numbers_beyond_float64_are_looked_at_where_errors_raise() -> None:
    with np.errstate(all="raise"):
        advice(np.full((8, 8), np.finfo(np.longdouble).max, np.longdouble))


def test_a_tensor_of_bytes_is_as_it_should_be() -> None:
    assert advice(Tensor(full(7, "u1"))) == []
    assert advice(Tensor(full(True, "?"), dtype="torch.bool")) == []


@pytest.mark.parametrize("name, says", [("Art", "an Art of"), ("Bee", "a Bee of"), ("ndarray", "an array of")])
def test_an_article_fits_its_noun(name: str, says: str) -> None:
    frame: Any = full(7, "i4").view(type(name, (np.ndarray,), {}))
    with pytest.raises(PublishError, match=f"cannot publish {says} shape"):
        as_pixels(frame)


@pytest.mark.parametrize("kind, wide", [("i1", False), ("i2", True), ("u4", True)])
def test_uint16_is_named_where_it_may_be_needed(kind: str, wide: bool) -> None:
    assert ("np.uint16" in (why_not((2, 2), np.dtype(kind)) or "")) == wide


def test_the_longest_side_is_that_of_video_codecs() -> None:
    assert MAX_SIDE_PX == 16_384


@pytest.mark.parametrize("values, odd", [([0, 1], True), ([0, 0], False)])
def test_one_step_above_black_is_nearly_black(values: list[int], odd: bool) -> None:
    assert bool(advice(np.array([values], np.uint16))) == odd


def test_floats_on_a_gpu_are_told_by_what_they_were_there() -> None:
    assert "go from 0 to 100:" in advice(Tensor(np.linspace(0, 100, 64, dtype=np.float32).reshape(8, 8)))[0]
