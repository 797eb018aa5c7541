"""Counts an engine's asyncio tasks, asked by a signal. `soak` has the engine import it, as Python does at its start.

Must not know the engine, nor import anything that an engine does not.
"""

import asyncio
import os
import signal
import sys


def _count(*_: object) -> None:
    try:
        count = len(asyncio.all_tasks())
    except RuntimeError:  # no loop runs yet
        count = 0
    path = f"{os.environ['FRAMEWIRE_SOAK']}.{os.getpid()}"
    with open(f"{path}.new", "w") as out:
        out.write(str(count))
    os.replace(f"{path}.new", path)


if "FRAMEWIRE_SOAK" in os.environ and "framewire.engine" in sys.orig_argv:
    signal.signal(signal.SIGUSR2, _count)
