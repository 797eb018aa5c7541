"""What other libraries hand over, as plain NumPy arrays: subclasses, tensors, images, video frames, figures.

Must not import those libraries: it looks for their attributes. Must not know which arrays can be shown.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from framewire import matplotlib_figures
from framewire.errors import PublishError
from framewire.matplotlib_figures import has

Array = npt.NDArray[Any]
WhyNot = Callable[[tuple[int, ...], np.dtype[Any]], str | None]

TAKES: Final = (
    "publish takes uint8, uint16, float in [0, 1] or bool, of shape (H, W), (H, W, 1), (H, W, 3) RGB or (H, W, 4) RGBA"
)

_DLPACK_CPU: Final = 1
"""DLPack's device type of host memory (``kDLCPU``)."""

_MAX_ERROR_CHARS: Final = 120
"""How much of another library's error is repeated."""

_FLOATS_OF_NUMPY: Final = ("torch.float16", "torch.float32", "torch.float64")
"""The floats of torch that NumPy has too."""

_SAMPLES_A_SIDE: Final = 64
"""Rows, and columns, that `sample_of` takes."""

_AS_IT_IS: Final = ("1", "L", "RGB", "RGBA", "I", "F", "I;16", "I;16L", "I;16B", "I;16N")
"""PIL's modes whose pixels NumPy reads without a conversion."""

_EXIF_ORIENTATION: Final = 0x0112
"""The number of the EXIF tag."""


def to_array(frame: Any, why_not: WhyNot) -> Array:
    """The frame as a plain ``ndarray``, not of a subclass, with masked pixels 0. It may have any shape and dtype.

    ``why_not`` tells from shape and dtype what is wrong, before a tensor is copied from a GPU. Raises `PublishError`.
    """
    try:
        _refuse_what_is_not_an_array(frame)
        array = _plain(_read(frame, why_not))
    except PublishError:
        raise
    except Exception as error:
        is_ragged = isinstance(frame, (list, tuple)) and isinstance(error, ValueError)
        said = "its rows differ in shape" if is_ragged else " ".join(str(error).split())[:_MAX_ERROR_CHARS]
        raise PublishError(f"cannot publish {type(frame).__name__}: {said or type(error).__name__}; {TAKES}") from error
    if array.dtype == object and not array.shape:
        raise PublishError(f"cannot publish {type(frame).__name__}: {_not_an_array(frame)}")
    return array


def is_tensor(frame: object) -> bool:
    """Whether it is torch's, with autograd and devices."""
    return not isinstance(frame, np.ndarray) and has(frame, "detach", "cpu")


def is_cupy(frame: object) -> bool:
    """Whether it is CuPy's."""
    return not isinstance(frame, np.ndarray) and has(frame, "__cuda_array_interface__", "get")


def is_image(frame: object) -> bool:
    """Whether it is PIL's."""
    return not isinstance(frame, np.ndarray) and has(frame, "getbands", "mode", "info")


