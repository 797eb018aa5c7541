"""What an engine prints: logged line by line, and the last line kept for an error message.

Must not know processes: it reads a pipe.
"""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import sys
import threading
import time
from typing import IO, Final

from framewire.shortages import start_thread

logger: Final = logging.getLogger("framewire")

_MAX_LINE_BYTES: Final = 65_536
"""Bytes kept of a line without an end.

Source: chosen by hand."""
_READ_BYTES: Final = 65_536
_MAX_QUOTED_CHARACTERS: Final = 300
"""Of the last line, in an error message.

Source: chosen by hand: the error of a traceback is shorter, most often."""


class EngineOutput:
    """Owns the pipe, once it is made: raises EngineError where it gets no thread. ``has_thread``: it reads by itself,
    since Windows cannot poll a pipe. Else :meth:`read` it whenever there is something to read."""

    def __init__(self, pipe: IO[bytes], *, has_thread: bool) -> None:
        self._pipe = pipe
        self._last_line = ""
        self._unfinished = b""
        self._thread: threading.Thread | None = None
        if has_thread:
            self._thread = threading.Thread(target=self._read_all, name="framewire-output", daemon=True)
            start_thread(self._thread, "the engine's output")

    @property
    def has_thread(self) -> bool:
        return self._thread is not None

    def fileno(self) -> int:
        return self._pipe.fileno()

    def read(self) -> bool:
        """Log what was printed; False at the end. Waits where there is nothing yet."""
        data = os.read(self._pipe.fileno(), _READ_BYTES)
        *lines, self._unfinished = (self._unfinished + (data or b"\n")).split(b"\n")
        for line in (line.decode(errors="replace").rstrip() for line in lines):
            if line:
                self._last_line = " ".join(line.split())
                logger.warning("framewire engine: %s", line)
        self._unfinished = self._unfinished[-_MAX_LINE_BYTES:]
        return bool(data)

    def finish(self, deadline: float) -> None:
        """Log all that comes until the end, or until ``deadline`` (as `time.monotonic`)."""
        if self._thread or sys.platform == "win32":
            if self._thread:
                self._thread.join(max(0.0, deadline - time.monotonic()))
            return
        with getattr(selectors, "PollSelector", selectors.SelectSelector)() as selector:  # eventlet takes poll away
            selector.register(self, selectors.EVENT_READ)
            while (left := deadline - time.monotonic()) > 0 and selector.select(left):
                if not self.read():
                    return

    def last(self) -> str:
        """The last line, to be appended to an error message."""
        line = self._last_line
        if len(line) > _MAX_QUOTED_CHARACTERS:
            line = f"{line[:_MAX_QUOTED_CHARACTERS]}…"
        return f": {line}" if line else ""

    def close(self) -> None:
        """Idempotent. A thread that still reads closes the pipe when it has come to the end."""
        if not self._thread:
            self._pipe.close()

    def after_fork_in_child(self) -> None:
        self._pipe.close()

    def _read_all(self) -> None:
        with self._pipe, contextlib.suppress(OSError):
            while self.read():
                pass
