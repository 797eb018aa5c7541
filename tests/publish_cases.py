"""What `publish` takes and refuses, case by case: tests run them, and docs/publish.md lists them.

`scripts/publish_page.py` writes the page. Must not know how a frame is converted.
"""

from __future__ import annotations

import array
import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from framewire.arraylikes import TAKES
from tests.fake_arrays import (
    ArrayInterface,
    ArrayLike,
    CuPy,
    Dask,
    Dlpack,
    Jax,
    Quantity,
    Sparse,
    SparseTensor,
    Tensor,
    Turned,
)


@dataclass(frozen=True)
class Taken:
    """A frame that is shown. ``what`` and ``becomes`` are the page's words, ``pixel`` is the first pixel as sent."""

    what: str
    make: Callable[[], Any]
    pixel: list[int]
    becomes: str


@dataclass(frozen=True)
class Odd:
    """A frame that is shown, with one warning."""

    what: str
    make: Callable[[], Any]
    advice: str


@dataclass(frozen=True)
class Refused:
    """A frame that is not shown, and all that the `PublishError` says of it."""

    what: str
    make: Callable[[], Any]
    says: str


def named(case: Taken | Odd | Refused) -> str:
    """The name of its test."""
    return case.what


def is_picture(pixels: np.ndarray) -> bool:
    """Whether the engine can take it as it is."""
    is_plain = type(pixels) is np.ndarray and pixels.dtype.str == "|u1"
    return is_plain and pixels.ndim == 3 and pixels.shape[2] in (1, 3, 4)


def full(value: Any, dtype: Any, *shape: int) -> np.ndarray:
    return np.full(shape or (2, 3), value, dtype)


def image(mode: str, color: Any, transparency: Any = None) -> Callable[[], Any]:
    """Makes a PIL image of one colour."""

    def make() -> Any:
        made = pytest.importorskip("PIL.Image").new(mode, (3, 2), color)
        if transparency is not None:
            made.info["transparency"] = transparency
        return made

    return make


def palette(transparency: Any = None) -> Callable[[], Any]:
    """Makes a PIL image whose only colour is in its palette."""

    def make() -> Any:
        made = image("P", 0, transparency)()
        made.putpalette([10, 20, 30])
        return made

    return make


def video(form: str, *pixel: int) -> Callable[[], Any]:
    """Makes an `av.VideoFrame`."""

    def make() -> Any:
        pixels = full(0, np.uint8, 16, 16, len(pixel)) + np.array(pixel, np.uint8)
        return pytest.importorskip("av").VideoFrame.from_ndarray(pixels[:, :, 0] if len(pixel) == 1 else pixels, form)

    return make


def turned_video() -> Any:
    return Turned(full(7, "u1", 2, 3, 3))


def figure() -> Any:
    return pytest.importorskip("matplotlib.figure").Figure(facecolor="red")


def animation() -> Any:
    return pytest.importorskip("matplotlib.animation").FuncAnimation(figure(), lambda number: [], frames=2)


def with_canvas(name: str) -> Callable[[], Any]:
    """Makes a Matplotlib canvas."""
    return lambda: getattr(pytest.importorskip(f"matplotlib.backends.backend_{name.lower()}"), f"FigureCanvas{name}")(
        figure()
    )


def turned() -> Any:
    made = image("RGB", 0)()
    made.getexif()[0x0112] = 6
    return made


def ctypes_array() -> Any:
    return (ctypes.c_ubyte * 3 * 3 * 2)()


RED = [255, 0, 0, 255]

