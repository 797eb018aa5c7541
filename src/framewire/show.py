"""`show`: serve and publish in one line, and wait where the program would end otherwise. Must not know engines."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, Unpack, overload

import numpy as np

from framewire.arrays import FrameLike, as_pixels
from framewire.calls import can_be_called
from framewire.display import DEFAULT_STREAM, Display
from framewire.environment import in_notebook, is_script, put_into_cell, running_loop, say
from framewire.errors import PublishError
from framewire.keywords import divide, documented, flag
from framewire.matplotlib_figures import fps_of, frames_of, is_animation
from framewire.options import EngineHome, EngineOptions, ServeKeywords, StreamOptions
from framewire.publishing import PublishLoop, publish_loop
from framewire.serving import serve

if TYPE_CHECKING:
    from framewire.notebook import Viewer

Shown: TypeAlias = FrameLike | Iterable[FrameLike] | Callable[[], FrameLike | None]
"""For type checkers: what `show` may take."""


@overload
def show(
    what: Shown,
    *,
    name: str = ...,
    loop: bool = ...,
    block: Literal[True],
    engine: EngineHome = ...,
    **options: Unpack[ServeKeywords],
) -> Display: ...
@overload
def show(
    what: Shown,
    *,
    name: str = ...,
    loop: bool = ...,
    block: bool | None = ...,
    engine: EngineHome = ...,
    **options: Unpack[ServeKeywords],
) -> Viewer | Display: ...
@documented(EngineOptions, StreamOptions)
def show(
    what: Shown,
    *,
    name: str = DEFAULT_STREAM,
    loop: bool = True,
    block: bool | None = None,
    engine: EngineHome = "process",
    **options: Unpack[ServeKeywords],
) -> Any:
    """Show a frame, a sequence of frames, or what a function returns frame after frame.

    ``what`` is an array-like (see `Display.publish`), an iterable of them (``loop`` starts a finite one
    again), an array of shape (T, H, W, C), or a callable without arguments. ``engine`` is as for `serve`.

    An animation of Matplotlib's runs, at its own rate unless ``fps`` is given. It is drawn on the event loop that runs
    here, as in a notebook, on the thread of the other cells; where none runs, on a thread of its own.

    In a notebook it returns the widget; its ``display`` is the `Display`, its ``task`` the `PublishLoop`. Elsewhere
    it prints the URL and returns the `Display`. Showing the same ``name`` again replaces the picture.

    ``block=True`` waits until the display is closed, as `Display.wait`: Ctrl-C closes it and lets the program go on.
    By default it waits in a script, which would end with its last line and the picture with it. It does not where
    something goes on anyway: in a notebook, in IPython, in Python's prompt (also after ``python -i``), under a running
    event loop, and on a thread other than the main one. Frames that come to their end leave the last one there.
    """
    parts = divide("show", options, EngineOptions, StreamOptions, beside=("what", "name", "loop", "block", "engine"))
    if is_animation(what):
        parts[1].setdefault("fps", fps_of(what))
    wait = is_script() if block is None else flag("block", block)
    first, rest = _frames(what, flag("loop", loop))
    pixels = as_pixels(first)
    display = serve(pixels.shape[1], pixels.shape[0], name=name, engine=engine, **parts[0], **parts[1])
    display.publish(first)  # not its pixels: publish also says what looks odd
    task = publish_loop(display, rest, fps=display.fps) if rest else None
    return _present(display, task, wait)


def _frames(what: Any, loop: bool) -> tuple[Any, Any]:
    """The first frame, and a function that gives the others; None where there are none."""
    if inspect.iscoroutinefunction(what):
        raise TypeError("show calls plain functions; a coroutine function goes to publish_loop")
    if is_animation(what):
        render = frames_of(what, loop)
        return _first(render), _on_this_loop(render)
    if isinstance(what, Display):
        raise TypeError("show takes frames, and makes a display of its own: display.widget() shows one that is there")
    if inspect.isgeneratorfunction(what):
        what = what()
    if callable(what) and not hasattr(what, "shape"):
        can_be_called("show", what)
        first = what()
        if first is None:
            raise PublishError("the function returned None, and show needs its first frame at once: return that first")
        return first, what
    if getattr(what, "ndim", None) == 4:
        what = list(what)
    if _is_frame(what):
        return what, None
    if not isinstance(what, Iterable):
        return what, None  # as_pixels raises what is wrong with it
    frames = _cycle(what) if loop else iter(what)
    return _first(lambda: next(frames)), lambda: next(frames)


def _first(render: Callable[[], Any]) -> Any:
    try:
        return render()
    except StopIteration:
        raise PublishError("cannot show an empty sequence of frames: give it one frame at least") from None


def _on_this_loop(render: Callable[[], Any]) -> Callable[[], Any]:
    """As a coroutine function, if an event loop runs on this thread: Matplotlib draws a figure on one thread."""
    if running_loop() is None:
        return render

    async def render_here() -> Any:
        try:
            return render()
        except StopIteration:
            raise StopAsyncIteration from None

    return render_here


def _cycle(frames: Iterable[Any]) -> Iterator[Any]:
    """A list again and again; an iterator once, since it cannot be started again."""
    return frames if isinstance(frames, Iterator) else _again_and_again(frames)


def _again_and_again(frames: Iterable[Any]) -> Iterator[Any]:
    """Asked for its frames anew each time, so that one which reads or computes them has none of them kept."""
    is_empty = False
    while not is_empty:
        is_empty = True
        for frame in frames:
            is_empty = False
            yield frame


def _is_frame(what: Any) -> bool:
    if isinstance(what, (list, tuple)):
        return bool(what) and _is_row(what[0])
    if isinstance(what, (str, bytes, bytearray, dict)):
        return True  # nothing to show, and `publish` says so
    if not isinstance(what, Iterable):
        return False
    return hasattr(what, "shape") or hasattr(what, "__array_interface__") or hasattr(what, "__dlpack__")


def _is_row(what: Any) -> bool:
    """Whether it is a row of pixels, numbers or colours: a list of these is one picture."""
    if not (isinstance(what, (list, tuple)) and what):
        return False
    first = what[0]
    if isinstance(first, (list, tuple)):  # a colour, or the row of a gray picture that is one frame of several
        return len(first) in (3, 4) and np.isscalar(first[0])
    return bool(np.isscalar(first))


def _present(display: Display, task: PublishLoop | None, wait: bool) -> Viewer | Display:
    if not in_notebook():
        _say_where(display, wait)
        return display
    widget = display.widget()
    widget.task = task
    if not wait:
        return widget
    put_into_cell(widget)
    display.wait()
    return display


def _say_where(display: Display, wait: bool) -> None:
    end = "\nframewire: Ctrl-C ends it" if wait else ""
    try:
        say(f"framewire: {display.url}{end}")
        if wait:
            display.wait()
    except KeyboardInterrupt:  # as soon as it is offered: before the waiting has begun
        if not wait:
            raise
        display.close()
