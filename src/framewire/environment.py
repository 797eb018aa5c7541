"""Where the program runs: in a notebook, at a prompt, or as a script that ends with its last line.

Must not know displays.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from typing import Any


def is_script() -> bool:
    """Whether the program ends after its last line, and that line may be this one: nothing goes on without it."""
    if threading.current_thread() is not threading.main_thread():
        return False
    if sys.flags.interactive or sys.flags.inspect or hasattr(sys, "ps1") or _ipython_shell() is not None:
        return False
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return True
    return False


def in_notebook() -> bool:
    """Whether widgets can be shown here: an IPython kernel, not a terminal."""
    return hasattr(_ipython_shell(), "kernel")


def _ipython_shell() -> Any:
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython else None
