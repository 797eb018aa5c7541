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

WOKEN_PER_TURN: Final = 32
"""Messages that waited are taken in one turn of the loop, where they are as short as most are. Turns of a busy loop are
long: one message in each would hold a large audience up.

Source: chosen by hand, `TURN_S` of messages of 30 us; pinned by
`tests/engine/viewer/test_turns.py::test_short_messages_that_wait_share_a_turn`"""


class Turns:
    """Of one engine. Made on a running loop and used from it alone."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._loop = asyncio.get_running_loop()
        self._clock = clock
        self._spent_s = 0.0
        """In the present turn of the loop."""
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._put_off: list[asyncio.Future[None]] = []
        """They were woken in the present turn and had no time left: the first ones of the next turn."""
        self._woken = 0
        """Those that are about to look whether there is time."""
        self._ending = False
        """The end of the present turn is scheduled."""

    async def wait(self) -> None:
        """Wait until there is time for a message; returns at once when there is."""
        if self._spent_s >= TURN_S or self._waiting or self._woken:
            await self._next_turn(self._waiting)
            while self._spent_s >= TURN_S:
                await self._next_turn(self._put_off)

    async def _next_turn(self, queue: deque[asyncio.Future[None]] | list[asyncio.Future[None]]) -> None:
        future = self._loop.create_future()
        queue.append(future)
        self._end_soon()
        try:
            await future
        finally:
            if future.done() and not future.cancelled():
                self._woken -= 1

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
        """The next turn begins: those who waited longest have it."""
        self._ending, self._spent_s = False, 0.0
        self._waiting.extendleft(reversed(self._put_off))
        self._put_off.clear()
        count = 0
        while self._waiting and count < WOKEN_PER_TURN:
            future = self._waiting.popleft()
            if not future.done():  # its viewer is still there
                future.set_result(None)
                count += 1
        self._woken += count
        if count:
            self._end_soon()
