"""Starts the engine's program: by which command, in which environment, and with which standard streams.

Must not know sockets or messages: it is told which descriptors the program inherits.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from typing import IO

from framewire.errors import EngineError


def spawn(
    command: Sequence[str], arguments: Sequence[str], descriptors: Sequence[int]
) -> tuple[subprocess.Popen[bytes], IO[bytes]]:
    """Start ``command`` with ``arguments`` after it; returns the process, and the pipe to which it prints.

    It inherits ``descriptors`` under the same numbers, and no others. Raises OSError where it cannot be started.
    """
    process = subprocess.Popen(
        [*command, *arguments],
        pass_fds=descriptors,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        bufsize=0,
        start_new_session=True,  # an interrupt is meant for the cell, not for the engine
        env=environment(),
    )
    assert process.stdout, "asked for above"
    return process, process.stdout


def default_command() -> list[str]:
    """The engine that comes with this package, run by this Python."""
    if not sys.executable:
        raise EngineError('this Python does not know its own executable; engine="inline" works')
    return [sys.executable, "-m", "framewire.engine"]


def environment() -> dict[str, str]:
    """The parent's, with a PYTHONPATH by which the engine imports the very modules that the parent would.

    Except for the working directory and the script's, which come last: a user's ``queue.py`` beside a
    notebook must not become the engine's. Python would put them first for ``-m``; PYTHONSAFEPATH keeps it
    from doing so.
    """
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    here = _working_directory()
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    last = {here, os.path.dirname(os.path.abspath(script)) if script else here} - {root}
    path = [p or here for p in sys.path]
    path = [*([] if root in path else [root]), *path]
    path = [*(p for p in path if p not in last), *(p for p in path if p in last)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(dict.fromkeys(path)), "PYTHONSAFEPATH": "1"}


def _working_directory() -> str:
    try:
        return os.getcwd()
    except OSError:  # the directory was removed
        return os.sep
