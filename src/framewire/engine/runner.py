"""One peer's commands, carried out in order, one at a time, and what a connection keeps beside the peer. Must not know
what the commands do.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any

from framewire.engine import session as s
from framewire.rtc.peer import BitrateEstimate, Peer


class PeerRunner:
    """A peer and its commands. Made on a running loop and used from it alone."""

    def __init__(self, number: int, peer: Peer) -> None:
        self.number = number
        self.peer = peer
        self.connected = False
        self.estimate: BitrateEstimate | None = None
        """The newest; a subscription that comes later begins with it."""
        self.waiting: list[s.Attach] = []
        """Subscriptions that are negotiated, to be attached once the peer is connected."""
        self._commands: asyncio.Queue[Coroutine[Any, Any, None]] = asyncio.Queue()
        self._task = asyncio.create_task(self._run())

    def do(self, command: Coroutine[Any, Any, None]) -> None:
        self._commands.put_nowait(command)

    async def close(self) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        while not self._commands.empty():
            self._commands.get_nowait().close()
        await self.peer.close()

    async def _run(self) -> None:
        while True:
            await (await self._commands.get())