def sample_of(data: Any) -> Array:
    """A few thousand pixels of an array or a tensor, evenly spaced over the picture."""
    height, width = data.shape[:2]
    sample = data[:: -(-height // _SAMPLES_A_SIDE), :: -(-width // _SAMPLES_A_SIDE)]
    if is_tensor(sample):
        sample = sample.detach()
        sample = (sample.float() if sample.is_floating_point() else sample).cpu().numpy()
    return np.asarray(sample)


def exif_orientation(frame: Any) -> int:
    """How a PIL image is to be turned, 2 to 8; 1 where it is as it should be, and for everything else."""
    if not is_image(frame):
        return 1
    try:
        return int(frame.getexif().get(_EXIF_ORIENTATION, 1))
    except Exception:  # broken EXIF data, or a format without them
        return 1


def quarter_turns(frame: Any) -> int:
    """By how many quarters an `av.VideoFrame` is to be turned counterclockwise, as by `np.rot90`: phones do not."""
    if not is_video_frame(frame):
        return 0
    return round((getattr(frame, "rotation", 0) or 0) / 90) % 4


def is_video_frame(frame: object) -> bool:
    """Whether it is `av.VideoFrame`."""
    return not isinstance(frame, np.ndarray) and has(frame, "to_ndarray", "pict_type")


def _plain(array: Array) -> Array:
    """A plain ndarray: subclasses may change what slices, items and units mean."""
    if type(array) is np.ndarray:
        return array
    plain = np.asarray(array)
    mask = _mask_of(array)
    if mask is None or mask.shape != plain.shape or mask.dtype != np.bool_:
        return plain
    filled = plain.copy()
    np.copyto(filled, np.zeros((), plain.dtype), where=mask)
    return filled


def _mask_of(array: Any) -> Array | None:
    try:
        mask = array.mask
    except Exception:
        return None
    return np.asarray(mask) if isinstance(mask, np.ndarray) else None


def _read(frame: Any, why_not: WhyNot) -> Array:
    if isinstance(frame, np.ndarray):
        return frame
    if matplotlib_figures.is_drawing(frame):
        return matplotlib_figures.drawn(frame)
    if is_video_frame(frame):
        return np.asarray(_of_video_frame(frame))
    if is_image(frame):
        return np.asarray(_of_image(frame))
    if is_tensor(frame):
        return np.asarray(_bytes_of(frame, why_not).cpu().numpy())
    if is_cupy(frame):
        return np.asarray(frame.get())
    if has(frame, "compute", "dask"):  # its own `__array__` forgets masks
        return np.asanyarray(frame.compute())
    if has(frame, "__dlpack__", "__dlpack_device__") and frame.__dlpack_device__()[0] == _DLPACK_CPU:
        try:
            return np.from_dlpack(frame)
        except Exception:  # bfloat16, and what else DLPack or NumPy does not know
            return np.asanyarray(frame)
    # Arrays on a GPU, such as JAX's, bring their own copy to host memory: ``__array__``.
    return np.asanyarray(frame)


def _bytes_of(given: Any, why_not: WhyNot) -> Any:
    """A torch tensor. Floats that NumPy cannot use in place become bytes where they are: a quarter is copied."""
    tensor = given.detach()
    if getattr(tensor, "is_sparse", False):
        raise PublishError("cannot publish a sparse Tensor: tensor.to_dense()")
    if not (hasattr(tensor, "is_floating_point") and tensor.is_floating_point()):
        return tensor
    if tensor.device.type == "cpu" and str(tensor.dtype) in _FLOATS_OF_NUMPY:
        return tensor
    # Check the shape first, so that an error names the tensor's own shape and nothing is computed in vain.
    shape = tuple(tensor.shape)
    if why_not(shape, np.dtype(np.float32)):
        return _Unread(shape)
    return tensor.float().nan_to_num(0.0).clamp(0.0, 1.0).mul(255.0).add(0.5).byte()


class _Unread:
    """Stands for a tensor that will be refused: it has its shape, and nothing is copied."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._shape = shape

    def cpu(self) -> _Unread:
        return self

    def numpy(self) -> Array:
        return np.broadcast_to(np.float32(0), self._shape)


def _of_video_frame(frame: Any) -> Any:
    has_alpha = any(component.is_alpha for component in frame.format.components)
    # One thread: PyAV keeps its converter, and a process forked later would wait for its threads for ever.
    return frame.to_ndarray(format="rgba" if has_alpha else "rgb24", threads=1)


def _of_image(image: Any) -> Any:
    """A PIL image that has an array: itself, or converted to RGB or RGBA."""
    if image.mode in _AS_IT_IS and not ("transparency" in image.info and image.mode in ("1", "L", "RGB")):
        return image
    if image.mode == "LAB":
        raise PublishError(
            "cannot publish a PIL image of mode 'LAB', whose colours need a profile: ImageCms.profileToProfile(image, "
            'ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), outputMode="RGB")'
        )
    if image.mode == "La":  # Pillow knows no direct conversion
        image = image.convert("LA")
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


# What is not an array


def _refuse_what_is_not_an_array(frame: Any) -> None:
    remedy = _remedy(frame)
    if remedy:
        name = "None" if frame is None else type(frame).__name__
        raise PublishError(f"cannot publish {name}: {remedy}")


def _remedy(frame: Any) -> str | None:
    """What to write instead of common things that are not arrays."""
    if frame is None:
        return f"not an array (cv2.imread returns None where it finds no image); {TAKES}"
    if isinstance(frame, str) or hasattr(type(frame), "__fspath__"):
        return f"text is not a picture; for a file, PIL.Image.open(path); {TAKES}"
    if isinstance(frame, (bytes, bytearray)):
        return (
            "bytes have no shape: np.frombuffer(data, np.uint8).reshape(height, width, 3); for an encoded image, "
            "PIL.Image.open(io.BytesIO(data))"
        )
    if isinstance(frame, tuple) and len(frame) == 2 and isinstance(frame[0], (bool, np.bool_)):
        return "OpenCV's read() returns whether it succeeded, and the frame: publish the second"
    if isinstance(frame, tuple) and frame and matplotlib_figures.is_drawing(frame[0]):
        return "plt.subplots() returns a figure and its axes: publish the first"
    if isinstance(frame, ModuleType):
        return "a module is not a picture; for pyplot, plt.gcf()"
    if isinstance(frame, type):
        return f"{frame.__name__} is a class: publish an object of it"
    return None


def _not_an_array(frame: Any) -> str:
    if not isinstance(frame, dict):
        for method in ("toarray", "download", "to_numpy", "numpy", "get"):  # SciPy's sparse ones, OpenCV's, others
            if has(frame, method) and callable(getattr(frame, method)):
                return f"not an array, but it has one: frame.{method}()"
    if has(frame, "__dlpack__"):
        return "its memory is on a device: copy it to host memory first"
    return f"not an array; {TAKES}"
