"""A viewer without a screen: it takes a stream's lossless frames over the public wire, as a page does, and notes how
old each is when it is there. Must not know who publishes, nor any file of the engine."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

import aiohttp

from framewire import wire
from framewire.codec.messages import Assembler
from framewire.errors import EngineError

PATIENCE = 20.0
"""Seconds until the first frame must be there."""
SUB = 1


@dataclass
class Arrivals:
    """What came."""

    ages: list[float] = field(default_factory=list)
    """Seconds from `publish` until the whole frame was there."""
    octets: int = 0
    seconds: float = 0.0


async def watch(url: str, token: str, stream: str, seconds: float) -> Arrivals:
    """What a viewer of ``stream`` gets in so many seconds after its first frame. Raises ``EngineError``, in a word,
    where it gets none."""
    arrivals = Arrivals()
    try:
        async with asyncio.timeout(PATIENCE + seconds), aiohttp.ClientSession() as http:
            async with http.ws_connect(url, max_msg_size=0) as ws:
                await ws.send_str(wire.encode(wire.Hello(wire.VERSION, token, [])))
                await ws.send_str(wire.encode(wire.Subscribe(SUB, stream, "lossless")))
                await _receive(ws, arrivals, seconds)
    except TimeoutError:
        raise EngineError("no frame came in time") from None
    except aiohttp.ClientError as error:
        raise EngineError(f"the viewer cannot connect: {error}") from error
    return arrivals


async def _receive(ws: aiohttp.ClientWebSocketResponse, arrivals: Arrivals, seconds: float) -> None:
    assembler = Assembler()
    began = 0.0
    async for message in ws:
        now = time.time()
        if message.type is aiohttp.WSMsgType.TEXT:
            _heed(wire.decode_server(message.data))
            continue
        arrivals.octets += len(message.data) if began else 0
        unit = assembler.feed(message.data)
        if unit is None:
            continue
        await ws.send_str(wire.encode(wire.Ack(SUB, unit.number)))
        # The first is the whole picture, and as old as the last publish before anybody watched.
        if began:
            arrivals.ages.append(now - unit.time_us / 1e6)
        began = began or now
        arrivals.seconds = now - began
        if arrivals.seconds >= seconds:
            return
    raise EngineError(f"the engine closed the viewer's socket ({ws.close_code})")


def _heed(message: wire.ServerMessage) -> None:
    if isinstance(message, wire.Ended):
        raise EngineError(f"the engine ended the subscription: {message.reason}")
