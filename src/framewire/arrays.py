"""Frames to pixels: what `publish` takes, the error it raises for the rest, and its advice where a frame looks wrong.

Must not know displays, rings or encoders, nor which library a frame comes from.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable
from typing import Any, Final, Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from framewire.arraylikes import TAKES, exif_orientation, is_cupy, is_image, is_tensor, sample_of, to_array
from framewire.errors import PublishError
from framewire.frame import Pixels

Layout = Literal["rgb", "bgr"]

MAX_SIDE_PX: Final = 16_384
"""The longest side in pixels that `publish` takes. Video codecs have no more (H.264 level 6.2, VP8 14 bits)."""

_MIN_WIDTH_PX: Final = 8
"""The least width and height of an array for which "channels come last" is said. A smaller one may be anything."""

_UINT8: Final = np.dtype(np.uint8)

_LAST_AXIS: Final = "the last axis must be 1 (gray), 3 (RGB) or 4 (RGBA)"

_IN_TENSORS: Final = {
    "array.transpose(1, 2, 0)": "tensor.permute(1, 2, 0)",
    "array.astype(np.uint8)": "tensor.to(torch.uint8)",
    "np.abs(array)": "tensor.abs()",
    "np.uint16 if": "torch.uint16 if",
}
"""What torch calls it."""


class _Array(Protocol):
    def __array__(self, *args: Any, **kwargs: Any) -> Any: ...


class _ArrayInterface(Protocol):
    @property
    def __array_interface__(self) -> Any: ...


class _Dlpack(Protocol):
    def __dlpack__(self, *args: Any, **kwargs: Any) -> Any: ...


class _VideoFrame(Protocol):
    def to_ndarray(self, *args: Any, **kwargs: Any) -> Any: ...


class _AnyCanvas(Protocol):
    def print_figure(self, *args: Any, **kwargs: Any) -> Any: ...


class _AggCanvas(Protocol):
    def buffer_rgba(self) -> Any: ...


class _Figure(Protocol):
    def savefig(self, *args: Any, **kwargs: Any) -> Any: ...
    def add_subplot(self, *args: Any, **kwargs: Any) -> Any: ...


class _Axes(Protocol):
    def get_figure(self, *args: Any, **kwargs: Any) -> Any: ...


class _Animation(Protocol):
    def new_frame_seq(self) -> Any: ...


FrameLike: TypeAlias = (
    _Array
    | _ArrayInterface
    | _Dlpack
    | _VideoFrame
    | _AnyCanvas
    | _AggCanvas
    | _Figure
    | _Axes
    | _Animation
    | memoryview
    | ctypes.Array[Any]
    | list[Any]
    | tuple[Any, ...]
)
"""For type checkers: what `publish` may take. Text, numbers and None are not of it; a call looks at shape and dtype."""


def as_pixels(frame: Any, format: Layout = "rgb", advise: Callable[[str], None] | None = None) -> Pixels:
    """The frame as plain ``uint8`` pixels of shape (height, width, 1 | 3 | 4): a view where nothing must be converted.

    Takes what `Display.publish` takes. ``uint8`` is taken as it is. Floats are clipped to [0, 1] and scaled by 255; NaN
    becomes 0. ``uint16`` is scaled to 8 bits, and ``bool`` becomes 0 or 255. Masked pixels are 0. With ``format="bgr"``
    the first three channels are in OpenCV's order. ``advise`` is called where a frame looks like a mistake: it takes
    about 50 µs, so not for every frame.

    Raises `PublishError` (a ``ValueError``) that names the shape, the dtype and what would work.
    """
    data = frame if type(frame) is np.ndarray else to_array(frame, why_not)
    remedy = why_not(data.shape, data.dtype, format)
    if remedy:
        raise PublishError(f"cannot publish {_described(frame, data)}: {_in_words_of(frame, remedy)}")
    if advise:
        advice = _advice(frame, data)
        if advice:
            advise(advice)
    pixels = _to_uint8(data[:, :, None] if data.ndim == 2 else data)
    if format == "bgr":
        order = [2, 1, 0] if pixels.shape[2] == 3 else [2, 1, 0, 3]
        return np.ascontiguousarray(pixels[:, :, order])
    return pixels


# What is refused


def why_not(shape: tuple[int, ...], dtype: np.dtype[Any], format: str = "rgb") -> str | None:
    """What to write instead of such an array; None where it can be shown."""
    if not shape:
        return TAKES
    if dtype is not _UINT8 and not _is_pixel(dtype):
        return _remedy_of_dtype(dtype)
    if 0 in shape:
        return "an empty array shows nothing"
    if len(shape) not in (2, 3):
        return _remedy_of_dimensions(shape)
    if len(shape) == 3 and shape[2] not in (1, 3, 4):
        return _remedy_of_channels(*shape)
    if shape[0] > MAX_SIDE_PX or shape[1] > MAX_SIDE_PX:
        return f"at most {MAX_SIDE_PX} pixels a side"
    if format == "bgr":
        return None if len(shape) == 3 and shape[2] >= 3 else 'format="bgr" needs 3 or 4 channels'
    return None if format == "rgb" else f'format={format!r} is unknown: use "rgb" (the default) or "bgr"'


def _is_pixel(dtype: np.dtype[Any]) -> bool:
    kind = dtype.kind
    return (kind == "u" and dtype.itemsize <= 2) or kind in "fb" or _is_small_float(dtype)


def _is_small_float(dtype: np.dtype[Any]) -> bool:
    """bfloat16 and its like (of ml_dtypes, which JAX uses): for NumPy they are of no kind that it knows."""
    return dtype.kind == "V" and "float" in dtype.name


def _remedy_of_dtype(dtype: np.dtype[Any]) -> str:
    if dtype.names:
        return "convert it first: np.lib.recfunctions.structured_to_unstructured(array)"
    if dtype.kind in "iu":
        wide = ", np.uint16 if they are 0 to 65535" if dtype.itemsize > 1 else ""
        return f"array.astype(np.uint8) if its values are 0 to 255{wide}"
    if dtype.kind == "c":
        return "np.abs(array), scaled to [0, 1]"
    if dtype.kind in "mM":
        return "times have no colour: array.astype(np.float64), scaled to [0, 1]"
    if dtype.kind == "O":
        return "array.astype(np.uint8) if it holds numbers, np.stack(array) if it holds arrays"
    return TAKES


def _remedy_of_dimensions(shape: tuple[int, ...]) -> str:
    if len(shape) == 1:
        return "give it its shape: array.reshape(height, width, channels)"
    if len(shape) == 4:
        return "publish its one picture: array[0]" if shape[0] == 1 else "publish the batch frame by frame, as array[0]"
    return TAKES


def _remedy_of_channels(height: int, width: int, channels: int) -> str:
    is_picture = min(width, channels) >= _MIN_WIDTH_PX
    if is_picture and height in (1, 3, 4):
        return "channels come last: array.transpose(1, 2, 0)"
    if is_picture and height >= _MIN_WIDTH_PX:
        return f"{_LAST_AXIS}; publish the gray pictures of a stack one by one, as array[0]"
    return f"{_LAST_AXIS}; choose of its {channels}, as array[:, :, 0]"


def _described(frame: Any, data: npt.NDArray[Any]) -> str:
    name = type(frame).__name__.replace("ndarray", "array")
    article = "an" if name[:1] in "aeiouAEIOU" else "a"
    mode = f"mode {frame.mode!r}, " if is_image(frame) else ""
    return f"{article} {name} of {mode}shape {data.shape} and dtype {data.dtype}"


def _in_words_of(frame: object, remedy: str) -> str:
    """The remedy, as it is written for what was given."""
    if isinstance(frame, np.ndarray):
        return remedy
    if is_tensor(frame):
        for ours, theirs in _IN_TENSORS.items():
            remedy = remedy.replace(ours, theirs)
    name = "tensor" if is_tensor(frame) else "frame" if is_cupy(frame) else "np.asarray(frame)"
    return re.sub(r"\barray(?=[.\[)])", name, remedy)


# What looks like a mistake


def _advice(frame: object, data: npt.NDArray[Any]) -> str | None:
    """What to write instead of a frame that can be shown, but hardly as it is meant; None where nothing is odd."""
    orientation = exif_orientation(frame)
    if orientation > 1:
        return (
            f"the EXIF data of this image turn it (orientation {orientation}), and publish shows pixels as they are "
            "stored: write ImageOps.exif_transpose(image)"
        )
    if data.dtype.kind == "u" and data.dtype.itemsize == 2:
        return _advice_on_uint16(data)
    is_converted = data.dtype == _UINT8 and is_tensor(frame)  # a tensor's floats may be bytes by now
    sample = sample_of(frame if is_converted else data)
    if sample.dtype.kind in "ub" or not _is_outside(sample.astype(np.float64)):
        return None
    return _advice_on_floats((sample if is_converted else data).astype(np.float64))


_DARK: Final = 4095
"""A ``uint16`` frame without any value above this is nearly black: 15 of 255."""


def _advice_on_uint16(data: npt.NDArray[Any]) -> str | None:
    if sample_of(data).max() > _DARK or not 0 < (most := int(data.max())) <= _DARK:
        return None
    remedy = "frame.astype(np.uint8)" if most <= 255 else f"frame << {16 - most.bit_length()}"
    return (
        f"the values of this uint16 frame go up to {most} of 65535, which shows nearly black: write {remedy} "
        "(or (frame >> 8).astype(np.uint8), if it is meant to be)"
    )


_TOLERANCE: Final = 0.01
"""How far outside [0, 1] a float is still meant to be inside."""


def _is_outside(sample: npt.NDArray[np.float64]) -> bool:
    """Whether a quarter of the floats are outside [0, 1], black ones not counted. Highlights are fewer."""
    floats = sample[np.isfinite(sample)]
    outside = np.count_nonzero((floats < -_TOLERANCE) | (floats > 1 + _TOLERANCE))
    return bool(outside * 4 >= np.count_nonzero(floats) and outside * 100 >= sample.size)


def _advice_on_floats(values: npt.NDArray[np.float64]) -> str:
    floats = values[np.isfinite(values)]
    least, most = float(floats.min()), float(floats.max())
    if least >= 0:
        remedy = "frame / 255" if most <= 256 else "frame / frame.max()"
    else:
        remedy = (
            "(frame + 1) / 2"
            if -1.1 <= least and most <= 1.1
            else "(frame - frame.min()) / (frame.max() - frame.min())"
        )
    return (
        f"floats are shown from 0 to 1 and clipped beyond, and those of this frame go from {least:.4g} to {most:.4g}: "
        f"write {remedy} (or frame.clip(0, 1), if it is meant)"
    )


# Conversion


def _to_uint8(data: npt.NDArray[Any]) -> Pixels:
    if data.dtype is _UINT8:
        return data
    if data.dtype == _UINT8:  # another object of that type, which may even name its parts
        return data.view(_UINT8)
    if data.dtype.kind == "b":
        return data.astype(np.uint8) * np.uint8(255)
    if data.dtype.kind == "u":
        # v * 255 / 65535, rounded exactly and without floats.
        wide = data.astype(np.uint32)
        wide *= np.uint32(255)
        wide += np.uint32(32_895)
        wide >>= np.uint32(16)
        return wide.astype(np.uint8)
    with np.errstate(all="ignore"):  # whatever the program has set: to clip is what is meant here
        if data.dtype.kind == "V":
            data = data.astype(np.float32)
        # Of NaN and a number, fmax takes the number.
        scaled: npt.NDArray[np.float32] = np.fmax(data, np.float32(0.0), dtype=np.float32, casting="same_kind")
        np.fmin(scaled, np.float32(1.0), out=scaled)
        scaled *= np.float32(255.0)
        scaled += np.float32(0.5)
        return scaled.astype(np.uint8)
