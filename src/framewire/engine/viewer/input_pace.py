"""How fast one viewer's input events go on to the program: as fast as hands can make them. Pure; time is an argument.

More than that waits, and what waits is merged (`WaitingEvents`). Must not know sessions, or who takes the events.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

from framewire.token_bucket import TokenBucket
from framewire.waiting_events import Dropped, WaitingEvents

INPUT_EVENTS_PER_S: Final = 250.0
"""Events of one viewer that go on in a second. A page sends moves and turns of the wheel 60 times a second each.

Source: chosen by hand; pinned by
`tests/engine/viewer/test_input_pace.py::test_a_flood_goes_on_at_the_pace_of_hands`"""
INPUT_BURST_EVENTS: Final = 1000.0
"""Events that go on at once after a rest: text that is pasted is one for 256 characters.

Source: chosen by hand, what a program's callbacks let wait; pinned by
`tests/engine/viewer/test_input_pace.py::test_a_burst_goes_on_at_once`"""
MAX_PACED_EVENTS: Final = 256
"""Events of one viewer that wait, in half a mebibyte at most: 128 MiB where all viewers do their worst.

Source: chosen by hand; pinned by
`tests/engine/viewer/test_input_pace.py::test_a_flood_goes_on_at_the_pace_of_hands`"""


@dataclass(frozen=True, slots=True)
class ViewerInput:
    """An event of the viewer, for one stream."""

    stream: int
    principal: str | None
    event: dict[str, Any]


class InputPace:
    """The events of one viewer: some go on, the others wait."""

    def __init__(self) -> None:
        self._bucket = TokenBucket(INPUT_EVENTS_PER_S, INPUT_BURST_EVENTS)
        self._waiting: WaitingEvents[ViewerInput] = WaitingEvents(
            MAX_PACED_EVENTS, Dropped(), replace=replace, source=lambda each: each.stream, merging=True
        )

    def put(self, arrived: ViewerInput, now: float) -> list[ViewerInput]:
        """The viewer has sent this; returns what goes on now."""
        if not len(self._waiting) and self._bucket.take(now):
            return [arrived]
        self._waiting.put(arrived)
        return self.due(now)

    def due(self, now: float) -> list[ViewerInput]:
        """What goes on now of what waits."""
        count = 0
        while count < len(self._waiting) and self._bucket.take(now):
            count += 1
        return self._waiting.take(count)

    def delay(self, now: float) -> float | None:
        """Seconds until something is `due`; None where nothing waits."""
        return self._bucket.delay(now) if len(self._waiting) else None

    def rest(self) -> list[ViewerInput]:
        """All that waits: nothing follows, and what is down is to come up."""
        return self._waiting.take()
