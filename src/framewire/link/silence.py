"""Whether an engine that runs has stopped answering, and is to be replaced.

Must not know processes, sockets or clocks.
"""

from __future__ import annotations

from typing import Final

LOOK_INTERVAL_S: Final = 0.25
"""From one look to the next, while nothing comes from the engine.

Source: chosen by hand; pinned by
`tests/link/test_supervisor.py::test_an_engine_that_is_stopped_is_replaced`."""
ASLEEP_S: Final = 1.0
"""A look so late means that this process was stopped itself, or that the machine slept. The engine, too, then needs a
moment.

Source: chosen by hand; pinned by
`tests/link/test_silence.py::test_an_engine_that_slept_with_its_parent_is_not_replaced`."""
STOPPED_LIMIT_S: Final = 2.5
"""An engine whose process is stopped (SIGSTOP) is replaced when nothing has come for so long. With a new start and a
viewer that connects again, its picture moves again within 5 s.

Source: chosen by hand; pinned by
`tests/link/test_silence.py::test_a_stopped_engine_is_replaced_soon_and_a_busy_one_late`."""
SILENT_LIMIT_S: Final = 10.0
"""An engine that runs and says nothing is replaced after so long. Much less would end one on a machine that swaps.

Source: chosen by hand; pinned by
`tests/link/test_silence.py::test_a_stopped_engine_is_replaced_soon_and_a_busy_one_late`."""
RECENT_S: Final = 60.0
"""From the second engine on that was replaced so recently, the limits grow: where replacing does not help, it is not
repeated.

Source: the window in which exits are counted (`link.restart.RestartPolicy`); pinned by
`tests/link/test_silence.py::test_from_the_second_replacement_on_the_limits_grow_for_a_minute`."""
GROWTH: Final = 3.0
"""So much longer is the limit after each of them. Five engines that exit within a minute are given up, and a machine
that swaps is not to get there.

Source: chosen by hand; pinned by
`tests/link/test_silence.py::test_from_the_second_replacement_on_the_limits_grow_for_a_minute`."""


class Silence:
    """Engines that follow each other. One is judged from the first time that it was heard on, and no longer while a
    debugger holds it."""

    def __init__(self) -> None:
        self._heard_at: float | None = None
        self._looked_at = 0.0
        self._replaced: list[float] = []

    def started(self) -> None:
        """Another engine runs, and has not been heard yet."""
        self._heard_at = None

    def heard(self, now: float, *, debugged: bool = False) -> None:
        """The engine says that it runs; ``debugged``: and that a debugger may hold it."""
        self._heard_at = None if debugged else now
        self._looked_at = now

    def over(self, now: float, *, stopped: bool) -> float | None:
        """For how many seconds nothing has come, where that is too long. To be asked every `LOOK_INTERVAL_S`."""
        if self._heard_at is None:
            return None
        if now - self._looked_at > ASLEEP_S:
            self._heard_at = now
        self._looked_at = now
        self._replaced = [at for at in self._replaced if now - at < RECENT_S]
        limit = (STOPPED_LIMIT_S if stopped else SILENT_LIMIT_S) * GROWTH ** max(0, len(self._replaced) - 1)
        silence = now - self._heard_at
        if silence < limit:
            return None
        self._replaced.append(now)
        return silence
