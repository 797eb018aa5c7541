"""What `publish` takes and refuses."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from framewire.arrays import as_pixels
from framewire.errors import PublishError
from tests.fake_arrays import CuPy, Dlpack, Jax, Tensor


def test_uint8_is_taken_as_it_is_without_a_copy() -> None:
    image = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    assert as_pixels(image) is image


@pytest.mark.parametrize("shape, channels", [((4, 5), 1), ((4, 5, 1), 1), ((4, 5, 3), 3), ((4, 5, 4), 4)])
def test_shapes(shape: tuple[int, ...], channels: int) -> None:
    assert as_pixels(np.zeros(shape, np.uint8)).shape == (4, 5, channels)


def test_float_is_clipped_scaled_and_rounded_and_nan_is_black() -> None:
    row = np.array([[-1.0, 0.0, 0.5, 1.0, 9.0, np.nan, np.inf]])
    assert as_pixels(row)[0, :, 0].tolist() == [0, 0, 128, 255, 255, 0, 255]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_every_level_survives_float(dtype: type) -> None:
    levels = np.arange(256, dtype=np.float64).reshape(1, 256) / 255
    assert as_pixels(levels.astype(dtype))[0, :, 0].tolist() == list(range(256))


def test_uint16_is_scaled_with_rounding_over_its_whole_range() -> None:
    values = np.arange(65_536, dtype=np.uint16).reshape(256, 256)
    expected = np.rint(values.astype(np.float64) * 255 / 65_535).astype(np.uint8)
    assert np.array_equal(as_pixels(values)[:, :, 0], expected)


def test_bool_is_black_and_white() -> None:
    assert as_pixels(np.array([[True, False]]))[0, :, 0].tolist() == [255, 0]


def test_views_and_big_endian_arrays_keep_their_pixels() -> None:
    image = np.random.default_rng(1).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    assert np.array_equal(as_pixels(image[::-2, ::3]), image[::-2, ::3])
    assert as_pixels(np.array([[65_535]], dtype=">u2"))[0, 0, 0] == 255


def test_bgr_is_converted_where_it_is_named() -> None:
    pixel = np.array([[[1, 2, 3]]], np.uint8)
    assert as_pixels(pixel, "bgr")[0, 0].tolist() == [3, 2, 1]
    with_alpha = np.array([[[1, 2, 3, 4]]], np.uint8)
    assert as_pixels(with_alpha, "bgr")[0, 0].tolist() == [3, 2, 1, 4]


@pytest.mark.parametrize("shape", [(2, 2), (2, 2, 1)])
def test_gray_has_no_order_of_channels(shape: tuple[int, ...]) -> None:
    with pytest.raises(PublishError, match="3 or 4 channels"):
        as_pixels(np.zeros(shape, np.uint8), "bgr")


@pytest.mark.parametrize("shape", [(16_384, 1), (1, 16_384, 3)])
def test_the_longest_side_is_taken(shape: tuple[int, ...]) -> None:
    assert as_pixels(np.zeros(shape, np.uint8)).shape[:2] == shape[:2]


def test_pil_images_palettes_included() -> None:
    image_module = pytest.importorskip("PIL.Image")
    image = image_module.new("RGB", (3, 2), (10, 20, 30))
    assert as_pixels(image)[1, 2].tolist() == [10, 20, 30]
    assert as_pixels(image.convert("P")).shape == (2, 3, 3)
    assert as_pixels(image.convert("L")).shape == (2, 3, 1)


def test_video_frames() -> None:
    av = pytest.importorskip("av")
    image = np.full((16, 16, 3), 200, np.uint8)
    assert np.array_equal(as_pixels(av.VideoFrame.from_ndarray(image, format="rgb24")), image)


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted in /proc")
def test_a_video_frame_leaves_no_threads_that_a_forked_process_would_wait_for() -> None:
    av = pytest.importorskip("av")
    frame = av.VideoFrame.from_ndarray(np.zeros((1080, 1920, 3), np.uint8), format="rgb24")
    frame = frame.reformat(format="yuv420p", threads=1)
    before = os.listdir("/proc/self/task")
    as_pixels(frame)
    assert set(os.listdir("/proc/self/task")) <= set(before)


def test_dlpack() -> None:
    image = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    assert np.array_equal(as_pixels(Dlpack(image)), image)


FLOATS = np.array([[-1.0, 0.0, 0.25], [0.5, 1.0, np.nan], [np.inf, 0.998, 2.0]], np.float32)


def test_floats_on_a_gpu_are_copied_as_bytes() -> None:
    tensor = Tensor(FLOATS)
    assert np.array_equal(as_pixels(tensor), as_pixels(FLOATS))
    assert tensor.crossed == ["uint8"]


def test_an_array_on_a_gpu_is_refused_by_its_own_shape_before_it_is_copied() -> None:
    tensor = Tensor(np.zeros((3, 48, 64), np.float32))
    with pytest.raises(PublishError, match=r"\(3, 48, 64\) and dtype float32"):
        as_pixels(tensor)
    assert tensor.crossed == []


def test_bytes_on_a_gpu_are_copied_once() -> None:
    tensor = Tensor(np.arange(12, dtype=np.uint8).reshape(3, 4), dtype="torch.uint8")
    assert np.array_equal(as_pixels(tensor)[:, :, 0], tensor.array)
    assert tensor.crossed == ["uint8"]


def test_floats_in_host_memory_are_used_in_place() -> None:
    tensor = Tensor(FLOATS, "cpu")
    assert np.array_equal(as_pixels(tensor), as_pixels(FLOATS))
    assert tensor.crossed == ["float32"]


def test_floats_that_numpy_does_not_know_are_taken() -> None:
    assert np.array_equal(as_pixels(Tensor(FLOATS, "cpu", "torch.bfloat16")), as_pixels(FLOATS))


def test_an_array_on_a_gpu_is_copied_by_the_array_protocol() -> None:
    assert np.array_equal(as_pixels(Jax(np.full((2, 2, 3), 7, np.uint8))), np.full((2, 2, 3), 7, np.uint8))


def test_a_cupy_array_is_copied_by_get() -> None:
    assert np.array_equal(as_pixels(CuPy(np.full((2, 2, 3), 7, np.uint8))), np.full((2, 2, 3), 7, np.uint8))


@pytest.mark.parametrize("name", ["get", "cpu", "detach", "to_ndarray", "pict_type", "__cuda_array_interface__"])
def test_one_attribute_in_common_makes_no_array_of_another_library(name: str) -> None:
    class Other:
        def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
            return np.full((2, 2, 3), 7, np.uint8)

    setattr(Other, name, None)
    assert np.array_equal(as_pixels(Other()), np.full((2, 2, 3), 7, np.uint8))


class _Canvas:
    drawn = False

    def draw(self) -> None:
        self.drawn = True

    def buffer_rgba(self) -> memoryview:
        assert self.drawn, "the canvas is drawn before it is read"
        return np.full((2, 3, 4), 7, np.uint8).data


def test_a_matplotlib_canvas() -> None:
    assert as_pixels(_Canvas()).shape == (2, 3, 4)


@pytest.mark.parametrize(
    "bad, named",
    [
        (np.zeros((2, 2, 2), np.uint8), ["(2, 2, 2)", "uint8", "last axis"]),
        (np.zeros((3, 20, 20), np.uint8), ["(3, 20, 20)", "transpose(1, 2, 0)"]),
        (np.zeros((1, 20, 20), np.uint8), ["(1, 20, 20)", "transpose(1, 2, 0)"]),
        (np.zeros((4, 20, 20), np.uint8), ["(4, 20, 20)", "transpose(1, 2, 0)"]),
        (np.zeros((5, 20, 20), np.uint8), ["(5, 20, 20)", "the last axis must be"]),
        (np.zeros((5, 2, 2, 3), np.uint8), ["(5, 2, 2, 3)", "frame by frame"]),
        (np.zeros((2, 2), np.int64), ["int64", "astype(np.uint8)"]),
        (np.zeros((2, 2), np.complex64), ["complex64", "np.abs"]),
        (np.zeros((0, 4, 3), np.uint8), ["(0, 4, 3)", "empty"]),
        (np.zeros((1, 20_000), np.uint8), ["(1, 20000)", "16384"]),
        (np.array(3, np.uint8), ["()", "uint8", "(H, W)"]),
        ("picture.png", ["(H, W)"]),
        (None, ["None", "not an array"]),
        ([[1, 2], [3]], ["list", "(H, W)"]),
    ],
)
def test_a_refusal_is_one_line_that_names_the_array_and_what_would_work(bad: object, named: list[str]) -> None:
    with pytest.raises(PublishError) as caught:
        as_pixels(bad)
    text = str(caught.value)
    assert "\n" not in text
    for part in named:
        assert part in text


def test_advice_is_given_where_it_is_asked_for_and_needed() -> None:
    said: list[str] = []
    as_pixels(np.full((2, 2), 0.5), "rgb", said.append)
    assert said == []
    assert as_pixels(np.full((2, 2), 200.0), "rgb", said.append)[0, 0, 0] == 255
    assert len(said) == 1
    as_pixels(np.full((2, 2), 200.0))


def test_bytes_that_name_their_parts_are_plain_bytes() -> None:
    frame = np.full((2, 2), 7, np.dtype((np.uint8, {"part": (np.uint8, 0)})))
    pixels = as_pixels(frame)
    assert pixels.dtype.names is None and pixels[0, 0, 0] == 7


def test_unknown_formats_are_refused() -> None:
    with pytest.raises(PublishError, match="bgr"):
        as_pixels(np.zeros((2, 2, 3), np.uint8), "argb")  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_type_checker_takes_frames_and_refuses_text() -> None:
    root = Path(__file__).resolve().parent.parent
    pytest.importorskip("mypy")
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "tests/publish_types.py"], cwd=root, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout
    lines = (root / "tests" / "publish_types.py").read_text().splitlines()
    assert sum("type: ignore[arg-type]" in line for line in lines) == 8
