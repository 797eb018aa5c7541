"""`framewire demo`: the address that it prints shows a moving picture."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.e2e.conftest import NewPage
from tests.e2e.stage import painted, showing, until

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

SOURCES = str(Path(__file__).resolve().parents[2] / "src")


async def test_the_demo_shows_a_moving_picture_and_ends_with_ctrl_c(new_page: NewPage):
    pipe = asyncio.subprocess.PIPE
    environment = {**os.environ, "PYTHONPATH": SOURCES, "PYTHONUNBUFFERED": "1"}
    command = [
        sys.executable,
        "-m",
        "framewire",
        "demo",
        "--no-open",
        "--port",
        "0",
        "--size",
        "480x270",
        "--fps",
        "30",
    ]
    demo = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe, env=environment)
    assert demo.stdout and demo.stderr
    try:
        async with asyncio.timeout(30):
            while not (found := re.search(r"http://\S+", (await demo.stdout.readline()).decode())):
                pass
        page = await new_page(found[0])
        status = await showing(page, "webrtc")
        assert status["size"] == {"width": 480, "height": 270}
        first = await painted(page)
        assert first.std() > 10, "a picture, not a plain colour"

        async def moved() -> bool:
            return bool(np.abs((await painted(page)).astype(int) - first).mean() > 2)

        await until(moved, 5)
        demo.send_signal(signal.SIGINT)
        async with asyncio.timeout(15):
            assert await demo.wait() in (0, 130)
        assert b"Traceback" not in await demo.stderr.read()
    finally:
        if demo.returncode is None:
            demo.kill()
            await demo.wait()
        demo._transport.close()  # type: ignore[attr-defined]
