"""What other libraries hand over: what docs/publish.md says is shown, and all else that a user may bring."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
import warnings
from typing import Any

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framewire.arraylikes import exif_orientation, quarter_turns, sample_of, to_array
from framewire.arrays import as_pixels
from framewire.errors import PublishError
from framewire.frame_checks import why_not
from tests.fake_arrays import ArrayLike, Dlpack, Quantity, Tensor, Turned
from tests.publish_cases import REFUSED, TAKEN, Refused, Taken, full, is_picture, named

CASES = list(itertools.chain(*TAKEN.values()))


@pytest.mark.parametrize("case", CASES, ids=named)
def test_it_is_shown_as_the_page_says(case: Taken) -> None:
    said: list[str] = []
    frame = case.make()
    with np.errstate(all="raise"), warnings.catch_warnings():
        warnings.simplefilter("error")
        pixels = as_pixels(frame, "rgb", said.append)
    assert is_picture(pixels) and said == []
    assert pixels[0, 0].tolist() == case.pixel


@pytest.mark.parametrize("case", REFUSED, ids=named)
def test_what_is_not_an_array_is_refused_as_the_page_says(case: Refused) -> None:
    try:
        array = to_array(case.make(), why_not)
    except PublishError as error:
        assert str(error) == f"cannot publish {case.says}"
    else:
        assert type(array) is np.ndarray and why_not(array.shape, array.dtype), "an array, but not of a picture"
        assert re.match(r"an? .*shape \(", case.says), "and the page speaks of its shape"


class Failing:
    """Its library raises an error of so many characters."""

    def __init__(self, length: int) -> None:
        self._length = length

    def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
        raise ValueError("e" * self._length)


@pytest.mark.parametrize("length, kept", [(1, 1), (120, 120), (121, 120)])
def test_so_much_of_another_librarys_error_is_repeated(length: int, kept: int) -> None:
    with pytest.raises(PublishError, match=rf"^cannot publish Failing: e{{{kept}}};"):
        to_array(Failing(length), why_not)


def test_floats_of_a_gpu_are_rounded_and_clipped_there_and_others_are_not_touched() -> None:
    values = np.array([[-1.0, 0.0, 0.1, 0.5, 1.0, 1.5, np.nan]], np.float32)
    assert to_array(Tensor(values), why_not).tolist() == [[0, 0, 26, 128, 255, 255, 0]]
    host = to_array(Tensor(values, device="cpu"), why_not)
    assert host.dtype == np.float32 and np.array_equal(host, values, equal_nan=True)


def test_a_pair_is_of_opencv_if_it_begins_with_a_truth_value() -> None:
    picture = full(7, "u1", 2, 3)
    pairs: list[tuple[Any, ...]] = [(True, picture), (np.True_, None)]
    others: list[tuple[Any, ...]] = [(picture, True), (True, picture, picture), (1, picture)]
    for frame in pairs + others:
        with pytest.raises(PublishError) as caught:
            to_array(frame, why_not)
        assert ("publish the second" in str(caught.value)) == any(frame is pair for pair in pairs)


def test_an_exif_orientation_is_of_images_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    image = pytest.importorskip("PIL.Image").new("L", (2, 2))
    assert exif_orientation(image) == exif_orientation(full(7, "u1", 2, 3)) == exif_orientation(None) == 1
    for orientation in (2, 8):
        image.getexif()[0x0112] = orientation
        assert exif_orientation(image) == orientation
    monkeypatch.setattr(type(image), "getexif", lambda _: 1 / 0)
    assert exif_orientation(image) == 1, "broken data turn nothing"


@pytest.mark.parametrize("rotation, turns", [(None, 0), (0, 0), (90, 1), (-90, 3), (180, 2), (-89.9, 3), (360, 0)])
def test_video_frames_are_turned_by_quarters(
    rotation: float | None, turns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Turned, "rotation", rotation)
    assert quarter_turns(Turned(full(7, "u1", 2, 3, 3))) == turns
    assert quarter_turns(full(7, "u1", 2, 3)) == 0


@pytest.mark.parametrize("side, taken", [(1, 1), (64, 64), (65, 33), (128, 64), (1000, 63)])
def test_a_sample_is_from_all_over_the_picture(side: int, taken: int) -> None:
    column = np.arange(side, dtype=np.uint16)[:, None]
    for data in (column, column.T):
        sample = sample_of(data)
        assert max(sample.shape) == taken and min(sample.shape) == 1
        assert sample.min() == 0 and sample.max() >= side - -(-side // 64)


def test_a_sample_of_a_tensor_is_an_array_of_its_numbers() -> None:
    array = full(0.25, "f4", 2, 3)
    assert np.array_equal(sample_of(Tensor(array)), array) and type(sample_of(Tensor(array))) is np.ndarray
    assert sample_of(Tensor(full(7, "u1", 2, 3), dtype="torch.uint8")).dtype == np.uint8


def test_every_mode_of_pillow_is_among_the_cases() -> None:
    modes = set(pytest.importorskip("PIL.Image").MODES)
    listed = {word for case in CASES + REFUSED for word in case.what.split("`")[1:2]}
    assert modes - listed == set()


def test_what_the_error_says_of_lab_is_right() -> None:
    image, image_cms = pytest.importorskip("PIL.Image"), pytest.importorskip("PIL.ImageCms")
    lab = image.new("LAB", (2, 2), (255, 128, 128))
    with pytest.raises(PublishError) as caught:
        as_pixels(lab)
    written = str(caught.value).partition("profile: ")[2]
    assert as_pixels(eval(written, {"ImageCms": image_cms, "image": lab}))[0, 0].min() >= 250


def test_a_mask_of_the_wrong_shape_and_a_method_called_mask_are_no_masks() -> None:
    class Named(np.ndarray):
        mask: Any = np.array([True])

    frame = full(7, "u1").view(Named)
    assert as_pixels(frame)[0, 0, 0] == 7
    Named.mask = lambda self: None
    assert as_pixels(frame)[0, 0, 0] == 7


def test_a_masked_array_is_not_changed() -> None:
    frame = np.ma.array(full(7, "u1"), mask=True)
    as_pixels(frame)
    assert frame.data.min() == 7


def test_an_error_of_another_library_is_told_in_one_line_and_kept_as_the_cause() -> None:
    class Broken:
        def __array__(self, *_: object) -> Any:
            raise OSError("the disk\nis gone")

    with pytest.raises(PublishError, match="Broken: the disk is gone; publish takes") as caught:
        as_pixels(Broken())
    assert isinstance(caught.value.__cause__, OSError)


def test_an_error_without_words_is_told_by_its_name() -> None:
    class Broken:
        def __array__(self, *_: object) -> Any:
            raise MemoryError

    with pytest.raises(PublishError, match="Broken: MemoryError; "):
        as_pixels(Broken())


def test_what_dlpack_cannot_say_is_taken_by_the_array_protocol() -> None:
    class Both(Dlpack):
        def __dlpack__(self, **_: object) -> object:
            raise BufferError("bfloat16")

        def __array__(self, *_: object) -> np.ndarray:
            return self._array

    assert as_pixels(Both(full(7, "u1")))[0, 0, 0] == 7


def test_memory_on_a_device_without_a_copy_to_the_host_is_named() -> None:
    class Device(Dlpack):
        def __dlpack_device__(self) -> tuple[int, int]:
            return (2, 0)

    with pytest.raises(PublishError, match="Device: its memory is on a device"):
        as_pixels(Device(full(7, "u1")))


def test_nothing_depends_on_assertions() -> None:
    """Without them, as under ``python -O``, an odd array would reach the engine and end it."""
    program = (
        "import numpy as np, framewire.arrays as a; assert False; "
        "frame = np.ma.array(np.ones((2, 2)), mask=True).view(np.ma.MaskedArray); "
        "print(type(a.as_pixels(frame)).__name__, a.as_pixels(frame).dtype, a.as_pixels(frame).shape)"
    )
    run = subprocess.run([sys.executable, "-O", "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == "ndarray uint8 (2, 2, 1)\n"


def test_a_class_is_no_object_of_it() -> None:
    with pytest.raises(PublishError, match="ndarray is a class"):
        as_pixels(np.ndarray)


def test_bfloat16_of_jax_is_taken() -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    assert as_pixels(full(0.5, ml_dtypes.bfloat16))[0, 0, 0] == 128


# Whatever comes: pixels, or a `PublishError` of one line.

SHAPES = hnp.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=5)
DTYPES = st.one_of(
    hnp.boolean_dtypes(),
    hnp.integer_dtypes(endianness="?"),
    hnp.unsigned_integer_dtypes(endianness="?"),
    hnp.floating_dtypes(endianness="?"),
    hnp.complex_number_dtypes(),
    hnp.datetime64_dtypes(),
    hnp.timedelta64_dtypes(),
    hnp.byte_string_dtypes(),
    hnp.unicode_string_dtypes(),
    hnp.array_dtypes(),
    st.just(np.dtype(object)),
)


class Odder(np.ndarray):
    """Lies about its shape."""

    shape = property(lambda self: (1, 2, 3))


WRAPPERS = [
    lambda given: given,
    lambda given: np.ma.array(given, mask=np.ones(given.shape, bool)),
    lambda given: given.view(np.recarray),
    lambda given: given.view(Odder),
    lambda given: given.view(np.dtype((np.uint8, {"field": (np.uint8, 0)}))),
    lambda given: given.view("V3"),
    lambda given: given.view(Quantity) if given.ndim < 3 else given,
    lambda given: np.asmatrix(given) if given.ndim < 3 else given,
    lambda given: given[..., ::-1] if given.ndim else given,
    np.asfortranarray,
    lambda given: np.broadcast_to(given, (2, *given.shape)),
    lambda given: given.tolist(),
    ArrayLike,
    Dlpack,
    lambda given: Tensor(given, "cpu"),
    Tensor,
    lambda given: memoryview(given),
    lambda given: given.data if given.ndim else given,
    lambda given: iter(given) if given.ndim else given,
    lambda given: type(given),
]


def holds(frame: Any, form: str) -> None:
    said: list[str] = []
    try:
        pixels = as_pixels(frame, form, said.append)  # type: ignore[arg-type]
    except PublishError as error:
        assert "\n" not in str(error) and str(error).startswith("cannot publish ")
    else:
        assert is_picture(pixels) and pixels.size > 0
    assert all("\n" not in text for text in said) and len(said) <= 1


@settings(max_examples=500, deadline=None)
@given(st.data(), st.sampled_from(WRAPPERS), st.sampled_from(["rgb", "bgr", "gray"]))
@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
def test_any_array_is_pixels_or_one_line(data: st.DataObject, wrap: Any, form: str) -> None:
    dtype = data.draw(DTYPES)
    elements = st.integers(0, 9) if dtype.kind == "O" else None
    given = data.draw(hnp.arrays(dtype, SHAPES, elements=elements))
    try:
        frame = wrap(given)
    except (TypeError, ValueError, BufferError):
        return
    with np.errstate(all="raise"):
        holds(frame, form)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_pil_image_is_pixels_or_one_line(data: st.DataObject) -> None:
    images = pytest.importorskip("PIL.Image")
    mode = data.draw(st.sampled_from(images.MODES))
    image = images.new(mode, (data.draw(st.integers(0, 3)), data.draw(st.integers(0, 3))))
    clear = st.none() | st.integers(-1, 300) | st.binary(max_size=3) | st.tuples(*[st.integers(0, 255)] * 3)
    image.info["transparency"] = data.draw(clear)
    image.info["exif"] = data.draw(st.none() | st.binary(max_size=9))
    holds(image, "rgb")


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=3) | st.binary(max_size=3), st.lists))
def test_any_list_is_pixels_or_one_line(frame: Any) -> None:
    holds(frame, "rgb")