TAKEN: dict[str, list[Taken]] = {
    "Arrays": [
        Taken("`uint8`, (H, W)", lambda: full(7, "u1"), [7], "gray, as it is"),
        Taken("`uint8`, (H, W, 1)", lambda: full(7, "u1", 2, 3, 1), [7], "gray, as it is"),
        Taken("`uint8`, (H, W, 3)", lambda: full(7, "u1", 2, 3, 3), [7, 7, 7], "RGB, as it is"),
        Taken("`uint8`, (H, W, 4)", lambda: full(7, "u1", 2, 3, 4), [7] * 4, "RGBA with straight alpha, as it is"),
        Taken("`uint16`", lambda: full(32_768, "u2"), [128], "its 8 bits: 65535 is 255"),
        Taken("`uint16`, big-endian", lambda: full(65_535, ">u2"), [255], "as `uint16`"),
        Taken("`bool`", lambda: full(True, "?"), [255], "0 or 255"),
        Taken("`float32`", lambda: full(0.5, "f4"), [128], "0.0 is 0, 1.0 is 255"),
        Taken("`float16`, `float64`, `longdouble`", lambda: full(0.5, "f2"), [128], "as `float32`"),
        Taken("`longdouble`, clipped", lambda: full(1.001, np.longdouble), [255], "as `float32`"),
        Taken("`float64`, big-endian", lambda: full(0.5, ">f8"), [128], "as `float32`"),
        Taken("floats above 1", lambda: full([1.0001, 0.2, 0.2], "f4"), [255], "clipped: 255"),
        Taken("floats below 0", lambda: full([-0.001, 0.2, 0.2], "f4"), [0], "clipped: 0"),
        Taken("NaN", lambda: full(np.nan, "f4"), [0], "0"),
        Taken("infinity", lambda: full([np.inf, 0.1, 0.1], "f4"), [255], "255, or 0 if it is negative"),
        Taken("views, of any strides", lambda: full(7, "u1", 4, 6, 3)[::-2, ::2].T.T, [7] * 3, "as their pixels are"),
        Taken("read-only arrays", lambda: np.broadcast_to(np.uint8(7), (2, 3)), [7], "as others"),
    ],
    "Subclasses of arrays, and what can be made one": [
        Taken(
            "masked arrays",
            lambda: np.ma.array(full(7, "u1"), mask=np.eye(2, 3) == 1),
            [0],
            "masked pixels are 0 in each channel",
        ),
        Taken("masked arrays of floats", lambda: np.ma.array(full(0.5, "f4"), mask=True), [0], "masked pixels are 0"),
        Taken("masked arrays without a mask", lambda: np.ma.array(full(0.5, "f4")), [128], "as their pixels are"),
        Taken("`np.matrix`", lambda: full(0.5, "f8").view(np.matrix), [128], "as the array it holds"),
        Taken("`np.recarray` of pixels", lambda: full(7, "u1").view(np.recarray), [7], "as the array it holds"),
        Taken("arrays with units, any subclass", lambda: full(7, "u1").view(Quantity), [7], "as the array it holds"),
        Taken("objects with `__array__` (pandas, xarray, dask)", lambda: ArrayLike(full(7, "u1")), [7], "as the array"),
        Taken(
            "`__array__` that gives a masked array",
            lambda: ArrayLike(np.ma.array(full(7, "u1"), mask=True)),
            [0],
            "as the masked array",
        ),
        Taken("objects with `__array_interface__`", lambda: ArrayInterface(full(7, "u1")), [7], "as the array"),
        Taken("objects with `__dlpack__`", lambda: Dlpack(full(7, "u1")), [7], "as the array"),
        Taken("torch tensors", lambda: Tensor(full(0.5, "f4"), "cpu"), [128], "as the array"),
        Taken("torch tensors on a GPU", lambda: Tensor(full(0.5, "f4")), [128], "bytes already there, then copied"),
        Taken("torch's `bfloat16`", lambda: Tensor(full(0.5, "f4"), "cpu", "torch.bfloat16"), [128], "as `float32`"),
        Taken("torch's `float8`", lambda: Tensor(full(0.5, "f4"), "cpu", "torch.float8_e5m2"), [128], "as `float32`"),
        Taken("JAX arrays", lambda: Jax(full(7, "u1")), [7], "as the array, copied from the GPU where it is there"),
        Taken("CuPy arrays", lambda: CuPy(full(7, "u1")), [7], "as the array, copied from the GPU"),
        Taken(
            "masked arrays of dask",
            lambda: Dask(np.ma.array(full(7, "u1"), mask=True)),
            [0],
            "computed, then as the masked array",
        ),
        Taken("lists of lists of floats", lambda: [[0.5, 1.0], [0.0, 1.0]], [128], "as the array"),
        Taken("`memoryview` with a shape", lambda: memoryview(bytes(12)).cast("B", (2, 2, 3)), [0] * 3, "as the array"),
        Taken("`ctypes` arrays with a shape", ctypes_array, [0] * 3, "as the array"),
    ],
    "PIL images": [
        Taken("`1`", image("1", 1), [255], "0 or 255"),
        Taken("`L`", image("L", 7), [7], "gray, as it is"),
        Taken("`RGB`", image("RGB", (1, 2, 3)), [1, 2, 3], "as it is"),
        Taken("`RGBA`", image("RGBA", (1, 2, 3, 4)), [1, 2, 3, 4], "as it is"),
        Taken("`I;16`", image("I;16", 32_768), [128], "as `uint16`"),
        Taken("`I;16L`", image("I;16L", 32_768), [128], "as `uint16`"),
        Taken("`I;16B`", image("I;16B", 32_768), [128], "as `uint16`"),
        Taken("`I;16N`", image("I;16N", 32_768), [128], "as `uint16`"),
        Taken("`F`", image("F", 0.5), [128], "as `float32`"),
        Taken("`P`", palette(), [10, 20, 30], "RGB"),
        Taken("`P` with a transparent colour", palette(0), [10, 20, 30, 0], "RGBA"),
        Taken("`P` with the alpha of each colour", palette(b"\x80"), [10, 20, 30, 128], "RGBA"),
        Taken("`PA`", image("PA", (0, 9)), [0, 0, 0, 9], "RGBA"),
        Taken("`LA`", image("LA", (7, 9)), [7, 7, 7, 9], "RGBA"),
        Taken("`La`", image("La", (7, 255)), [7, 7, 7, 255], "RGBA with straight alpha"),
        Taken("`RGBa`", image("RGBa", (50, 0, 0, 128)), [99, 0, 0, 128], "RGBA with straight alpha"),
        Taken("`RGBX`", image("RGBX", (1, 2, 3, 0)), [1, 2, 3], "RGB"),
        Taken("`L` with a transparent gray", image("L", 7, 7), [7, 7, 7, 0], "RGBA"),
        Taken("`RGB` with a transparent colour", image("RGB", (1, 2, 3), (1, 2, 3)), [1, 2, 3, 0], "RGBA"),
        Taken("`CMYK`", image("CMYK", (0, 255, 255, 0)), [255, 0, 0], "RGB by Pillow, without a profile"),
        Taken("`YCbCr`", image("YCbCr", (128, 128, 128)), [128, 128, 128], "RGB"),
        Taken("`HSV`", image("HSV", (0, 255, 255)), [255, 0, 0], "RGB"),
    ],
    "Video frames and figures": [
        Taken("`av.VideoFrame`", video("rgb24", 1, 2, 3), [1, 2, 3], "RGB"),
        Taken("`av.VideoFrame` with alpha", video("rgba", 1, 2, 3, 4), [1, 2, 3, 4], "RGBA"),
        Taken("`av.VideoFrame`, gray", video("gray", 7), [7, 7, 7], "RGB"),
        Taken("Matplotlib `Figure`", figure, RED, "drawn on this thread with Agg, whatever its canvas"),
        Taken(
            "Matplotlib `Axes`, and other parts of a figure", lambda: figure().add_subplot(), RED, "the whole figure"
        ),
        Taken("Matplotlib canvas", with_canvas("Agg"), RED, "drawn by its own `draw`, on this thread"),
        Taken("Matplotlib canvas for PDF or SVG", with_canvas("SVG"), RED, "its figure, drawn with Agg"),
        Taken("Matplotlib `FuncAnimation`", animation, RED, "its present picture; `fw.show` runs it"),
    ],
}

