"""Matplotlib's figures, axes, canvases and animations, as pixels: draws them with Agg, whatever their canvas.

Must not know other libraries, nor import Matplotlib before it is given something of Matplotlib's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from types import ModuleType
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

_LEAST_FPS, _MOST_FPS = 1.0, 240.0
"""Frames a second of an animation, at least and at most. Source: chosen by hand; few screens are faster."""

_INTERVAL_MS: Final = 200.0
"""Between two frames of an animation that does not say. Source: Matplotlib's own default."""


def has(thing: Any, *names: str) -> bool:
    """Whether it has all these attributes. An object that raises when asked has none."""
    try:
        return all(hasattr(thing, name) for name in names)
    except Exception:
        return False


def is_drawing(thing: Any) -> bool:
    """Whether it is a canvas, a figure, an animation, or a part of a figure."""
    return has(thing, "buffer_rgba") or is_animation(thing) or _figure_of(thing) is not None


def is_animation(thing: Any) -> bool:
    """Whether it is a `FuncAnimation`, or another animation of Matplotlib's."""
    return has(thing, "new_frame_seq", "event_source")


def drawn(thing: Any) -> Array:
    """The picture as it is now, RGBA. Drawn on the thread of the caller: a figure is drawn on one thread at a time."""
    with np.errstate(all="ignore"):  # Matplotlib divides by zero, and overflows, in plots that are fine
        if hasattr(thing, "buffer_rgba"):
            if hasattr(thing, "draw"):
                thing.draw()
            return np.asarray(thing.buffer_rgba())
        if is_animation(thing):
            return _of_animation(thing)
        return _of_figure(_figure_of(thing))


def frames_of(animation: Any, loop: bool) -> Callable[[], Any]:
    """A function that moves the animation on by one frame, and returns what `publish` then draws.

    The animation begins again at its end, if it does so by itself and ``loop`` says so too. Raises ``StopIteration``
    at its end otherwise.
    """
    _start(animation)
    pictures = _moved_on(animation, loop and getattr(animation, "_repeat", True))
    return lambda: next(pictures)


def fps_of(animation: Any) -> float:
    """Frames a second that the animation is made for, within what can be shown."""
    interval_ms = getattr(animation, "_interval", _INTERVAL_MS)
    return min(max(1000.0 / interval_ms, _LEAST_FPS), _MOST_FPS) if interval_ms > 0 else _MOST_FPS


def _moved_on(animation: Any, again: bool) -> Iterator[Any]:
    is_over = False
    while not is_over:
        is_over = True  # unless there is a frame
        for data in animation.new_frame_seq():
            # Its own `_draw_next_frame`, less the drawing that `publish` does.
            animation._pre_draw(data, False)  # noqa: SLF001
            animation._draw_frame(data)  # noqa: SLF001
            is_over = not again
            yield animation


def _start(animation: Any) -> None:
    if not animation._draw_was_started:  # noqa: SLF001
        animation._init_draw()  # noqa: SLF001


def _of_animation(animation: Any) -> Array:
    _start(animation)
    figure = animation._fig  # noqa: SLF001
    canvas = figure.canvas
    # As when it is saved to a file: artists that the animation blits are then drawn with the figure.
    was_saving, canvas._is_saving = canvas.is_saving(), True  # noqa: SLF001
    try:
        return _of_figure(figure)
    finally:
        canvas._is_saving = was_saving  # noqa: SLF001


def _figure_of(thing: Any) -> Any:
    """The figure that it is, belongs to or draws; None where there is none."""
    if has(thing, "savefig", "canvas"):
        return None if isinstance(thing, ModuleType) else thing
    is_part = has(thing, "get_figure", "stale_callback", "figure")  # an artist
    parent = thing.figure if is_part or has(thing, "print_figure", "figure") else None
    return None if parent is thing else _figure_of(parent)


def _of_figure(figure: Any) -> Array:
    canvas = figure.canvas
    if not hasattr(canvas, "buffer_rgba"):
        return _with_agg(figure)
    return _rendered(canvas)


def _rendered(canvas: Any) -> Array:
    # Not `canvas.draw`, which also draws in the window, if there is one: that must be left to the thread of the window.
    renderer = canvas.get_renderer()
    renderer.clear()
    canvas.figure.draw(renderer)
    return np.asarray(canvas.buffer_rgba())


def _with_agg(figure: Any) -> Array:
    """A figure whose canvas makes vectors (PDF, SVG), or that has the canvas of no backend yet."""
    before = figure.canvas
    canvas = import_module("matplotlib.backends.backend_agg").FigureCanvasAgg(figure)
    canvas._is_saving = before.is_saving()  # noqa: SLF001
    try:
        return _rendered(canvas)
    finally:
        figure.set_canvas(before)
