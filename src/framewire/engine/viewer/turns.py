"""The loop's time for viewers' messages: a little in each of its turns, shared by all viewers in order.

Whatever viewers send, frames and other work get every turn of the loop after this time. Must not know messages.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

TURN_S: Final = 0.001
"""Time for messages in one turn of the loop. A message that has begun is finished.

Source: chosen by hand: a frame takes four turns from its publishing to its sending; pinned by
`tests/engine/viewer/test_turns.py::test_messages_have_a_little_of_each_turn`"""


class Turns:
    """Of one engine. Made on a running loop and used from it alone."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._loop = asyncio.get_running_loop()
        self._clock = clock
        self._spent_s = 0.0
        """In the present turn of the loop."""
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._ending = False
        """The end of the present turn is scheduled."""

    async def wait(self) -> None:
        """Wait until there is time for a message; returns at once when there is."""
        if self._spent_s >= TURN_S or self._waiting:
            future = self._loop.create_future()
            self._waiting.append(future)
            self._end_soon()
            await future

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        """The time inside counts."""
        began = self._clock()
        try:
            yield
        finally:
            self._spent_s += self._clock() - began
            self._end_soon()

    def _end_soon(self) -> None:
        if not self._ending:
            self._ending = True
            self._loop.call_soon(self._end)

    def _end(self) -> None:
        """The next turn begins: whoever waited longest has it."""
        self._ending, self._spent_s = False, 0.0
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():  # its viewer is still there
                future.set_result(None)
                self._end_soon()
                return
