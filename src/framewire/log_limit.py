"""How often one thing may be written to a log: a few lines a minute of each kind, and then a count. Pure.

Whatever a stranger can make us log goes through it. Must not know what is logged, nor where.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

LINES_PER_MINUTE: Final = 3
"""Lines of one kind that are written in a minute.

Source: chosen by hand, 20 lines a minute over all kinds that a stranger can cause; pinned by
`tests/test_log_limit.py::test_a_few_lines_of_each_kind_are_written_in_a_minute`"""

WINDOW_S: Final = 60.0
"""Time in which lines of a kind are counted. It begins with the first of them.

Source: chosen by hand; pinned by `tests/test_log_limit.py::test_the_next_minute_says_how_many_more_there_were`"""

MAX_KINDS: Final = 256
"""Kinds that are counted; the oldest one is forgotten for another one.

Source: chosen by hand, more than there are lines of code that log; pinned by
`tests/test_log_limit.py::test_the_kinds_that_are_counted_are_bounded`"""


@dataclass(slots=True)
class _Count:
    since: float
    lines: int = 0


class LogLimit:
    """Counts lines by their kind, which must not come from a stranger: the text of the code that logs, for example."""

    def __init__(self, lines_per_minute: int = LINES_PER_MINUTE) -> None:
        self._lines_per_minute = lines_per_minute
        self._counts: dict[str, _Count] = {}

    def remark(self, kind: str, now: float) -> str | None:
        """What is written behind a line of this kind at ``now`` seconds, often nothing; None for a line too many."""
        count = self._counts.get(kind)
        missing = 0
        if count is None or now - count.since >= WINDOW_S:
            missing = max(count.lines - self._lines_per_minute, 0) if count else 0
            count = self._begin(kind, now)
        count.lines += 1
        if count.lines > self._lines_per_minute:
            return None
        said = f" (and {missing} more like it before)" if missing else ""
        last = count.lines == self._lines_per_minute
        return said + (" (more like it are only counted for a minute)" if last else "")

    def _begin(self, kind: str, now: float) -> _Count:
        self._counts.pop(kind, None)
        if len(self._counts) >= MAX_KINDS:
            del self._counts[next(iter(self._counts))]
        self._counts[kind] = count = _Count(now)
        return count
