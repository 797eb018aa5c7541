"""Matplotlib's figures, canvases and animations as pixels."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from framewire.arrays import as_pixels
from framewire.errors import PublishError
from framewire.matplotlib_figures import fps_of, frames_of, is_drawing

pytest.importorskip("matplotlib")

import matplotlib as mpl
from matplotlib.animation import ArtistAnimation, FuncAnimation
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

RED = [255, 0, 0, 255]


def red(canvas: Callable[[Figure], Any] | None = None) -> Figure:
    figure = Figure(figsize=(2, 1), dpi=50, facecolor="red")
    if canvas:
        canvas(figure)
    return figure


@pytest.mark.parametrize("canvas", [None, FigureCanvasAgg, FigureCanvasSVG, FigureCanvasPdf])
def test_a_figure_is_drawn_whatever_its_canvas_and_keeps_that(canvas: Callable[[Figure], Any] | None) -> None:
    figure = red(canvas)
    before, dpi = figure.canvas, figure.dpi
    for _ in range(3):
        pixels = as_pixels(figure)
        assert pixels.shape == (50, 100, 4) and pixels[0, 0].tolist() == RED
    assert figure.canvas is before and figure.dpi == dpi


@pytest.mark.parametrize("canvas", [FigureCanvasAgg, FigureCanvasSVG, FigureCanvasPdf])
def test_a_canvas_is_drawn_before_it_is_read(canvas: Callable[[Figure], Any]) -> None:
    figure = red(canvas)
    as_pixels(figure.canvas)
    figure.set_facecolor("blue")
    assert as_pixels(figure.canvas)[0, 0].tolist() == [0, 0, 255, 255]


def test_what_is_part_of_a_figure_shows_the_figure() -> None:
    figure = red()
    left = figure.subfigures(1, 2, squeeze=False)[0, 0]
    left.set_facecolor("lime")
    axes = left.add_subplot()
    (line,) = axes.plot([0, 1])
    expected = as_pixels(figure).copy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for part in (left, axes, line, axes.imshow(np.zeros((2, 2)))):
            assert as_pixels(part).shape == expected.shape
    assert expected[0, 0].tolist() == [0, 255, 0, 255] and expected[0, 99].tolist() == RED


def test_an_artist_without_a_figure_is_refused() -> None:
    from matplotlib.lines import Line2D

    with pytest.raises(PublishError, match="Line2D"):
        as_pixels(Line2D([0], [0]))


def test_pyplot_and_the_pair_of_subplots_are_refused_with_what_to_write() -> None:
    from matplotlib import pyplot

    with pytest.raises(PublishError, match=r"plt\.gcf\(\)"):
        as_pixels(pyplot)
    figure = red()
    with pytest.raises(PublishError, match="publish the first"):
        as_pixels((figure, figure.add_subplot()))


def test_a_figure_is_drawn_where_floating_point_errors_raise() -> None:
    figure = red()
    axes = figure.add_subplot()
    axes.set_yscale("log")
    axes.plot([0.0, 1e-300, 1e300])
    with np.errstate(all="raise"):
        assert as_pixels(figure).shape == (50, 100, 4)


class Window(FigureCanvasAgg):
    """The canvas of a window: its own `draw` belongs to the thread of the window."""

    def draw(self) -> None:
        raise AssertionError("drawn in the window")


def test_a_window_is_left_alone() -> None:
    assert as_pixels(red(Window))[0, 0].tolist() == RED


def animated(blit: bool = False, repeat: bool = True, frames: Any = 3) -> FuncAnimation:
    """Moves a bar of full height from left to right: in frame n it is n quarters from the left."""
    figure = red(FigureCanvasAgg)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, 4)
    axes.set_ylim(0, 1)
    (bar,) = axes.fill([0, 1, 1, 0], [0, 0, 1, 1], color="blue")

    def update(number: int) -> list[Any]:
        bar.set_xy([[number, 0], [number + 1, 0], [number + 1, 1], [number, 1]])
        return [bar]

    return FuncAnimation(figure, update, frames=frames, blit=blit, repeat=repeat, cache_frame_data=False)


def position(pixels: np.ndarray) -> int:
    """Which quarter is blue."""
    return int(np.argmax(pixels[25, 12::25, 2]))


@pytest.mark.parametrize("blit", [False, True])
def test_an_animation_shows_its_present_picture(blit: bool) -> None:
    animation = animated(blit)
    assert position(as_pixels(animation)) == 0
    animation._draw_frame(2)  # type: ignore[attr-defined]
    assert position(as_pixels(animation)) == 2


@pytest.mark.parametrize("blit", [False, True])
def test_an_animation_moves_on_frame_by_frame_and_begins_again(blit: bool) -> None:
    render = frames_of(animated(blit), loop=True)
    assert [position(as_pixels(render())) for _ in range(5)] == [0, 1, 2, 0, 1]


@pytest.mark.parametrize("loop, repeat", [(False, True), (True, False)])
def test_an_animation_ends_where_it_is_not_to_repeat(loop: bool, repeat: bool) -> None:
    render = frames_of(animated(repeat=repeat), loop)
    assert [position(as_pixels(render())) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(StopIteration):
        render()


def test_an_animation_without_frames_ends_at_once() -> None:
    def none() -> Iterator[int]:
        return iter(())

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        render = frames_of(animated(frames=none), loop=True)
    with pytest.raises(StopIteration):
        render()


def test_an_animation_of_artists_shows_one_after_the_other() -> None:
    figure = red()
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, 4)
    bars = [axes.fill([n, n + 1, n + 1, n], [0, 0, 1, 1], color="blue") for n in range(3)]
    render = frames_of(ArtistAnimation(figure, bars), loop=True)
    assert [position(as_pixels(render())) for _ in range(4)] == [0, 1, 2, 0]


def noted(figure: Figure, calls: list[Any]) -> FuncAnimation:
    """An animation that notes what it is asked to draw."""

    def note(what: Any) -> list[Any]:
        calls.append(what)
        return []

    return FuncAnimation(figure, note, frames=3, init_func=lambda: note("init"), cache_frame_data=False)


@pytest.mark.parametrize("canvas", [FigureCanvasAgg, FigureCanvasSVG])
def test_an_animation_is_initialised_once_and_its_timer_left_alone(canvas: Callable[[Figure], Any]) -> None:
    calls: list[Any] = []
    figure = red(canvas)
    animation: Any = noted(figure, calls)
    animation.event_source.start = lambda: calls.append("timer")
    render = frames_of(animation, loop=True)
    assert calls == ["init"]
    as_pixels(render())
    as_pixels(animation)
    assert calls == ["init", 0] and not figure.canvas.is_saving()


def test_publish_alone_initialises_an_animation() -> None:
    calls: list[Any] = []
    animation = noted(red(), calls)
    as_pixels(animation)
    as_pixels(animation)
    assert calls == ["init"]


def test_an_animation_that_does_not_say_repeats() -> None:
    class Plain:
        _draw_was_started = True

        def new_frame_seq(self) -> Iterator[int]:
            return iter((1, 2))

        def _pre_draw(self, data: int, blit: bool) -> None: ...

        def _draw_frame(self, data: int) -> None: ...

    plain = Plain()
    render = frames_of(plain, loop=True)
    assert [render() for _ in range(5)] == [plain] * 5


def test_nothing_stays_of_the_picture_before() -> None:
    figure = red(FigureCanvasAgg)
    figure.patch.set_alpha(0)
    (line,) = figure.add_axes((0, 0, 1, 1), frame_on=False).plot([0, 1], [0, 0], linewidth=20)
    assert as_pixels(figure)[:, :, 3].any()
    line.set_visible(False)
    figure.axes[0].set_axis_off()
    assert not as_pixels(figure)[:, :, 3].any()


def test_what_raises_when_it_is_asked_is_no_drawing() -> None:
    class Raises:
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError(name)

    assert not is_drawing(Raises())


def test_the_rate_is_the_animations() -> None:
    figure = red()
    for interval_ms, fps in ((20, 50), (0, 240), (60_000, 1)):
        animation = FuncAnimation(figure, print, frames=1, interval=interval_ms)
        animation._draw_was_started = True  # type: ignore[attr-defined]  # or its end is warned about
        assert fps_of(animation) == fps
    assert fps_of(object()) == 5


def test_matplotlib_is_drawn_on_the_callers_thread() -> None:
    threads = []

    class Watched(Figure):
        def draw(self, renderer: Any) -> None:
            threads.append(threading.get_ident())
            super().draw(renderer)

    as_pixels(Watched())
    assert threads == [threading.get_ident()]


def test_the_backend_stays_as_it_was() -> None:
    before = mpl.get_backend()
    as_pixels(red())
    assert mpl.get_backend() == before