ODD: list[Odd] = [
    Odd(
        "floats from 0 to 255",
        lambda: np.linspace(0, 255, 6).reshape(2, 3),
        "floats are shown from 0 to 1 and clipped beyond, and those of this frame go from 0 to 255: write frame / 255 "
        "(or frame.clip(0, 1), if it is meant)",
    ),
    Odd(
        "floats from -1 to 1",
        lambda: np.linspace(-1, 1, 6).reshape(2, 3),
        "floats are shown from 0 to 1 and clipped beyond, and those of this frame go from -1 to 1: write "
        "(frame + 1) / 2 (or frame.clip(0, 1), if it is meant)",
    ),
    Odd(
        "measured values, such as kelvins",
        lambda: np.linspace(270, 300, 6).reshape(2, 3),
        "floats are shown from 0 to 1 and clipped beyond, and those of this frame go from 270 to 300: write "
        "frame / frame.max() (or frame.clip(0, 1), if it is meant)",
    ),
    Odd(
        "decibels",
        lambda: np.linspace(-80, 0, 6).reshape(2, 3),
        "floats are shown from 0 to 1 and clipped beyond, and those of this frame go from -80 to 0: write "
        "(frame - frame.min()) / (frame.max() - frame.min()) (or frame.clip(0, 1), if it is meant)",
    ),
    Odd(
        "floats from 0 to 255 on a GPU",
        lambda: Tensor(np.linspace(0, 255, 6, dtype=np.float32).reshape(2, 3)),
        "floats are shown from 0 to 1 and clipped beyond, and those of this frame go from 0 to 255: write frame / 255 "
        "(or frame.clip(0, 1), if it is meant)",
    ),
    Odd(
        "`uint16` of a camera with 12 bits",
        lambda: full(4095, "u2"),
        "the values of this uint16 frame go up to 4095 of 65535, which shows nearly black: write frame << 4 "
        "(or (frame >> 8).astype(np.uint8), if it is meant to be)",
    ),
    Odd(
        "`uint16` with values of 8 bits",
        lambda: full(255, "u2"),
        "the values of this uint16 frame go up to 255 of 65535, which shows nearly black: write frame.astype(np.uint8) "
        "(or (frame >> 8).astype(np.uint8), if it is meant to be)",
    ),
    Odd(
        "a PIL image that its EXIF data turn",
        turned,
        "the EXIF data of this image turn it (orientation 6), and publish shows pixels as they are stored: write "
        "ImageOps.exif_transpose(image)",
    ),
    Odd(
        "an `av.VideoFrame` that a phone held upright took",
        turned_video,
        "this video frame is to be turned by 270 degrees, and publish shows pixels as they are stored: write "
        'np.rot90(frame.to_ndarray(format="rgb24"), 3)',
    ),
]

