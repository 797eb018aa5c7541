"""Ends a program that was started as an engine and cannot be one, in one line on both sides, and for good.

Must not know how programs are started.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Final

from framewire._version import __version__
from framewire.errors import EngineError, LocalProtocolError
from framewire.link.control import Failed, encode
from framewire.link.engine_end import EngineEnd
from framewire.link.handles import Handles

PYTHON_VARIABLE: Final = "FRAMEWIRE_PYTHON"
"""Names the Python that runs the engine, where this program is none: it must have framewire of the same version."""
ENGINE_VARIABLE: Final = "FRAMEWIRE_ENGINE"
"""Is in the environment of every engine; its value is the version of framewire that started it."""


def refuse_in_engine() -> None:
    """Raises EngineError in a program that is an engine's process and yet the user's: an application in one file, whose
    ``sys.executable`` is itself. The process that started it is told, and starts it no more."""
    if ENGINE_VARIABLE not in os.environ:
        return
    text = (
        f"the engine cannot be started: {sys.executable or sys.argv[:1]} is this program itself; let {PYTHON_VARIABLE} "
        'in the environment name a Python that has framewire, or use engine="thread"'
    )
    _tell_parent(text)
    raise EngineError(text)


def refuse_other_versions() -> None:
    """Raises EngineError in an engine of another version than the program's, which it would not understand."""
    version = os.environ.get(ENGINE_VARIABLE, __version__)
    if version == __version__:
        return
    text = (
        f"the engine cannot be started: {sys.executable} has framewire {__version__}, and the program has {version}; "
        f"let {PYTHON_VARIABLE} in the environment name a Python that has the same"
    )
    _tell_parent(text)
    raise EngineError(text)


def _tell_parent(text: str) -> None:
    with contextlib.suppress(OSError, LocalProtocolError):
        end = EngineEnd(Handles.parse(sys.argv))
        end.control.send(encode(Failed(text=text)))
        end.close()
