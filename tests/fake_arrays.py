"""Stand-ins for arrays of libraries that are not installed here: as much of each as `publish` uses."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np


class Dlpack:
    """Anything with DLPack: here a NumPy array behind a wrapper that is no ndarray."""

    def __init__(self, array: np.ndarray) -> None:
        self._array = array

    def __dlpack__(self, **kwargs: object) -> object:
        return self._array.__dlpack__()

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._array.__dlpack_device__()


class Tensor:
    """As much of a torch tensor as is used; notes what crosses from its card."""

    def __init__(self, array: np.ndarray, device: str = "cuda", dtype: str = "torch.float32") -> None:
        self.array, self.dtype = array, dtype
        self.device = SimpleNamespace(type=device)
        self.crossed: list[str] = []

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    def _made(self, array: np.ndarray, dtype: str | None = None) -> Tensor:
        made = Tensor(array, self.device.type, dtype or self.dtype)
        made.crossed = self.crossed
        return made

    def detach(self) -> Tensor:
        return self

    def cpu(self) -> Tensor:
        self.crossed.append(str(self.array.dtype))
        return self

    def numpy(self) -> np.ndarray:
        if "bfloat" in self.dtype or "float8" in self.dtype:
            raise TypeError("Got unsupported ScalarType BFloat16")
        return self.array

    def is_floating_point(self) -> bool:
        return self.array.dtype.kind == "f"

    def float(self) -> Tensor:
        return self._made(self.array.astype(np.float32), "torch.float32")

    def nan_to_num(self, nan: Any) -> Tensor:
        return self._made(np.nan_to_num(self.array, nan=nan))

    def clamp(self, least: Any, most: Any) -> Tensor:
        return self._made(np.clip(self.array, least, most))

    def mul(self, factor: Any) -> Tensor:
        return self._made(self.array * np.float32(factor))

    def add(self, more: Any) -> Tensor:
        return self._made(self.array + np.float32(more))

    def byte(self) -> Tensor:
        return self._made(self.array.astype(np.uint8), "torch.uint8")

    def __getitem__(self, key: Any) -> Tensor:
        return self._made(self.array[key])


class Jax:
    """An array on a GPU that brings its own copy to host memory."""

    def __init__(self, array: np.ndarray) -> None:
        self._array = array

    def __dlpack__(self, **_: object) -> object:
        raise BufferError("not in host memory")

    def __dlpack_device__(self) -> tuple[int, int]:
        return (2, 0)

    def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
        return self._array


class CuPy:
    """An array on a GPU that is copied by `get`."""

    __cuda_array_interface__: ClassVar[dict[str, object]] = {}

    def __init__(self, array: np.ndarray) -> None:
        self._array = array

    def get(self) -> np.ndarray:
        return self._array


class ArrayLike:
    """Any object with `__array__`, as of xarray, dask or pandas."""

    def __init__(self, array: np.ndarray) -> None:
        self._array = array

    def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
        return self._array


class ArrayInterface:
    """Any object with `__array_interface__`."""

    def __init__(self, array: np.ndarray) -> None:
        self._array = array

    @property
    def __array_interface__(self) -> Any:
        return self._array.__array_interface__


class Quantity(np.ndarray):
    """An array with a unit, whose views and items are not what NumPy makes of them."""

    unit: str

    def __array_finalize__(self, parent: object) -> None:
        self.unit = getattr(parent, "unit", "m")
        if self.ndim > 2:
            raise ValueError("a quantity of three axes")

    def __getitem__(self, key: object) -> Any:
        raise TypeError("only whole quantities")

    def __array_ufunc__(self, *arguments: object, **options: object) -> Any:
        raise TypeError("units do not match")

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


class Sparse:
    """A matrix that is mostly empty, as of SciPy."""

    def toarray(self) -> np.ndarray:
        return np.zeros((2, 2))


class SparseTensor(Tensor):
    """A tensor without an array."""

    is_sparse = True


class Dask(ArrayLike):
    """An array that is yet to be computed."""

    dask: ClassVar[dict[str, object]] = {}

    def compute(self) -> np.ndarray:
        return self._array

    def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
        return np.asarray(self._array)


class Turned:
    """An `av.VideoFrame` whose display matrix turns it."""

    pict_type = 1
    rotation = -90
    format = SimpleNamespace(components=())

    def __init__(self, array: np.ndarray) -> None:
        self._array = array

    def to_ndarray(self, format: str, threads: int) -> np.ndarray:
        assert (format, threads) == ("rgb24", 1)
        return self._array
