"""Checks of arguments that are not options: times to wait, and the functions that a program gives.

Must not know who calls them or what they are for. Each raises one line that names what was given.
"""

from __future__ import annotations

import inspect
import math
from typing import Any, Final

from framewire.keywords import as_number, shown

LONGEST_WAIT_S: Final = 1e8
"""A time to wait that is longer (three years) counts as no limit: systems refuse times much longer than that.

Source: chosen by hand, below `threading.TIMEOUT_MAX` of every platform; pinned by `tests/test_calls.py`."""


def seconds(name: str, given: Any) -> float | None:
    """A time to wait; None for as long as it takes. Raises ``ValueError`` for what is no number."""
    if given is None:
        return None
    number = as_number(given)
    if number is None or math.isnan(number):
        raise ValueError(f"{name}={shown(given)} is no time: it is seconds, or None for as long as it takes")
    return number if number < LONGEST_WAIT_S else None


def plain_function(caller: str, given: Any, *arguments: str) -> None:
    """Raises ``TypeError`` unless ``caller`` can call it with these arguments, and needs not await it."""
    if not callable(given):
        raise TypeError(f"{caller} takes a function, called as function({', '.join(arguments)}): not {shown(given)}")
    if inspect.iscoroutinefunction(given):
        raise TypeError(f"{caller} calls plain functions, and {_name(given)} is a coroutine function")
    can_be_called(caller, given, *arguments)


def can_be_called(caller: str, given: Any, *arguments: str) -> None:
    """Raises ``TypeError`` for a function whose signature has no room for these arguments, or asks for more."""
    try:
        signature = inspect.signature(given)
    except (TypeError, ValueError):
        return  # a function of C that has no signature
    try:
        signature.bind(*arguments)
    except TypeError as fault:
        raise TypeError(f"{caller} calls {_name(given)}({', '.join(arguments)}): {fault}") from None


def _name(function: Any) -> str:
    return str(getattr(function, "__name__", type(function).__name__))
