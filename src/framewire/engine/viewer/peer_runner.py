"""One viewer's peer connection and what waits for it. Must not know sockets, nor what its commands do."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any, Final

from framewire.engine.viewer import session as s
from framewire.rtc.peer import BitrateEstimate, Peer

FIRST_FRAMES: Final = 1.0
"""Seconds that the way is the video's once it is connected: over a thin one a picture beside it loses it its first
frames, which are the largest, and what is measured then is half of the way."""


class PeerRunner:
    """One peer connection and its commands, carried out in order, one at a time."""

    def __init__(self, number: int, peer: Peer) -> None:
        self.number = number
        self.peer = peer
        self.connected = False
        self.estimate: BitrateEstimate | None = None
        """The newest; a subscription that comes later begins with it."""
        self.waiting: list[s.Attach] = []
        """Subscriptions that are negotiated, to be attached once the peer is connected."""
        self._owed: list[Callable[[], None]] = []
        self._begins: asyncio.TimerHandle | None = None
        """While it is set, the video comes up."""
        self._commands: asyncio.Queue[Coroutine[Any, Any, None]] = asyncio.Queue()
        self._task = asyncio.create_task(self._run())

    def do(self, command: Coroutine[Any, Any, None]) -> None:
        self._commands.put_nowait(command)

    def begin(self) -> None:
        """It is connected."""
        self.connected = True
        self._begins = asyncio.get_running_loop().call_later(FIRST_FRAMES, self._pay)

    def later(self, credit: Callable[[], None]) -> bool:
        """Whether the video comes up, and this is called when it has had its time."""
        if self._begins is not None:
            self._owed.append(credit)
        return self._begins is not None

    def _pay(self) -> None:
        if self._begins is not None:
            self._begins.cancel()
            self._begins = None
        owed, self._owed = self._owed, []
        for credit in owed:
            credit()

    async def close(self) -> None:
        self._pay()
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        while not self._commands.empty():
            self._commands.get_nowait().close()
        await self.peer.close()

    async def _run(self) -> None:
        while True:
            await (await self._commands.get())
