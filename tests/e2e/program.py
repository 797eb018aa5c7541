"""Runs `publisher_program.py`, inside a network namespace or not, and ends it. Must not know any single test."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

PROGRAM = Path(__file__).with_name("publisher_program.py")


class Program:
    """A user's program that publishes."""

    def __init__(self, process: asyncio.subprocess.Process, said: dict[str, Any]) -> None:
        self.process = process
        self.url: str = said["url"]
        self.port: int = said["port"]
        self.token: str = said["token"]
        self.engine: int = said["engine"]

    async def end(self) -> dict[int, float]:
        """Let it end by itself; returns when each frame was published."""
        assert self.process.stdin
        self.process.stdin.close()
        said = await _line(self.process)
        await self.process.wait()
        return {int(number): at for number, at in said["sent"].items()}


@contextlib.asynccontextmanager
async def running(
    width: int,
    height: int,
    fps: float = 30,
    host: str = "127.0.0.1",
    load: str = "still",
    inside: tuple[str, ...] = (),
) -> AsyncIterator[Program]:
    """The running program; ``inside`` is a command that starts it."""
    command = [*inside, sys.executable, str(PROGRAM), str(width), str(height), str(fps), host, load]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, limit=1 << 24)
    try:
        yield Program(process, await asyncio.wait_for(_line(process), 30))
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        # asyncio closes the pipes with the transport, and nothing else closes that while the loop runs.
        process._transport.close()  # type: ignore[attr-defined]


async def _line(process: asyncio.subprocess.Process) -> dict[str, Any]:
    assert process.stdout
    said: dict[str, Any] = json.loads(await process.stdout.readline())
    return said
