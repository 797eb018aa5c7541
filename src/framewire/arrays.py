"""Array-likes to pixels: what `publish` takes, and the error it raises for the rest.

Must not know displays, rings or encoders, nor import other array libraries: it looks for their attributes.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from framewire.errors import PublishError
from framewire.frame import Pixels

Layout = Literal["rgb", "bgr"]

MAX_SIDE_PX: Final = 16_384
"""The longest side in pixels that `publish` takes. Video codecs have no more (H.264 level 6.2, VP8 14 bits)."""

_DLPACK_CPU: Final = 1
"""DLPack's device type of host memory (``kDLCPU``)."""

_TAKES: Final = (
    "publish takes uint8, uint16, float in [0, 1] or bool, of shape (H, W), (H, W, 1), (H, W, 3) RGB or (H, W, 4) RGBA"
)


def as_pixels(array: Any, format: Layout = "rgb") -> Pixels:
    """The array as ``uint8`` pixels of shape (height, width, 1 | 3 | 4): a view where nothing must be converted.

    Takes what NumPy takes, torch, JAX and CuPy arrays (by DLPack or ``.numpy()``), PIL images, ``av.VideoFrame`` and
    Matplotlib canvases. ``uint8`` is taken as it is. Floats are clipped to [0, 1] and scaled by 255; NaN becomes 0.
    ``uint16`` is scaled to 8 bits, and ``bool`` becomes 0 or 255. With ``format="bgr"`` the first three channels are in
    OpenCV's order.

    Raises `PublishError` (a ``ValueError``) that names the shape, the dtype and what would work.
    """
    data = _to_numpy(array)
    pixels = _to_uint8(_to_hwc(data))
    if format == "bgr":
        if pixels.shape[2] < 3:
            raise _refuse(data, 'format="bgr" needs 3 or 4 channels')
        order = [2, 1, 0] if pixels.shape[2] == 3 else [2, 1, 0, 3]
        return np.ascontiguousarray(pixels[:, :, order])
    if format != "rgb":
        raise PublishError(f'format={format!r} is unknown: use "rgb" (the default) or "bgr"')
    return pixels


def _to_numpy(array: Any) -> npt.NDArray[Any]:
    if isinstance(array, np.ndarray):
        return array
    if hasattr(array, "buffer_rgba"):  # a Matplotlib canvas, whose figure must be drawn first
        if hasattr(array, "draw"):
            array.draw()
        return np.asarray(array.buffer_rgba())
    if hasattr(array, "to_ndarray") and hasattr(array, "pict_type"):  # av.VideoFrame
        return np.asarray(array.to_ndarray(format="rgb24"))
    if hasattr(array, "getbands"):  # a PIL image: other modes, such as palettes, become RGB(A)
        mode = array.mode if array.mode in ("L", "RGB", "RGBA") else "RGBA" if "A" in array.getbands() else "RGB"
        return np.asarray(array if array.mode == mode else array.convert(mode))
    return _from_device(array)


def _from_device(array: Any) -> npt.NDArray[Any]:
    """An array of another library: by DLPack where it is in host memory, else by its own copy to there."""
    try:
        if hasattr(array, "detach") and hasattr(array, "cpu"):  # torch: autograd and CUDA
            return np.asarray(_bytes_of(array.detach()).cpu().numpy())
        if hasattr(array, "__cuda_array_interface__") and hasattr(array, "get"):  # CuPy
            return np.asarray(array.get())
        if hasattr(array, "__dlpack__") and array.__dlpack_device__()[0] == _DLPACK_CPU:
            return np.from_dlpack(array)
        # Arrays on a GPU, such as JAX's, bring their own copy to host memory: ``__array__``.
        result = np.asarray(array)
    except PublishError:
        raise
    except Exception as error:
        raise PublishError(f"cannot publish {type(array).__name__}: {str(error)[:120]}; {_TAKES}") from None
    if result.dtype == object:
        raise PublishError(f"cannot publish {type(array).__name__}: not an array; {_TAKES}")
    return result


def _bytes_of(tensor: Any) -> Any:
    """A torch tensor. Floats that NumPy cannot use in place become bytes where they are: a quarter is copied."""
    if not (hasattr(tensor, "is_floating_point") and tensor.is_floating_point()):
        return tensor
    if tensor.device.type == "cpu" and "bfloat" not in str(tensor.dtype):
        return tensor
    # Check the shape first, so that an error names the tensor's own shape and nothing is computed in vain.
    _to_hwc(np.broadcast_to(np.float32(0), tuple(tensor.shape)))
    return tensor.float().nan_to_num(0.0).clamp(0.0, 1.0).mul(255.0).add(0.5).byte()


def _to_hwc(given: npt.NDArray[Any]) -> npt.NDArray[Any]:
    data = given[:, :, None] if given.ndim == 2 else given
    if data.ndim != 3:
        hint = "publish the batch frame by frame" if data.ndim == 4 else _TAKES
        raise _refuse(data, hint)
    height, width, channels = data.shape
    if channels not in (1, 3, 4):
        channels_first = height in (1, 3, 4) and "channels come last: array.transpose(1, 2, 0)"
        raise _refuse(data, channels_first or "the last axis must be 1 (gray), 3 (RGB) or 4 (RGBA)")
    if not (height and width):
        raise _refuse(given, "an empty array shows nothing")
    if max(height, width) > MAX_SIDE_PX:
        raise _refuse(given, f"at most {MAX_SIDE_PX} pixels a side")
    return data


def _to_uint8(data: npt.NDArray[Any]) -> Pixels:
    kind, size = data.dtype.kind, data.dtype.itemsize
    if data.dtype == np.uint8:
        return data
    if kind == "b":
        return data.astype(np.uint8) * np.uint8(255)
    if kind == "u" and size == 2:
        # v * 255 / 65535, rounded exactly and without floats.
        wide = data.astype(np.uint32)
        return ((wide * 255 + 32_767) // 65_535).astype(np.uint8)
    if kind == "f":
        # Clipping leaves NaN as it is; nan_to_num then makes it 0.
        scaled = np.clip(data, 0.0, 1.0).astype(np.float32, copy=False)
        finite: npt.NDArray[np.float32] = np.nan_to_num(scaled, nan=0.0)
        return (finite * np.float32(255.0) + np.float32(0.5)).astype(np.uint8)
    remedy = {
        "i": "array.astype(np.uint8) if its values are 0 to 255",
        "u": "array.astype(np.uint8) if its values are 0 to 255",
        "c": "np.abs(array), scaled to [0, 1]",
    }.get(kind, _TAKES)
    raise _refuse(data, remedy)


def _refuse(data: npt.NDArray[Any], remedy: str) -> PublishError:
    return PublishError(f"cannot publish an array of shape {data.shape} and dtype {data.dtype}: {remedy}")
