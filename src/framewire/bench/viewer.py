"""A viewer without a screen: receives a stream's lossless frames over the public wire, and records the age of each.

Must not know the publisher, nor any file of the engine.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Final

import aiohttp

from framewire import wire
from framewire.codec.messages import Assembler
from framewire.errors import EngineError

FIRST_FRAME_TIMEOUT_S: Final = 20.0
"""Time for the first frame to arrive.

Source: chosen by hand; pinned by `tests/bench/test_viewer.py::test_a_stream_without_a_frame_is_given_up`."""
SUB: Final = 1


@dataclass
class Arrivals:
    """The frames that arrived."""

    ages: list[float] = field(default_factory=list)
    """Seconds from `publish` until the whole frame had arrived."""
    size_bytes: int = 0
    seconds: float = 0.0


async def watch(url: str, token: str, stream: str, seconds: float) -> Arrivals:
    """What a viewer of ``stream`` receives in so many seconds after its first frame.

    Raises ``EngineError`` where none arrives.
    """
    arrivals = Arrivals()
    try:
        async with asyncio.timeout(FIRST_FRAME_TIMEOUT_S + seconds), aiohttp.ClientSession() as http:
            async with http.ws_connect(url, max_msg_size=0) as ws:
                await ws.send_str(wire.encode(wire.Hello(wire.VERSION, token, [])))
                await ws.send_str(wire.encode(wire.Subscribe(SUB, stream, "lossless")))
                await _receive(ws, arrivals, seconds)
    except TimeoutError:
        raise EngineError("no frame arrived in time") from None
    except aiohttp.ClientError as error:
        raise EngineError(f"the viewer cannot connect: {error}") from error
    return arrivals


async def _receive(ws: aiohttp.ClientWebSocketResponse, arrivals: Arrivals, seconds: float) -> None:
    assembler = Assembler()
    started = 0.0
    async for message in ws:
        now = time.time()
        if message.type is aiohttp.WSMsgType.TEXT:
            _check(wire.decode_server(message.data))
            continue
        arrivals.size_bytes += len(message.data) if started else 0
        unit = assembler.feed(message.data)
        if unit is None:
            continue
        await ws.send_str(wire.encode(wire.Ack(SUB, unit.number)))
        # The first frame is as old as the last publish before this viewer came, and not counted.
        if started:
            arrivals.ages.append(now - unit.time_us / 1e6)
        started = started or now
        arrivals.seconds = now - started
        if arrivals.seconds >= seconds:
            return
    raise EngineError(f"the engine closed the viewer's socket ({ws.close_code})")


def _check(message: wire.ServerMessage) -> None:
    if isinstance(message, wire.Ended):
        raise EngineError(f"the engine ended the subscription: {message.reason}")
