"""Advice for the user that is no error: one `FramewireWarning` at the line of the program that called the package.

Must not know what the advice is about.
"""

from __future__ import annotations

import sys
import warnings
from typing import Final

from framewire.errors import FramewireWarning

_PACKAGE: Final = __name__.partition(".")[0]


def advise(text: str) -> None:
    """Warn with `FramewireWarning`. The line that it names is the nearest one outside this package."""
    level, frame = 2, sys._getframe(1)  # noqa: SLF001  # inspect's way reads source files
    while frame.f_back and _is_ours(frame.f_globals.get("__name__", "")):
        frame, level = frame.f_back, level + 1
    warnings.warn(text, FramewireWarning, stacklevel=level)


def _is_ours(module: str) -> bool:
    return module == _PACKAGE or module.startswith(f"{_PACKAGE}.")
