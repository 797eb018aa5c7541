"""What to change where the system has no more files, memory, threads or processes: one line for people.

Must not know what they were wanted for.
"""

from __future__ import annotations

import errno
import threading
from typing import Final

from framewire.errors import EngineError

_MEMORY: Final = "free some memory, or raise its limit (ulimit -v)"
CURES: Final[dict[int, str]] = {
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "that is the limit of this machine: end other programs, or raise it (sysctl fs.file-max)",
    errno.ENOMEM: _MEMORY,
    errno.ENOBUFS: _MEMORY,
    errno.EAGAIN: "raise the limit of processes (ulimit -u)",
}
"""By the number of a system's error, of a call that waits for nothing."""
_NO_THREAD: Final = "raise the limits of processes and of memory (ulimit -u, ulimit -v)"


def cure(error: BaseException) -> str | None:
    """What to change; None where this is no shortage."""
    if isinstance(error, OSError):
        return CURES.get(error.errno or 0)
    if isinstance(error, RuntimeError):  # of many meanings; Python has no class for this one
        return _NO_THREAD if "can't start new thread" in str(error) else None
    return _MEMORY if isinstance(error, MemoryError) else None


def reason(error: BaseException) -> str:
    """What the system says, in one line, and what to change."""
    said = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    if isinstance(error, OSError) and error.filename:
        said = f"{error.filename}: {said}"
    return "; ".join(filter(None, (" ".join(said.split()), cure(error))))


def start_thread(thread: threading.Thread, whose: str) -> None:
    """Raises EngineError where the system gives no thread to ``whose``."""
    try:
        thread.start()
    except RuntimeError as error:
        raise EngineError(f"{whose} gets no thread: {reason(error)}") from error
