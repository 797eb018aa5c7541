"""Arguments that are no options: what cannot be meant is refused at the call, in one line that names it."""

from __future__ import annotations

import functools
import threading
import unittest.mock
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import framewire as fw
from framewire.calls import LONGEST_WAIT_S, can_be_called, plain_function, seconds

FRAME = np.zeros((4, 6, 3), np.uint8)


@pytest.mark.parametrize("given", ["3", float("nan"), True, [1], 2j])
def test_a_time_to_wait_is_a_number(given: object) -> None:
    with pytest.raises(ValueError, match=r"^timeout=.* is no time: it is seconds, or None for as long as it takes$"):
        seconds("timeout", given)


def test_times_to_wait() -> None:
    assert seconds("timeout", None) is None and seconds("timeout", np.float32(0.5)) == 0.5
    assert seconds("timeout", -1) == -1 and seconds("timeout", LONGEST_WAIT_S / 2) == LONGEST_WAIT_S / 2
    assert seconds("timeout", float("inf")) is None and seconds("timeout", LONGEST_WAIT_S) is None
    assert LONGEST_WAIT_S < threading.TIMEOUT_MAX


def of_none() -> None: ...


def of_two(first: int, second: int) -> None: ...


async def awaited(event: object) -> None: ...


class Callable:
    def __call__(self, event: object) -> None: ...


@pytest.mark.parametrize("given", [print, [].append, Callable(), lambda *_: 3, functools.partial(of_two, 1), dict,
                                   unittest.mock.Mock(), lambda event, more=3: more])  # fmt: skip
def test_functions_of_one_argument_are_taken(given: Any) -> None:
    plain_function("on_event", given, "event")


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (5, "on_event takes a function, called as function(event): not 5"),
        (None, "on_event takes a function, called as function(event): not None"),
        (of_none, "on_event calls of_none(event): too many positional arguments"),
        (of_two, "on_event calls of_two(event): missing a required argument: 'second'"),
        (functools.partial(of_two, 1, 2), "on_event calls partial(event): too many positional arguments"),
        (awaited, "on_event calls plain functions, and awaited is a coroutine function"),
    ],
)
def test_other_functions_are_refused(given: Any, line: str) -> None:
    with pytest.raises(TypeError) as caught:
        plain_function("on_event", given, "event")
    assert str(caught.value) == line


def test_a_function_without_arguments() -> None:
    can_be_called("show", of_none)
    with pytest.raises(TypeError, match=r"^show calls of_two\(\): missing a required argument: 'first'$"):
        can_be_called("show", of_two)


# As a program meets them


ANY: Any = fw
"""The package, for calls that type checkers refuse already."""


def frames() -> Iterator[Any]:
    yield FRAME


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda display: display.on_event(5), "on_event takes a function"),
        (lambda display: display.on_event(of_none), "on_event calls of_none(event)"),
        (lambda display: display.on_viewers(of_none), "on_viewers calls of_none(event)"),
        (lambda display: display.wait("x"), "timeout='x' is no time"),
        (lambda display: display.wait_ready("x"), "timeout='x' is no time"),
        (lambda display: display.widget(batteries="no"), "batteries='no' is neither True nor False"),
        (lambda display: ANY.publish_loop(display, of_two), "publish_loop calls of_two(): missing"),
        (lambda display: ANY.publish_loop(display, frames), "frames.__next__), with frames = frames()"),
        (lambda display: ANY.publish_loop(display, awaited), "publish_loop calls awaited(): missing"),
        (lambda display: ANY.publish_loop(display, of_none, only_watched="no"), "only_watched='no' is neither"),
        (lambda display: ANY.show(display), "show takes frames, and makes a display of its own"),
        (lambda display: ANY.show(of_two), "show calls of_two(): missing"),
        (lambda display: ANY.show(FRAME, block="no"), "block='no' is neither True nor False"),
        (lambda display: ANY.show([FRAME], loop="no"), "loop='no' is neither True nor False"),
        (lambda display: display.server.stream("b"), "no stream 'b': there are 'calls'"),
        (lambda display: ANY.serve_server(4, 4), "and server.add_stream(name, width, height) starts one"),
    ],
)
async def test_calls_that_cannot_be_meant(call: Any, line: str) -> None:
    async with fw.serve(6, 4, name="calls", port=0, engine="inline") as display:
        with pytest.raises((TypeError, ValueError, KeyError)) as caught:
            call(display)
    assert line in str(caught.value) and "\n" not in str(caught.value)


def test_a_coroutine_function_where_no_loop_runs_says_so() -> None:
    async def draw() -> Any:
        return FRAME

    with fw.serve(6, 4, name="calls") as display, pytest.raises(RuntimeError, match="and none does: call it in a"):
        fw.publish_loop(display, draw)
