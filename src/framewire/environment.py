"""Where the program runs: in a notebook, at a prompt, or as a script that ends with its last line.

Must not know displays.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
from typing import Any


def is_script() -> bool:
    """Whether the program ends after its last line, and that line may be this one: nothing goes on without it."""
    if threading.current_thread() is not threading.main_thread():
        return False
    if sys.flags.interactive or sys.flags.inspect or hasattr(sys, "ps1") or _ipython_shell() is not None:
        return False
    return running_loop() is None


def running_loop() -> asyncio.AbstractEventLoop | None:
    """The event loop of asyncio that runs on this thread; None where none does."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def in_notebook() -> bool:
    """Whether widgets can be shown here: an IPython kernel, not a terminal."""
    return hasattr(_ipython_shell(), "kernel")


def in_terminal_ipython() -> bool:
    """Whether this is IPython in a terminal, which shows text alone."""
    return _ipython_shell() is not None and not in_notebook()


def put_into_cell(widget: Any) -> None:
    """Show a widget below the cell that runs, at once. In a notebook alone."""
    sys.modules["IPython"].display.display(widget)


def say(line: str) -> None:
    """Print a line beside the program's own output; nothing where stderr is closed, or no one reads it any more."""
    with contextlib.suppress(OSError, ValueError):
        print(line, file=sys.stderr, flush=True)  # noqa: T201


def _ipython_shell() -> Any:
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython else None