LAST_AXIS = "the last axis must be 1 (gray), 3 (RGB) or 4 (RGBA)"
TO_UINT8 = "array.astype(np.uint8) if its values are 0 to 255, np.uint16 if they are 0 to 65535"

REFUSED: list[Refused] = [
    Refused(
        "integers but `uint8` and `uint16`",
        lambda: full(7, "i8"),
        f"an array of shape (2, 3) and dtype int64: {TO_UINT8}",
    ),
    Refused(
        "`int8`",
        lambda: full(7, "i1"),
        "an array of shape (2, 3) and dtype int8: array.astype(np.uint8) if its values are 0 to 255",
    ),
    Refused(
        "masked integers",
        lambda: np.ma.array(full(7, "i4")),
        f"a MaskedArray of shape (2, 3) and dtype int32: {TO_UINT8}",
    ),
    Refused(
        "lists of lists of integers",
        lambda: [[1, 2]],
        f"a list of shape (1, 2) and dtype int64: {TO_UINT8.replace('array', 'np.asarray(frame)')}",
    ),
    Refused(
        "integer tensors",
        lambda: Tensor(full(7, "i4"), "cpu", "torch.int32"),
        "a Tensor of shape (2, 3) and dtype int32: tensor.to(torch.uint8) if its values are 0 to 255, torch.uint16 if "
        "they are 0 to 65535",
    ),
    Refused(
        "complex numbers",
        lambda: full(7, "c8"),
        "an array of shape (2, 3) and dtype complex64: np.abs(array), scaled to [0, 1]",
    ),
    Refused(
        "times",
        lambda: np.zeros((2, 3), "M8[s]"),
        "an array of shape (2, 3) and dtype datetime64[s]: times have no colour: array.astype(np.float64), scaled to "
        "[0, 1]",
    ),
    Refused(
        "objects",
        lambda: full(7, object),
        "an array of shape (2, 3) and dtype object: array.astype(np.uint8) if it holds numbers, np.stack(array) if it "
        "holds arrays",
    ),
    Refused(
        "records",
        lambda: np.zeros((2, 3), [("r", "u1")]),
        "an array of shape (2, 3) and dtype [('r', 'u1')]: convert it first: "
        "np.lib.recfunctions.structured_to_unstructured(array)",
    ),
    Refused("text in arrays", lambda: full("a", "U1"), f"an array of shape (2, 3) and dtype <U1: {TAKES}"),
    Refused(
        "(3, H, W)",
        lambda: full(7, "u1", 3, 48, 64),
        "an array of shape (3, 48, 64) and dtype uint8: channels come last: array.transpose(1, 2, 0)",
    ),
    Refused(
        "(3, H, W), a tensor on a GPU",
        lambda: Tensor(full(0.5, "f4", 3, 48, 64)),
        "a Tensor of shape (3, 48, 64) and dtype float32: channels come last: tensor.permute(1, 2, 0)",
    ),
    Refused(
        "(H, W, 2), H being 3",
        lambda: full(7, "u1", 3, 640, 2),
        f"an array of shape (3, 640, 2) and dtype uint8: {LAST_AXIS}; choose of its 2, as array[:, :, 0]",
    ),
    Refused(
        "(H, W, 5), H being 4",
        lambda: full(7, "u1", 4, 640, 5),
        f"an array of shape (4, 640, 5) and dtype uint8: {LAST_AXIS}; choose of its 5, as array[:, :, 0]",
    ),
    Refused(
        "(T, H, W)",
        lambda: full(7, "u1", 9, 48, 64),
        f"an array of shape (9, 48, 64) and dtype uint8: {LAST_AXIS}; publish the gray pictures of a stack one by one, "
        "as array[0]",
    ),
    Refused(
        "(T, H, W, 3)",
        lambda: full(7, "u1", 9, 4, 6, 3),
        "an array of shape (9, 4, 6, 3) and dtype uint8: publish the batch frame by frame, as array[0]",
    ),
    Refused(
        "(1, H, W, 3)",
        lambda: full(7, "u1", 1, 4, 6, 3),
        "an array of shape (1, 4, 6, 3) and dtype uint8: publish its one picture: array[0]",
    ),
    Refused(
        "one axis",
        lambda: array.array("B", [1, 2, 3]),
        "an array of shape (3,) and dtype uint8: give it its shape: np.asarray(frame).reshape(height, width, channels)",
    ),
    Refused(
        "five axes", lambda: full(7, "u1", 1, 1, 2, 3, 3), f"an array of shape (1, 1, 2, 3, 3) and dtype uint8: {TAKES}"
    ),
    Refused(
        "no pixels",
        lambda: full(7, "u1", 0, 3),
        "an array of shape (0, 3) and dtype uint8: an empty array shows nothing",
    ),
    Refused(
        "a side of more than 16384",
        lambda: full(7, "u1", 1, 16_385),
        "an array of shape (1, 16385) and dtype uint8: at most 16384 pixels a side",
    ),
    Refused(
        "PIL's `I`",
        image("I", 7),
        f"an Image of mode 'I', shape (2, 3) and dtype int32: {TO_UINT8.replace('array', 'np.asarray(frame)')}",
    ),
    Refused(
        "PIL's `LAB`",
        image("LAB", (1, 2, 3)),
        "a PIL image of mode 'LAB', whose colours need a profile: ImageCms.profileToProfile(image, "
        'ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), outputMode="RGB")',
    ),
    Refused("numbers", lambda: 0.5, f"a float of shape () and dtype float64: {TAKES}"),
    Refused("`None`", lambda: None, f"None: not an array (cv2.imread returns None where it finds no image); {TAKES}"),
    Refused(
        "text, paths", lambda: "picture.png", f"str: text is not a picture; for a file, PIL.Image.open(path); {TAKES}"
    ),
    Refused(
        "bytes",
        lambda: b"\xff\xd8",
        "bytes: bytes have no shape: np.frombuffer(data, np.uint8).reshape(height, width, 3); for an encoded image, "
        "PIL.Image.open(io.BytesIO(data))",
    ),
    Refused(
        "OpenCV's `capture.read()`",
        lambda: (True, full(7, "u1")),
        "tuple: OpenCV's read() returns whether it succeeded, and the frame: publish the second",
    ),
    Refused(
        "(3, H, W), an array of CuPy",
        lambda: CuPy(full(7, "u1", 3, 48, 64)),
        "a CuPy of shape (3, 48, 64) and dtype uint8: channels come last: frame.transpose(1, 2, 0)",
    ),
    Refused("sparse tensors", lambda: SparseTensor(full(7, "u1")), "a sparse Tensor: tensor.to_dense()"),
    Refused("sparse matrices", Sparse, "Sparse: not an array, but it has one: frame.toarray()"),
    Refused("ragged lists", lambda: [[1, 2], [3]], f"list: its rows differ in shape; {TAKES}"),
    Refused("other objects", dict, f"dict: not an array; {TAKES}"),
]
