"""A whole program with few files to open, while strangers take all that they can get."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from typing import Any

import pytest

from tests.viewer import TEST_TIMEOUT_S, connected, flat, same

MAX_FILES = 128

PROGRAM = f"""
import json, logging, resource, sys
import numpy as np
resource.setrlimit(resource.RLIMIT_NOFILE, ({MAX_FILES}, {MAX_FILES}))
import framewire as fw
logging.basicConfig()
display = fw.serve(64, 48, port=0)
display.server._host.wait_ready(60)
for line in sys.stdin:
    side = int(line)
    display.publish(np.full((side, side, 3), side % 251, np.uint8))
    said = dict(port=display.port, token=display.server.token, pid=display.server._host.pid,
                failure=display.server.failure)
    print(json.dumps(said), flush=True)
display.close()
"""


class Program:
    """`PROGRAM`, and what it says."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def publish(self, side: int) -> dict[str, Any]:
        """Publish a square of this side."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(f"{side}\n".encode())
        said: dict[str, Any] = json.loads(await asyncio.wait_for(self.process.stdout.readline(), 2 * TEST_TIMEOUT_S))
        return said

    async def log(self) -> list[str]:
        """End it; the lines of its log."""
        _, errors = await asyncio.wait_for(self.process.communicate(b""), 2 * TEST_TIMEOUT_S)
        assert self.process.returncode == 0, errors.decode()
        return errors.decode().splitlines()


@pytest.mark.skipif(sys.platform == "win32", reason="a limit of POSIX")
async def test_strangers_that_take_all_descriptors_keep_no_viewer_and_no_frame_out() -> None:
    pipe = asyncio.subprocess.PIPE
    program = Program(
        await asyncio.create_subprocess_exec(sys.executable, "-c", PROGRAM, stdin=pipe, stdout=pipe, stderr=pipe)
    )
    before = await program.publish(48)
    url = f"ws://127.0.0.1:{before['port']}/ws"
    strangers = [await asyncio.to_thread(socket.create_connection, ("127.0.0.1", before["port"])) for _ in range(200)]
    async with connected(url, before["token"]) as viewer:
        # A peer takes descriptors as well: where there are none, the viewer stays on its WebSocket.
        sub = await viewer.subscribe("default", "webrtc", "vp8")
        await viewer.subscribe("default")
        strangers += [
            await asyncio.to_thread(socket.create_connection, ("127.0.0.1", before["port"])) for _ in range(50)
        ]
        # Each of these frames needs memory of its own, whose descriptor must reach the engine.
        for side in (300, 500, 700):
            assert await program.publish(side) == before, "the engine is the same"
            unit = await viewer.unit(lambda unit, side=side: unit.width == side)  # type: ignore[misc]
            assert same(unit, flat(side, side, side % 251))
        assert not viewer.ws.closed and sub == 1
        async with connected(url, before["token"]):
            """And another viewer comes in."""
    for sock in strangers:
        sock.close()
    log = await program.log()
    assert len(log) <= 20 and not any("Traceback" in line for line in log), log
    assert not any(before["token"] in line for line in log)
