"""Waiting from a coroutine for what blocks. Must not know what that is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from framewire.environment import running_loop

T = TypeVar("T")


async def off_loop(function: Callable[[], T]) -> T:
    """What ``function`` returns. It runs on a thread, so that the loop goes on. Where the loop is not asyncio's but
    trio's, say, it runs here: that loop stands still for the part of a second that an engine takes."""
    if running_loop() is None:
        return function()
    return await asyncio.to_thread(function)
