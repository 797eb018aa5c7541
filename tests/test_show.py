"""The one-liner: what it takes, what it gives back, and that a second call replaces the first."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import framewire as fw
from framewire import notebook, registry
from framewire import show as show_function
from framewire.link.spawn import environment
from tests.fake_host import FakeOutlet, faked
from tests.viewer import flat, noise

TEST_TIMEOUT_S = 30.0


@pytest.fixture(autouse=True)
def frames(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[np.ndarray]]:
    """What was published, by any display."""
    faked(monkeypatch)
    monkeypatch.setattr(show_module(), "is_script", lambda: False)
    yield FakeOutlet.written
    for server in list(registry.shared):
        server.close()


def values(frames: list[np.ndarray]) -> list[int]:
    return [int(frame[0, 0, 0]) for frame in frames]


def test_one_frame_is_served_and_its_address_printed(
    frames: list[np.ndarray], capsys: pytest.CaptureFixture[str]
) -> None:
    picture = noise(64, 48)
    display = fw.show(picture)
    assert isinstance(display, fw.Display) and np.array_equal(frames[0], picture)
    assert (display.width, display.height, display.fps) == (64, 48, 60.0)
    assert capsys.readouterr().err == f"framewire: {display.url}\n"


def test_a_function_is_called_again_and_again(frames: list[np.ndarray]) -> None:
    numbers = itertools.count(1)
    over = 5

    def render() -> np.ndarray:
        number = next(numbers)
        if number > over:
            raise StopIteration
        return flat(4, 4, number)

    display = fw.show(render, fps=500)
    wait_for(frames, over)
    assert values(frames) == [1, 2, 3, 4, 5] and display.fps == 500


def wait_for(frames: list[np.ndarray], count: int) -> None:
    deadline = time.monotonic() + TEST_TIMEOUT_S
    while len(frames) < count and time.monotonic() < deadline:
        time.sleep(0.005)


def test_frames_that_are_read_anew_each_time_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds = itertools.count()

    class File:
        def __iter__(self) -> Iterator[np.ndarray]:
            first = 10 * next(rounds)
            return (flat(4, 4, first + number) for number in range(3))

    shown = show_module()._cycle(File())
    assert values([next(shown) for _ in range(7)]) == [0, 1, 2, 10, 11, 12, 20]
    assert list(show_module()._cycle([])) == []


@pytest.mark.parametrize(
    ("what", "count", "shape"),
    [
        ([[0.0, 1.0], [1.0, 0.0], [0.0, 0.0]], 1, (3, 2, 1)),
        ([[(1.0, 0.0, 0.0), (0.0, 1.0, 0.0)]], 1, (1, 2, 3)),
        ([[[1.0, 0.0, 0.0, 1.0]], [[0.0, 1.0, 0.0, 1.0]]], 1, (2, 1, 4)),
        ([[[0.0, 1.0], [1.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]]], 2, (2, 2, 1)),
    ],
    ids=["gray", "RGB", "RGBA", "two gray ones"],
)
def test_lists_of_numbers_are_pictures(
    frames: list[np.ndarray], what: Any, count: int, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    if count > 1:
        assert started(monkeypatch, what, fps=500, loop=False).join(TEST_TIMEOUT_S)
    else:
        fw.show(what)
    assert [frame.shape for frame in frames] == [shape] * count


@pytest.mark.parametrize("kind", ["list", "iterator", "stack"])
def test_frames_in_a_row_are_shown_once_when_asked(
    frames: list[np.ndarray], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = [flat(4, 4, value) for value in (1, 2, 3)]
    what = {"list": pictures, "iterator": iter(pictures), "stack": np.stack(pictures)}[kind]
    task = started(monkeypatch, what, fps=500, loop=False)
    assert task.join(TEST_TIMEOUT_S), "the end of the frames is the end"
    assert values(frames) == [1, 2, 3]


def started(monkeypatch: pytest.MonkeyPatch, what: Any, **options: Any) -> fw.PublishLoop:
    """The loop behind `show`, by way of the widget that carries it in a notebook."""
    monkeypatch.setattr(show_module(), "in_notebook", lambda: True)
    widget = fw.show(what, **options)
    assert isinstance(widget.task, fw.PublishLoop)
    return widget.task


def show_module() -> Any:
    """The module, whose name in the package is the function's."""
    return sys.modules["framewire.show"]


