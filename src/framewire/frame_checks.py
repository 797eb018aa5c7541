"""What to write instead of a frame that cannot be shown, or that looks like a mistake.

Must not know how a frame is converted.
"""

from __future__ import annotations

import re
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from framewire.arraylikes import TAKES, exif_orientation, is_cupy, is_image, is_tensor, quarter_turns, sample_of
from framewire.frame import MAX_SIDE_PX

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
        return None if len(shape) == 3 and shape[2] != 1 else 'format="bgr" needs 3 or 4 channels'
    return None if format == "rgb" else f'format={format!r} is unknown: use "rgb" (the default) or "bgr"'


def _is_pixel(dtype: np.dtype[Any]) -> bool:
    kind = dtype.kind
    return (kind == "u" and dtype.itemsize in (1, 2)) or kind in "fb" or _is_small_float(dtype)


def _is_small_float(dtype: np.dtype[Any]) -> bool:
    """``bfloat16`` and other floats of ml_dtypes, which JAX uses: NumPy gives them the kind "V", as records have."""
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


def described(frame: Any, data: npt.NDArray[Any]) -> str:
    name = type(frame).__name__.replace("ndarray", "array")
    article = "an" if name[:1] in "aeiouAEIOU" else "a"
    mode = f"mode {frame.mode!r}, " if is_image(frame) else ""
    return f"{article} {name} of {mode}shape {data.shape} and dtype {data.dtype}"


def in_words_of(frame: object, remedy: str) -> str:
    """The remedy, in the words of the library of the frame."""
    if isinstance(frame, np.ndarray):
        return remedy
    if is_tensor(frame):
        for ours, theirs in _IN_TENSORS.items():
            remedy = remedy.replace(ours, theirs)
    name = "tensor" if is_tensor(frame) else "frame" if is_cupy(frame) else "np.asarray(frame)"
    return re.sub(r"\barray(?=[.\[)])", name, remedy)


def advice_on(frame: object, data: npt.NDArray[Any]) -> str | None:
    """What to write instead of a frame that can be shown, but looks like a mistake; None where nothing does."""
    orientation = exif_orientation(frame)
    if orientation > 1:
        return (
            f"the EXIF data of this image turn it (orientation {orientation}), and publish shows pixels as they are "
            "stored: write ImageOps.exif_transpose(image)"
        )
    turns = quarter_turns(frame)
    if turns:
        return (
            f"this video frame is to be turned by {90 * turns} degrees, and publish shows pixels as they are stored: "
            f'write np.rot90(frame.to_ndarray(format="rgb24"), {turns})'
        )
    with np.errstate(all="ignore"):
        return _advice_on_values(frame, data)


def _advice_on_values(frame: object, data: npt.NDArray[Any]) -> str | None:
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
