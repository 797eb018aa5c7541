"""An engine that follows another: whether and when it is started, and the messages that it is sent first.

Must not know processes, sockets or clocks.
"""

from __future__ import annotations

from typing import Final, Generic, TypeVar

from framewire.errors import LocalProtocolError
from framewire.link.control import AddStream, Configure, RemoveStream, Ring, ToEngine

_H = TypeVar("_H")


class Replay(Generic[_H]):
    """What a new engine must be sent to be where the last one was.

    ``_H`` is whatever stands for a ring's memory; it is only kept and handed back.
    """

    def __init__(self, configure: Configure) -> None:
        self._configure = configure
        self._streams: dict[int, AddStream] = {}
        self._rings: dict[int, tuple[Ring, _H]] = {}

    def record(self, message: ToEngine, ring: _H | None = None) -> None:
        """Keep ``message`` if it holds for the next engine as well; ``ring`` is the memory that a Ring travels with.

        Raises LocalProtocolError for a Ring without memory or of a stream that was not added.
        """
        match message:
            case Configure():
                self._configure = message
            case AddStream():
                self._streams[message.options.id] = message
            case RemoveStream():
                self._streams.pop(message.id, None)
                self._rings.pop(message.id, None)
            case Ring():
                if ring is None or message.stream not in self._streams:
                    raise LocalProtocolError(f"{message} without memory or without its stream")
                self._rings[message.stream] = (message, ring)
            case _:  # viewers, answers and Shutdown are for the engine that runs
                pass

    def ring(self, stream: int) -> tuple[Ring | None, _H | None]:
        """The stream's ring and its memory; None where it has none."""
        return self._rings.get(stream, (None, None))

    def messages(self) -> list[tuple[ToEngine, _H | None]]:
        """Everything to send to a new engine, in order; each with the memory that travels beside it."""
        messages: list[tuple[ToEngine, _H | None]] = [(self._configure, None)]
        for id_, stream in self._streams.items():
            messages.append((stream, None))
            if id_ in self._rings:
                messages.append(self._rings[id_])
        return messages


FIRST_DELAY_S: Final = 0.5
"""Wait so long after the second exit in a row; twice as long after each further one.

Source: chosen by hand; pinned by
`tests/link/test_restart.py::test_the_first_restart_is_immediate_and_later_ones_wait`."""
MAX_DELAY_S: Final = 4.0
"""The longest wait.

Source: chosen by hand; pinned by
`tests/link/test_restart.py::test_the_first_restart_is_immediate_and_later_ones_wait`."""


class RestartPolicy:
    """Whether, and how soon, an engine that has exited is started again.

    The first one is started again at once. Exits in quick succession make it wait longer each time, and ``limit`` of
    them within ``window`` seconds end the attempts. An engine that never came up gets ``unready_limit`` attempts in a
    row: what kept it from starting is most likely still there.
    """

    def __init__(self, *, limit: int = 5, window: float = 60.0, unready_limit: int = 3) -> None:
        self._limit, self._window, self._unready_limit = limit, window, unready_limit
        self._exits: list[float] = []
        self._unready = 0

    def exited(self, now: float, *, was_ready: bool) -> float | None:
        """Seconds to wait before the next start, or None to give up."""
        self._exits = [*(t for t in self._exits if now - t < self._window), now]
        self._unready = 0 if was_ready else self._unready + 1
        if len(self._exits) >= self._limit or self._unready >= self._unready_limit:
            return None
        count = len(self._exits)
        return 0.0 if count == 1 else min(MAX_DELAY_S, FIRST_DELAY_S * 2.0 ** (count - 2))