def test_a_list_begins_again_and_an_iterator_does_not(
    frames: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    task = started(monkeypatch, [flat(4, 4, value) for value in (1, 2)], fps=500)
    wait_for(frames, 5)
    task.cancel()
    assert task.join(TEST_TIMEOUT_S) and values(frames)[:5] == [1, 2, 1, 2, 1]
    frames.clear()
    task = started(monkeypatch, (flat(4, 4, value) for value in (1, 2)), fps=500)
    assert task.join(TEST_TIMEOUT_S) and values(frames) == [1, 2]


def test_in_a_notebook_it_is_the_widget(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(show_module(), "in_notebook", lambda: True)
    widget = fw.show(flat(64, 200), name="plot")
    assert isinstance(widget, notebook.Viewer) and widget.task is None
    assert widget.display is not None and widget.display.name == widget.stream == "plot"
    assert (widget.height, widget.port) == (200, widget.display.port)
    assert capsys.readouterr() == ("", "")


def test_showing_again_replaces_and_ends_what_moved(frames: list[np.ndarray], monkeypatch: pytest.MonkeyPatch) -> None:
    task = started(monkeypatch, lambda: flat(4, 4, 1), fps=500)
    fw.show(flat(4, 4, 9))
    assert task.join(TEST_TIMEOUT_S), "it published into what was replaced"
    assert values(frames)[-1] == 9
    assert len(registry.shared) == 1 and registry.shared[0].streams == ["default"]


@pytest.mark.parametrize(
    "wrong, words",
    [([], "empty sequence"), (iter(()), "empty sequence"), ("picture", "cannot publish"), (7, "cannot publish"),
     (np.zeros((5, 5, 2)), "last axis"), (lambda: None, "the function returned None, and show needs its first frame")],
    ids=["list", "iterator", "text", "number", "array", "none"],
)  # fmt: skip
def test_what_cannot_be_shown_starts_nothing(wrong: Any, words: str) -> None:
    with pytest.raises(fw.PublishError, match=words):
        fw.show(wrong)
    assert not registry.shared


def test_a_coroutine_function_is_sent_on() -> None:
    async def render() -> np.ndarray:
        return flat(4, 4)

    with pytest.raises(TypeError, match="publish_loop"):
        fw.show(render)  # type: ignore[arg-type]


# Scripts


SCRIPT = """
import sys, threading
import numpy as np
import framewire as fw
{before}
{show}
print("went on", end="")
"""


def script(
    *flags: str, before: str = "", show: str = "fw.show(np.zeros((4, 4, 3), np.uint8))"
) -> subprocess.Popen[str]:
    """A program that shows something in its last line but one."""
    text = SCRIPT.format(before=before, show=show)
    pipe = subprocess.PIPE
    command = [sys.executable, *flags, "-c", text]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, env=environment(), text=True)


def test_a_script_waits_at_its_picture_until_ctrl_c_and_goes_on_without_a_traceback() -> None:
    with script(show="display = fw.show(np.zeros((4, 4, 3), np.uint8)); assert display.closed") as program:
        assert program.stdout and program.stderr
        address = program.stderr.readline().removeprefix("framewire: ").strip()
        assert program.stderr.readline() == "framewire: Ctrl-C ends it\n"
        with urllib.request.urlopen(address.partition("#")[0], timeout=TEST_TIMEOUT_S) as page:
            assert page.status == 200, "the address that it printed is alive"
        program.send_signal(signal.SIGINT)
        assert program.communicate(timeout=TEST_TIMEOUT_S) == ("went on", "") and program.returncode == 0


@pytest.mark.parametrize(
    "before",
    ["sys.stderr.close()", "import os; ends = os.pipe(); os.close(ends[0]); os.dup2(ends[1], 2)"],
    ids=["closed", "a pipe"],
)
def test_a_script_whose_stderr_is_gone_shows_its_picture(before: str) -> None:
    end = "fw.show(np.zeros((4, 4, 3), np.uint8), block=False)"
    with script(before=before, show=end) as program:
        assert program.communicate(timeout=TEST_TIMEOUT_S)[0] == "went on"


def test_ctrl_c_in_the_moment_before_the_waiting_is_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("builtins.print", interrupted)
    assert fw.show(flat(4, 4), engine="thread", block=True).closed
    with pytest.raises(KeyboardInterrupt):
        fw.show(flat(4, 4), engine="thread", block=False)


def test_a_script_of_moving_pictures_ends_by_ctrl_c_too() -> None:
    with script(show="fw.show(lambda: np.zeros((4, 4, 3), np.uint8), fps=500)") as program:
        assert program.stderr
        program.stderr.readline(), program.stderr.readline()
        program.send_signal(signal.SIGINT)
        assert program.communicate(timeout=TEST_TIMEOUT_S) == ("went on", "") and program.returncode == 0


@pytest.mark.parametrize(
    ("flags", "before", "show"),
    [
        ((), "", "fw.show(np.zeros((4, 4, 3), np.uint8), block=False)"),
        (("-i",), "", "fw.show(np.zeros((4, 4, 3), np.uint8))"),
        ((), "sys.ps1 = '>>> '", "fw.show(np.zeros((4, 4, 3), np.uint8))"),
        ((), "thread = threading.Thread(target=fw.show, args=(np.zeros((4, 4, 3), np.uint8),))",
         "thread.start(); thread.join()"),
        ((), "import asyncio\nasync def main(): fw.show(np.zeros((4, 4, 3), np.uint8))", "asyncio.run(main())"),
        ((), "import IPython; IPython.get_ipython = lambda: object()", "fw.show(np.zeros((4, 4, 3), np.uint8))"),
        ((), "import threading", "fw.show(np.zeros((4, 4, 3), np.uint8), block=True)"),
    ],
    ids=["not asked to", "python -i", "prompt", "thread", "event loop", "IPython", "asked to, and closed"],
)  # fmt: skip
def test_where_something_goes_on_anyway_nothing_waits(flags: tuple[str, ...], before: str, show: str) -> None:
    if "block=True" in show:
        before = "threading.Timer(1, lambda: fw.serving.registry.shared[0].close()).start()"
    with script(*flags, before=before, show=show) as program:
        out, _ = program.communicate(timeout=TEST_TIMEOUT_S)
        assert out == "went on" and program.returncode == 0


def test_options_go_to_serve() -> None:
    display = fw.show(flat(4, 4), token="t" * 30, max_bitrate=1_000_000)
    assert display.server.token == "t" * 30
    assert show_function is fw.show


def spinning(threads: list[int], frames: int = 3) -> Any:
    """An animation of a red, then a blue background; notes the threads that it is drawn on."""
    figure = pytest.importorskip("matplotlib.figure").Figure(figsize=(1, 1), dpi=10)

    def update(number: int) -> list[Any]:
        threads.append(threading.get_ident())
        figure.set_facecolor("red" if number % 2 == 0 else "blue")
        return []

    animation = pytest.importorskip("matplotlib.animation").FuncAnimation
    return animation(figure, update, frames=frames, interval=10, repeat=False, cache_frame_data=False)


def test_an_animation_runs_at_its_own_rate(frames: list[np.ndarray], monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[int] = []
    task = started(monkeypatch, spinning(threads))
    assert task.join(TEST_TIMEOUT_S) and task._display.fps == 100
    assert values(frames) == [255, 0, 255]


async def test_an_animation_is_drawn_on_the_loop_that_runs_here(
    frames: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []
    task = started(monkeypatch, spinning(threads), fps=500)
    await task
    assert values(frames) == [255, 0, 255] and set(threads) == {threading.get_ident()}
    assert task._display.fps == 500


def test_an_animation_without_frames_is_refused(frames: list[np.ndarray]) -> None:
    with pytest.warns(UserWarning, match="Can not start"), pytest.raises(fw.PublishError, match="empty sequence"):
        fw.show(spinning([], frames=0))


def test_a_list_of_rows_is_one_picture(frames: list[np.ndarray]) -> None:
    fw.show([[0.0, 1.0], [1.0, 0.5]])
    assert frames[0][:, :, 0].tolist() == [[0, 255], [255, 128]]


@pytest.mark.parametrize("what", ["picture.png", b"abc", {"a": 1}])
def test_text_is_no_sequence_of_frames(frames: list[np.ndarray], what: Any) -> None:
    with pytest.raises(fw.PublishError, match=type(what).__name__):
        fw.show(what)


def test_what_looks_odd_is_said_once_at_the_line_of_the_program(frames: list[np.ndarray]) -> None:
    frame = np.full((4, 4), 200.0)
    with pytest.warns(fw.FramewireWarning, match="frame / 255") as said:
        display = fw.show(frame)
        for _ in range(9):
            display.publish(frame)
    assert len(said) == 1 and said[0].filename == __file__
    assert values(frames) == [255] * 10
