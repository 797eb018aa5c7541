"""A log for whatever a stranger or a viewer can cause, over and over: a few lines a minute of each kind.

Any thread may use it. Must not know who logs.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from framewire.log_limit import LINES_PER_MINUTE, LogLimit


class LimitedLog:
    """Lines of a logger, with `LogLimit`. A line's kind is its text before the arguments are put in.

    No argument may be what a stranger sent: neither secrets nor line breaks get into a log.
    """

    def __init__(
        self,
        logger: logging.Logger,
        lines_per_minute: int = LINES_PER_MINUTE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._logger, self._clock = logger, clock
        self._limit = LogLimit(lines_per_minute)

    def warning(self, text: str, *arguments: object) -> None:
        """Write a warning, unless there have been too many of it."""
        self._log(logging.WARNING, text, arguments, traceback=False)

    def exception(self, text: str, *arguments: object, error: BaseException | None = None) -> None:
        """Write an error with the traceback of ``error``, or of the exception that is handled, unless there have been
        too many of it."""
        self._log(logging.ERROR, text, arguments, traceback=error or True)

    def _log(self, level: int, text: str, arguments: tuple[object, ...], *, traceback: bool | BaseException) -> None:
        remark = self._limit.remark(text, self._clock())
        if remark is not None:
            self._logger.log(level, f"{text}%s", *arguments, remark, exc_info=traceback or None, stacklevel=3)
