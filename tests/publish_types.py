"""What a type checker says of `publish`: mypy checks this file, and an ignored error that is none fails.

Nothing runs it. `test_arrays.py` lets mypy look.
"""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt
    from av import VideoFrame
    from matplotlib.animation import FuncAnimation
    from matplotlib.axes import Axes
    from matplotlib.backend_bases import FigureCanvasBase
    from matplotlib.figure import Figure
    from PIL.Image import Image

    from framewire import Display


class Tensor:
    """As torch declares it."""

    def __array__(self, dtype: Any = None) -> Any: ...

    def __dlpack__(self, *, stream: Any = -1, max_version: tuple[int, int] | None = None) -> Any: ...


class Dlpack:
    """An array of a library that has nothing else."""

    def __dlpack__(self, *, stream: Any = None) -> Any: ...


def taken(display: Display, image: Image, frame: VideoFrame, figure: Figure, axes: Axes) -> None:
    display.publish(np.zeros((2, 2), np.uint8))
    display.publish(np.ma.array([[1.0]]))
    display.publish(image)
    display.publish(frame)
    display.publish(figure)
    display.publish(axes)
    display.publish(Tensor())
    display.publish(Dlpack(), format="bgr")
    display.publish([[0.0, 1.0]])
    display.publish(memoryview(b"").cast("B", (1, 1, 3)))
    display.publish((ctypes.c_ubyte * 4)())


def taken_too(
    display: Display, pixels: npt.NDArray[np.uint8], canvas: FigureCanvasBase, animation: FuncAnimation, unknown: Any
) -> None:
    display.publish(pixels)
    display.publish(canvas)
    display.publish(animation)
    display.publish(unknown)


def refused(display: Display) -> None:
    display.publish("hello")  # type: ignore[arg-type]
    display.publish(Path("picture.png"))  # type: ignore[arg-type]
    display.publish(b"bytes have no shape")  # type: ignore[arg-type]
    display.publish(None)  # type: ignore[arg-type]
    display.publish(3)  # type: ignore[arg-type]
    display.publish({"frame": 1})  # type: ignore[arg-type]
    display.publish(lambda: np.zeros((2, 2)))  # type: ignore[arg-type]
    display.publish(np.zeros((2, 2)), format="gbr")  # type: ignore[arg-type]
