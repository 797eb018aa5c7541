"""A killed process: the others recover or end. An invalid array or message affects no other viewer."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from typing import TYPE_CHECKING, Any

import aiohttp
import numpy as np
import psutil
import pytest

import framewire as fw
from benchmarks import probe
from framewire.errors import CloseCode
from tests.e2e.conftest import NewPage
from tests.e2e.program import running
from tests.e2e.stage import SLACK, Publisher, address, advances, debug, first_new, say, showing, until, watch

if TYPE_CHECKING:
    from playwright.async_api import Page

TRIES = 2

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


@pytest.mark.parametrize("mode", ["webrtc", "lossless"])
async def test_a_killed_engine_comes_back_and_the_picture_moves_again(new_page: NewPage, mode: str):
    began = time.monotonic()
    async with fw.serve(320, 240, port=0) as display:
        # A restart takes a start, a wait, and a viewer that reconnects; so measure a start on this machine now.
        start = time.monotonic() - began
        with Publisher(display) as publisher:
            page = await new_page(address(display.url, mode=mode))
            for _ in range(TRIES):
                took = await killed(page, display, publisher, mode)
                say(f"{mode}: moving again {took:.1f} s after the engine was killed; a start takes {start:.1f} s")
                if took < max(3 * SLACK, 5 * start):
                    break
            assert took < max(3 * SLACK, 5 * start)


async def killed(page: Page, display: fw.Display, publisher: Publisher, mode: str) -> float:
    """Seconds from the engine's end until the screen shows a frame that only the next engine can have sent."""
    await showing(page, mode)
    await probe.start(page)
    engine = display.server.engine_pid
    assert engine
    newest = publisher.log.number
    os.kill(engine, signal.SIGKILL)
    seen = await first_new(page, newest + int(0.5 * publisher.fps), timeout=60)
    await showing(page, mode)
    assert advances(await watch(page, 0.5))
    assert display.server.engine_pid not in (None, engine)
    assert not display.closed
    return seen.at - publisher.log.sent[newest]


async def test_a_killed_user_program_leaves_no_engine(new_page: NewPage):
    async with running(320, 240) as program:
        page = await new_page(program.url)
        await showing(page, "webrtc")
        engine = psutil.Process(program.engine)
        began = time.monotonic()
        program.process.kill()
        await until(lambda: not alive(engine), 2 * SLACK)
        say(f"the engine was gone after {time.monotonic() - began:.2f} s")

        async def reconnecting() -> bool:
            return bool((await debug(page))["status"]["state"] == "reconnecting")

        await until(reconnecting)


def alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((4, 4, 2), np.uint8),
        np.zeros((3, 40, 40), np.uint8),
        np.zeros((4, 4), np.int64),
        np.zeros((0, 4, 3)),
        "no",
    ],
    ids=["two channels", "channels first", "int64", "empty", "a string"],
)
async def test_a_wrong_array_raises_where_it_is_published(wrong: Any):
    async with fw.serve(64, 64, port=0, engine="inline") as display:
        with pytest.raises(fw.PublishError) as told:
            display.publish(wrong)
        assert "\n" not in str(told.value)


async def test_the_stream_goes_on_after_a_wrong_array(new_page: NewPage):
    async with fw.serve(320, 240, port=0) as display:
        with Publisher(display):
            page = await new_page(display.url)
            await showing(page, "webrtc")
            await probe.start(page)
            for _ in range(20):
                with pytest.raises(ValueError):
                    display.publish(np.zeros((2, 240, 320), np.int64))
                await asyncio.sleep(0.03)
            seen = await probe.take(page)
            assert advances(seen)
            assert {one.element for one in seen} == {"video"}


HELLO = '{"type":"hello","version":1,"token":"%s","codecs":["h264","vp8"]}'
INVALID: dict[str, tuple[int | None, list[str | bytes]]] = {
    "not JSON": (CloseCode.BAD_MESSAGE, ["what?"]),
    "an unknown type": (CloseCode.BAD_MESSAGE, [HELLO, '{"type":"sudo"}']),
    "a field too many": (CloseCode.BAD_MESSAGE, [HELLO, '{"type":"unsubscribe","sub":1,"x":1}']),
    "a wrong token": (CloseCode.UNAUTHORIZED, [HELLO.replace("%s", "%s-no")]),
    "another version": (CloseCode.VERSION, [HELLO.replace(":1,", ":99,")]),
    "bytes": (CloseCode.BAD_MESSAGE, [HELLO, b"\0" * 64]),
    "more than any message": (1009, [HELLO, "[" * (1 << 19)]),
    "an answer to nothing": (None, [HELLO, '{"type":"answer","peer":7,"offer":7,"sdp":"v=0"}']),
}


async def test_a_viewer_that_sends_invalid_messages_is_closed_and_another_keeps_moving(new_page: NewPage):
    async with fw.serve(320, 240, port=0) as display, aiohttp.ClientSession() as http:
        with Publisher(display):
            page = await new_page(display.url)
            await showing(page, "webrtc")
            await probe.start(page)
            for name, (code, messages) in INVALID.items():
                closed = await close_code(http, display, messages)
                say(name, closed)
                assert code is None or closed == code
            seen = await probe.take(page)
            assert advances(seen)
            assert {one.element for one in seen} == {"video"}
            assert probe.report(seen, {}).gap < 1000 * SLACK


async def close_code(http: aiohttp.ClientSession, display: fw.Display, messages: list[str | bytes]) -> int | None:
    """The code with which a viewer that sends this is closed; None if it is not."""
    token = display.url.split("token=")[1]
    async with http.ws_connect(display.ws_url) as ws:
        for message in messages:
            if isinstance(message, bytes):
                await ws.send_bytes(message)
            else:
                await ws.send_str(message.replace("%s", token))
        try:
            async with asyncio.timeout(1):
                async for _ in ws:
                    pass
        except TimeoutError:
            return None
        return ws.close_code
