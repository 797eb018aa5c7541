"""Frames to pixels: what `publish` takes, from any library.

Must not know displays, rings or encoders, nor what is said of the frames that it cannot take.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any, Final, Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from framewire.arraylikes import to_array
from framewire.errors import PublishError
from framewire.frame import Pixels
from framewire.frame_checks import advice_on, described, in_words_of, why_not

Layout = Literal["rgb", "bgr"]

_UINT8: Final = np.dtype(np.uint8)


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
"""For type checkers: what `publish` may take. It excludes text, numbers and None; a call checks shape and dtype."""


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
        raise PublishError(f"cannot publish {described(frame, data)}: {in_words_of(frame, remedy)}")
    if advise:
        advice = advice_on(frame, data)
        if advice:
            advise(advice)
    pixels = _to_uint8(data[:, :, None] if data.ndim == 2 else data)
    if format == "bgr":
        order = [2, 1, 0] if pixels.shape[2] == 3 else [2, 1, 0, 3]
        return np.ascontiguousarray(pixels[:, :, order])
    return pixels


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
    with np.errstate(all="ignore"):  # though a program may ask NumPy to raise: values are clipped on purpose
        if data.dtype.kind == "V":
            data = data.astype(np.float32)
        # Of NaN and a number, fmax takes the number.
        scaled: npt.NDArray[np.float32] = np.fmax(data, np.float32(0.0), dtype=np.float32, casting="same_kind")
        np.fmin(scaled, np.float32(1.0), out=scaled)
        scaled *= np.float32(255.0)
        scaled += np.float32(0.5)
        return scaled.astype(np.uint8)
